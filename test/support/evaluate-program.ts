/**
 * The reference for every engine: runs a Program in float64 with plain loops, each op exactly as program.ts (or ONNX)
 * defines it, and checks on the way that every value has the shape the program says. Composites are in evaluate-composites.ts.
 */
import { elementCount } from '../../src/graph/ir'
import { COMPOSITES, type CompositeOp, type Op, type Program, type StandardOp } from '../../src/graph/program'
import { toFloat32 } from '../../src/graph/tensor'
import { evaluateComposite } from './evaluate-composites'
import { around, at, broadcastOffsets, erf, filled, map, matmul, nd, reduce, softmax, sum, transpose, zip, type Nd } from './nd'

export type { Nd } from './nd'

export interface EvaluateOptions {
  /** Names to return; the program's outputs if absent. Any value of the program can be asked for. */
  readonly outputs?: readonly string[]
  /** Round every result to float32, as engines do: matters only where rounding decides, i.e. for DynamicQuantizedMatMul. */
  readonly float32?: boolean
}

/**
 * @param feeds every program input, row-major (float32, int32 or bool as numbers)
 * @throws Error naming the op whose inputs or result don't fit
 */
export function evaluateProgram(
  program: Program,
  feeds: ReadonlyMap<string, ArrayLike<number>>,
  options: EvaluateOptions = {},
): Map<string, Nd> {
  const values = new Map<string, Nd>()
  for (const name of program.inputs) {
    const type = program.values.get(name)
    const data = feeds.get(name)
    if (!type || !data) throw new Error(`program input '${name}' has no ${type ? 'data' : 'type'}`)
    values.set(name, nd(type.dims, data))
  }
  for (const [name, tensor] of program.constants)
    values.set(name, nd(program.values.get(name)?.dims ?? tensor.dims, toFloat32(tensor)))
  for (const op of program.ops) {
    const inputs = op.inputs.map((name) => {
      const value = values.get(name)
      if (!value) throw new Error(`${op.op} '${op.name}': input '${name}' is not defined yet`)
      return value
    })
    const results = evaluateOp(op, inputs)
    if (results.length !== op.outputs.length) throw new Error(`${op.op} '${op.name}' has ${op.outputs.length} outputs`)
    op.outputs.forEach((name, i) => {
      const result = results[i]
      const expected = program.values.get(name)
      if (!result || !expected || result.dims.join() !== expected.dims.join()) {
        throw new Error(
          `${op.op} '${op.name}': '${name}' is [${result?.dims.join(', ')}], the program says [${expected?.dims.join(', ')}]`,
        )
      }
      values.set(name, options.float32 && expected.dtype === 'float32' ? map(result, Math.fround) : result)
    })
  }
  return new Map(
    (options.outputs ?? program.outputs).map((name) => {
      const value = values.get(name)
      if (!value) throw new Error(`the program has no value '${name}'`)
      return [name, value]
    }),
  )
}

const COMPOSITE_NAMES: ReadonlySet<string> = new Set(COMPOSITES)
const isComposite = (op: Op): op is CompositeOp => COMPOSITE_NAMES.has(op.op)

/** One op on float64 arrays: its outputs in order. */
export function evaluateOp(op: Op, inputs: readonly Nd[]): Nd[] {
  return isComposite(op) ? evaluateComposite(op, inputs) : [evaluateStandard(op, inputs)]
}

function evaluateStandard(op: StandardOp, inputs: readonly Nd[]): Nd {
  const input = (i: number): Nd => {
    const value = inputs[i]
    if (!value) throw new Error(`${op.op} '${op.name}' lacks input ${i}`)
    return value
  }
  const unary = (f: (x: number) => number) => map(input(0), f)
  const binary = (f: (a: number, b: number) => number) => zip((a = NaN, b = NaN) => f(a, b), input(0), input(1))
  switch (op.op) {
    case 'Neg':
      return unary((x) => -x)
    case 'Abs':
      return unary(Math.abs)
    case 'Reciprocal':
      return unary((x) => 1 / x)
    case 'Sqrt':
      return unary(Math.sqrt)
    case 'Exp':
      return unary(Math.exp)
    case 'Log':
      return unary(Math.log)
    case 'Erf':
      return unary(erf)
    case 'Tanh':
      return unary(Math.tanh)
    case 'Sigmoid':
      return unary((x) => 1 / (1 + Math.exp(-x)))
    case 'Relu':
      return unary((x) => Math.max(x, 0))
    case 'Sin':
      return unary(Math.sin)
    case 'Cos':
      return unary(Math.cos)
    case 'Not':
      return unary((x) => (x === 0 ? 1 : 0))
    case 'Add':
      return binary((a, b) => a + b)
    case 'Sub':
      return binary((a, b) => a - b)
    case 'Mul':
      return binary((a, b) => a * b)
    case 'Div':
      return binary((a, b) => a / b)
    case 'Pow':
      return binary((a, b) => a ** b)
    case 'Max':
      return binary(Math.max)
    case 'Min':
      return binary(Math.min)
    case 'Greater':
      return binary((a, b) => (a > b ? 1 : 0))
    case 'Equal':
      return binary((a, b) => (a === b ? 1 : 0))
    case 'Where':
      return zip((c = 0, a = NaN, b = NaN) => (c === 0 ? b : a), input(0), input(1), input(2))
    case 'MatMul':
      return matmul(input(0), input(1), op.attrs.transA, op.attrs.transB)
    case 'Softmax':
      return softmax(input(0), op.attrs.axis)
    case 'LogSoftmax':
      return softmax(input(0), op.attrs.axis, true)
    case 'ReduceSum':
      return sum(input(0), op.attrs.axes, op.attrs.keepdims)
    case 'ReduceMean': {
      const count = elementCount(op.attrs.axes.map((axis) => at(input(0).dims, axis)))
      return map(sum(input(0), op.attrs.axes, op.attrs.keepdims), (x) => x / count)
    }
    case 'ReduceMax':
      return reduce(input(0), op.attrs.axes, op.attrs.keepdims, -Infinity, Math.max)
    case 'Reshape':
      return nd(op.attrs.dims, input(0).data)
    case 'Expand':
      return {
        dims: op.attrs.dims,
        data: Float64Array.from(broadcastOffsets(input(0).dims, op.attrs.dims), (i) => at(input(0).data, i)),
      }
    case 'Transpose':
      return transpose(input(0), op.attrs.perm)
    case 'Concat':
      return concat(inputs, op.attrs.axis)
    case 'Slice':
      return slice(input(0), op.attrs.axis, op.attrs.start, op.attrs.end)
    case 'Pad':
      return pad(input(0), op.attrs.axis, op.attrs.before, op.attrs.after)
    case 'Gather':
      return gather(input(0), input(1), op.attrs.axis)
    case 'ArgMax': {
      const [outer, size] = around(input(0).dims, input(0).dims.length - 1)
      const out = filled(input(0).dims.slice(0, -1))
      for (let o = 0; o < outer; o++) {
        const row = input(0).data.subarray(o * size, (o + 1) * size)
        out.data[o] = row.indexOf(row.reduce((a, b) => Math.max(a, b)))
      }
      return out
    }
  }
}

function concat(inputs: readonly Nd[], axis: number): Nd {
  const first = inputs[0]
  if (!first) throw new Error('Concat of nothing')
  const size = inputs.reduce((total, x) => total + at(x.dims, axis), 0)
  const out = filled(first.dims.map((dim, i) => (i === axis ? size : dim)))
  let start = 0
  for (const x of inputs) {
    const [outer, own, inner] = around(x.dims, axis)
    for (let o = 0; o < outer; o++) {
      out.data.set(x.data.subarray(o * own * inner, (o + 1) * own * inner), (o * size + start) * inner)
    }
    start += own
  }
  return out
}

function slice(x: Nd, axis: number, start: number, end: number): Nd {
  const [outer, size, inner] = around(x.dims, axis)
  if (!(start >= 0 && end >= start && end <= size)) throw new Error(`Slice [${start}, ${end}) of an axis of ${size}`)
  const out = filled(x.dims.map((dim, i) => (i === axis ? end - start : dim)))
  for (let o = 0; o < outer; o++) {
    out.data.set(x.data.subarray((o * size + start) * inner, (o * size + end) * inner), o * (end - start) * inner)
  }
  return out
}

function pad(x: Nd, axis: number, before: number, after: number): Nd {
  const zeros = (size: number) => filled(x.dims.map((dim, i) => (i === axis ? size : dim)))
  return concat([zeros(before), x, zeros(after)], axis)
}

function gather(x: Nd, indices: Nd, axis: number): Nd {
  const [outer, size, inner] = around(x.dims, axis)
  const count = indices.data.length
  const out = filled([...x.dims.slice(0, axis), ...indices.dims, ...x.dims.slice(axis + 1)])
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < count; i++) {
      const index = at(indices.data, i)
      if (!(index >= 0 && index < size)) throw new Error(`Gather index ${index} outside 0..${size - 1}`)
      out.data.set(x.data.subarray((o * size + index) * inner, (o * size + index + 1) * inner), (o * count + i) * inner)
    }
  }
  return out
}
