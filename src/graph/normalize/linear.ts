/** Rules for matrix products, softmax and reductions. One function per ONNX op. */
import { elementCount } from '../ir'
import { axisOf } from '../host/array'
import { floatAttribute, intAttribute } from '../host/attributes'
import { reduceAxes } from '../host/reduce'
import type { DeviceLane, Lane } from './lanes'
import { packedProduct } from './packed'
import { asHostCall, deviceInput, fail, input, type DeviceCall, type DeviceRule } from './rule'

/** A weight that is only transposed in its last two axes is multiplied as it lies in the file, with a flag. */
function factor(lane: Lane): { lane: Lane; transposed: boolean } {
  const view = lane.kind === 'host' ? lane.transposeOf : undefined
  if (!view) return { lane, transposed: false }
  const rank = view.perm.length
  const swapped = view.perm.every((axis, i) => axis === (i === rank - 1 ? rank - 2 : i === rank - 2 ? rank - 1 : i))
  return swapped ? { lane: view.lane, transposed: true } : { lane, transposed: false }
}

/** a b of matrices (and batches of them), their last two axes transposed first where the flags say so. */
export function product(call: DeviceCall, a: Lane, b: Lane, transA = false, transB = false): DeviceLane {
  const [left, right] = [factor(a), factor(b)]
  const packed = transA ? undefined : packedProduct(call, a, right.lane, transB !== right.transposed)
  if (packed) return packed
  const attrs = { transA: transA !== left.transposed, transB: transB !== right.transposed }
  return call.emit.emit({ op: 'MatMul', attrs }, [left.lane, right.lane])
}

/** A vector on the left is a row, on the right a column, and that axis is gone from the result (numpy.matmul). */
export const MatMul: DeviceRule = (call) => {
  const [a, b] = [input(call, 0), input(call, 1)]
  const [row, column] = [a.dims.length === 1, b.dims.length === 1]
  const ab = product(call, row ? call.emit.reshape(a, [1, ...a.dims]) : a, column ? call.emit.reshape(b, [...b.dims, 1]) : b)
  const rank = ab.dims.length
  const gone = (axis: number) => (row && axis === rank - 2) || (column && axis === rank - 1)
  return [
    row || column
      ? call.emit.reshape(
          ab,
          ab.dims.filter((_, axis) => !gone(axis)),
        )
      : ab,
  ]
}

/** alpha * A' B' + beta * C. */
export const Gemm: DeviceRule = (call) => {
  const { node, emit } = call
  const flag = (name: string) => intAttribute(node, name, 0) === 1
  const scaled = (x: Lane, by: number) => (by === 1 ? x : emit.emit({ op: 'Mul', attrs: {} }, [x, emit.scalar(by)]))
  const ab = scaled(
    product(call, input(call, 0), input(call, 1), flag('transA'), flag('transB')),
    floatAttribute(node, 'alpha', 1),
  )
  const beta = floatAttribute(node, 'beta', 1)
  const c = call.inputs[2]
  if (!c || beta === 0) return [ab]
  return [emit.emit({ op: 'Add', attrs: {} }, [ab, scaled(c, beta)])]
}

export function add(call: DeviceCall, a: Lane, b: Lane): DeviceLane {
  return call.emit.emit({ op: 'Add', attrs: {} }, [a, b])
}

/**
 * com.microsoft: alpha * A' B'. `trans` transposes the last two axes; before that, `transBatch` brings the first axis behind the
 * batch axes that follow it.
 */
export const FusedMatMul: DeviceRule = (call) => {
  const flag = (name: string) => intAttribute(call.node, name, 0) === 1
  const operand = (i: number, transposeBatch: boolean): Lane => {
    const x = input(call, i)
    const rank = x.dims.length
    if (rank < 2) return fail(`a value of ${rank} dimensions can't be multiplied here`)
    if (!transposeBatch) return x
    const perm = x.dims.map((_, axis) => (axis === rank - 2 ? 0 : axis === rank - 1 ? axis : axis + 1))
    return call.emit.emit({ op: 'Transpose', attrs: { perm } }, [x])
  }
  const [a, b] = [operand(0, flag('transBatchA')), operand(1, flag('transBatchB'))]
  const ab = product(call, a, b, flag('transA'), flag('transB'))
  const alpha = floatAttribute(call.node, 'alpha', 1)
  return [alpha === 1 ? ab : call.emit.emit({ op: 'Mul', attrs: {} }, [ab, call.emit.scalar(alpha)])]
}

/** Softmax and LogSoftmax: over one axis since operator set 13; before, over everything from `axis` on. */
const softmax =
  (op: 'Softmax' | 'LogSoftmax'): DeviceRule =>
  (call) => {
    const x = deviceInput(call, 0)
    const axis = axisOf(intAttribute(call.node, 'axis', call.opset >= 13 ? -1 : 1), x.dims.length)
    if (call.opset >= 13 || axis === x.dims.length - 1) return [call.emit.emit({ op, attrs: { axis } }, [x])]
    const rows = call.emit.reshape(x, [...x.dims.slice(0, axis), elementCount(x.dims.slice(axis))])
    return [call.emit.reshape(call.emit.emit({ op, attrs: { axis } }, [rows]), x.dims)]
  }

export const Softmax = softmax('Softmax')
export const LogSoftmax = softmax('LogSoftmax')

/** x reduced along the axes of the node, as an attribute or, since `axesAsInputSince`, as an input. */
function reduced(
  call: DeviceCall,
  op: 'ReduceSum' | 'ReduceMean' | 'ReduceMax',
  x: DeviceLane,
  axesAsInputSince: number,
): DeviceLane {
  const axes = reduceAxes(asHostCall(call), axesAsInputSince, x.dims.length)
  if (axes.length === 0) return x
  return call.emit.emit({ op, attrs: { axes, keepdims: intAttribute(call.node, 'keepdims', 1) === 1 } }, [x])
}

const reduction =
  (op: 'ReduceSum' | 'ReduceMean' | 'ReduceMax', axesAsInputSince: number): DeviceRule =>
  (call) => [reduced(call, op, deviceInput(call, 0), axesAsInputSince)]

export const ReduceSum = reduction('ReduceSum', 13)
export const ReduceMean = reduction('ReduceMean', 18)
export const ReduceMax = reduction('ReduceMax', 18)

/** The least element is the negative of the greatest negative. */
export const ReduceMin: DeviceRule = (call) => {
  const negative = call.emit.emit({ op: 'Neg', attrs: {} }, [deviceInput(call, 0)])
  return [call.emit.emit({ op: 'Neg', attrs: {} }, [reduced(call, 'ReduceMax', negative, 18)])]
}

/** Sum of what `term` makes of each element, then `finish`. */
const sumOf =
  (
    term: (call: DeviceCall, x: DeviceLane) => DeviceLane,
    finish: (call: DeviceCall, sum: DeviceLane) => DeviceLane,
  ): DeviceRule =>
  (call) => [finish(call, reduced(call, 'ReduceSum', term(call, deviceInput(call, 0)), 18))]

const square = ({ emit }: DeviceCall, x: DeviceLane) => emit.emit({ op: 'Mul', attrs: {} }, [x, x])
const absolute = ({ emit }: DeviceCall, x: DeviceLane) => emit.emit({ op: 'Abs', attrs: {} }, [x])
const root = ({ emit }: DeviceCall, x: DeviceLane) => emit.emit({ op: 'Sqrt', attrs: {} }, [x])
const asIs = (_: DeviceCall, x: DeviceLane) => x

export const ReduceL1 = sumOf(absolute, asIs)
export const ReduceL2 = sumOf(square, root)
export const ReduceSumSquare = sumOf(square, asIs)
