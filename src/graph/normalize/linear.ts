/** Rules for matrix products, normalisations, softmax and reductions. One function per ONNX op. */
import { elementCount } from '../ir'
import { axisOf, full, withDims } from '../host/array'
import { floatAttribute, intAttribute } from '../host/attributes'
import { reduceAxes } from '../host/reduce'
import { HostLane, type DeviceLane, type Lane } from './lanes'
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

function product(call: DeviceCall, a: Lane, b: Lane, transA = false, transB = false): DeviceLane {
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

const reduction =
  (op: 'ReduceSum' | 'ReduceMean' | 'ReduceMax', axesAsInputSince: number): DeviceRule =>
  (call) => {
    const x = deviceInput(call, 0)
    const axes = reduceAxes(asHostCall(call), axesAsInputSince, x.dims.length)
    if (axes.length === 0) return [x]
    return [call.emit.emit({ op, attrs: { axes, keepdims: intAttribute(call.node, 'keepdims', 1) === 1 } }, [x])]
  }

export const ReduceSum = reduction('ReduceSum', 13)
export const ReduceMean = reduction('ReduceMean', 18)
export const ReduceMax = reduction('ReduceMax', 18)

/** Runs a normalisation over everything from `axis` on as one axis. `vectors` are scale and bias. */
function normalization(
  call: DeviceCall,
  vectors: readonly Lane[],
  run: (x: DeviceLane, vectors: readonly Lane[]) => DeviceLane,
): Lane[] {
  const x = deviceInput(call, 0)
  const axis = axisOf(intAttribute(call.node, 'axis', -1), x.dims.length)
  const size = elementCount(x.dims.slice(axis))
  const flat = vectors.map((lane) => vector(call, lane, size))
  if (axis === x.dims.length - 1) return [run(x, flat)]
  return [call.emit.reshape(run(call.emit.reshape(x, [...x.dims.slice(0, axis), size]), flat), x.dims)]
}

/** Scale or bias as [size]; exporters also write [1] and [1, 1, size]. */
function vector(call: DeviceCall, lane: Lane, size: number): Lane {
  if (lane.dims.length === 1 && lane.dims[0] === size) return lane
  if (lane.kind !== 'host' || lane.taint) return call.emit.reshape(lane, [size])
  return call.emit.derive(lane, `vector ${size}`, (from) => {
    const { data, dtype } = from.array
    const array = data.length === 1 ? full(dtype, [size], data[0] ?? NaN) : withDims(from.array, [size])
    return HostLane.of(from.name, array, { isStatic: from.isStatic })
  })
}

export const LayerNormalization: DeviceRule = (call) => {
  const epsilon = floatAttribute(call.node, 'epsilon', 1e-5)
  const scale = input(call, 1)
  const none = (): Lane => {
    if (scale.kind !== 'host') return fail('without a bias the scale has to be a constant')
    return call.emit.derive(scale, 'no bias', (from) => {
      return HostLane.of(`${from.name}~no_bias`, full('float32', from.dims, 0), { isStatic: from.isStatic })
    })
  }
  const bias = call.inputs[2] ?? none()
  return normalization(call, [scale, bias], (x, vectors) =>
    call.emit.emit({ op: 'LayerNorm', attrs: { epsilon } }, [x, ...vectors]),
  )
}

/** onnxruntime's name for RMS normalisation, which fused exports declare in the default domain. */
export const SimplifiedLayerNormalization: DeviceRule = (call) => {
  const epsilon = floatAttribute(call.node, 'epsilon', 1e-5)
  return normalization(call, [input(call, 1)], (x, vectors) =>
    call.emit.emit({ op: 'RMSNorm', attrs: { epsilon } }, [x, ...vectors]),
  )
}
