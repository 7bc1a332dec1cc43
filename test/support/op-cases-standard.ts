/** The cases of the standard ONNX ops, and of constants in the file's own types. Part of op-cases.ts. */
import type { BinaryName, UnaryName } from '../../src/graph/program'
import {
  bools,
  constant,
  exactIndices,
  exactly,
  float32,
  floats,
  FLOAT32_TOLERANCE,
  halfPrecision,
  indices,
  opCase,
  typed,
  type OpCase,
  type Operand,
} from './op-case'
import { broadcastDims } from './nd'

const MOST_NEGATIVE = -3.4028234663852886e38

export function standardCases(): OpCase[] {
  return [
    ...unaryCases(),
    ...binaryCases(),
    ...matMulCases(),
    ...softmaxCases(),
    ...reduceCases(),
    ...shapeCases(),
    ...indexCases(),
    ...halfPrecisionCases(),
  ]
}

function unaryCases(): OpCase[] {
  const unary = (op: UnaryName, what: string, x: Operand, tolerance?: number) =>
    opCase(what, (io) => ({ op, ...io, attrs: {} }), [x], [x.type], tolerance)
  const anything: readonly UnaryName[] = ['Neg', 'Abs', 'Exp', 'Erf', 'Tanh', 'Sigmoid', 'Relu', 'Sin', 'Cos']
  const positive: readonly UnaryName[] = ['Reciprocal', 'Sqrt', 'Log']
  const shapes = [[], [1], [2, 3], [1, 2, 1, 3, 2]]
  return [
    ...anything.flatMap((op) => shapes.map((dims) => unary(op, `[${dims.join(', ')}]`, floats(dims, -4, 4)))),
    ...positive.flatMap((op) => shapes.map((dims) => unary(op, `[${dims.join(', ')}]`, floats(dims, 0.1, 9)))),
    ...(['Erf', 'Tanh', 'Sigmoid', 'Relu'] as const).map((op) =>
      unary(op, 'saturated', exactly([8], [-1e4, -100, -20, -1e-4, 1e-4, 20, 100, 1e4])),
    ),
    unary('Exp', 'underflow', exactly([3], [-1e4, -104, 0])),
    unary('Exp', 'of a mask', exactly([2], [MOST_NEGATIVE, 1])),
    // Angles of rotary tables: position times inverse frequency. float32 arguments near 500 are 3e-5 apart, but exact here.
    unary('Sin', 'large angles', floats([16], 0, 500), 3e-5),
    unary('Cos', 'large angles', floats([16], 0, 500), 3e-5),
    unary('Not', '[2, 3]', bools([2, 3])),
    unary('Not', '[]', bools([])),
  ]
}

function binaryCases(): OpCase[] {
  const binary = (op: BinaryName, what: string, a: Operand, b: Operand) => {
    const dims = broadcastDims(a.type.dims, b.type.dims)
    const out = op === 'Greater' || op === 'Equal' ? typed('bool', dims) : float32(dims)
    return opCase(what, (io) => ({ op, ...io, attrs: {} }), [a, b], [out])
  }
  const shapes: readonly (readonly [number[], number[]])[] = [
    [
      [2, 3],
      [2, 3],
    ],
    [[2, 3], []],
    [[], []],
    [[3], [2, 1]],
    [
      [2, 1, 3],
      [4, 1],
    ],
    [
      [1, 3, 1, 2],
      [2, 1, 2, 1],
    ],
    [
      [2, 1, 2, 1, 3],
      [2, 2, 1],
    ],
  ]
  const operators: readonly BinaryName[] = ['Add', 'Sub', 'Mul', 'Div', 'Max', 'Min', 'Greater']
  const twice = floats([2, 3])
  const whole = (dims: number[]) =>
    exactly(
      dims,
      Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => (i * 7) % 3),
    )
  const cases = operators.flatMap((op) =>
    shapes.map(([a, b]) => {
      const divisor = op === 'Div' ? floats(b, 0.5, 2) : floats(b)
      return binary(op, `[${a.join(', ')}] with [${b.join(', ')}]`, floats(a), divisor)
    }),
  )
  const where = (condition: number[], a: number[], b: number[]) =>
    opCase(
      `[${condition.join(', ')}] ? [${a.join(', ')}] : [${b.join(', ')}]`,
      (io) => ({ op: 'Where', ...io, attrs: {} }),
      [bools(condition), floats(a), floats(b)],
      [float32(broadcastDims(condition, a, b))],
    )
  return [
    ...cases,
    ...shapes.map(([a, b]) => binary('Equal', `[${a.join(', ')}] with [${b.join(', ')}]`, whole(a), whole(b))),
    binary('Add', 'the same value twice', twice, twice),
    binary('Add', 'a mask', floats([2, 3]), exactly([3], [0, MOST_NEGATIVE, 0])),
    binary('Mul', 'a constant', floats([2, 3, 4]), constant(floats([4]))),
    binary('Sub', 'a constant first', constant(floats([1])), floats([2, 1, 3])),
    binary('Pow', 'squares of negatives', floats([2, 3]), constant(exactly([], [2]))),
    binary('Pow', 'cubes of negatives', floats([3, 2, 1]), constant(exactly([1], [3]))),
    binary('Pow', 'roots', floats([4], 0, 5), constant(exactly([], [0.5]))),
    binary('Pow', 'broadcasting', floats([2, 1, 3], 0.2, 3), floats([4, 1])),
    where([2, 3], [2, 3], [2, 3]),
    where([1, 3], [2, 1], []),
    where([], [2, 2], [2, 2]),
    where([2, 1, 1, 4], [1, 3, 1], [4]),
    opCase(
      'of a mask',
      (io) => ({ op: 'Where', ...io, attrs: {} }),
      [bools([1, 1, 4, 4]), floats([2, 3, 4, 4]), constant(exactly([], [MOST_NEGATIVE]))],
      [float32([2, 3, 4, 4])],
    ),
  ]
}

function matMulCases(): OpCase[] {
  const matMul = (what: string, a: Operand, b: Operand, transA = false, transB = false) => {
    const [left, right] = [a.type.dims, b.type.dims]
    const rows = left.at(transA ? -1 : -2) ?? 1
    const columns = right.at(transB ? -2 : -1) ?? 1
    const batch = broadcastDims(left.slice(0, -2), right.slice(0, -2))
    const out = float32([...batch, rows, columns])
    return opCase(what, (io) => ({ op: 'MatMul', ...io, attrs: { transA, transB } }), [a, b], [out])
  }
  const square = floats([2, 3, 3])
  const shared = floats([4, 6])
  return [
    matMul('2-D', floats([3, 5]), floats([5, 4])),
    matMul('2-D, A transposed', floats([5, 3]), floats([5, 4]), true, false),
    matMul('2-D, B transposed', floats([3, 5]), floats([4, 5]), false, true),
    matMul('2-D, both transposed', floats([5, 3]), floats([4, 5]), true, true),
    matMul('one by one', floats([1, 1]), floats([1, 1])),
    matMul('a row by a column', floats([1, 7]), floats([7, 1])),
    matMul('the same value twice', square, square, false, true),
    matMul('3-D by a constant', floats([2, 3, 5]), constant(floats([5, 4]))),
    matMul('3-D by a transposed constant', floats([2, 3, 5]), constant(floats([4, 5])), false, true),
    matMul('4-D by a constant', floats([2, 1, 3, 5]), constant(floats([5, 4]))),
    matMul('transposed 3-D by a constant', floats([2, 5, 3]), constant(floats([5, 4])), true, false),
    matMul('a constant by 3-D', constant(floats([4, 5])), floats([2, 5, 3])),
    matMul('two constants', constant(shared), constant(floats([6, 2]))),
    matMul('batches', floats([2, 3, 4, 5]), floats([2, 3, 5, 2])),
    matMul('batches, B transposed', floats([2, 3, 4, 5]), floats([2, 3, 2, 5]), false, true),
    matMul('batches, A transposed', floats([2, 3, 5, 4]), floats([2, 3, 5, 2]), true, false),
    matMul('broadcast batches', floats([2, 1, 4, 5]), floats([3, 5, 2])),
    matMul('broadcast batches, both transposed', floats([1, 3, 5, 4]), floats([2, 1, 2, 5]), true, true),
    matMul('broadcast batches, constant', floats([2, 1, 4, 5]), constant(floats([1, 3, 5, 2]))),
    matMul('3-D by fed 2-D', floats([2, 3, 5]), floats([5, 4])),
    matMul('rank 5', floats([1, 2, 2, 3, 4]), floats([2, 1, 2, 4, 2])),
    matMul('wider than a tile', floats([37, 70]), floats([70, 41])),
    matMul('taller than a tile', floats([2, 65, 33]), constant(floats([66, 33])), false, true),
  ]
}

function softmaxCases(): OpCase[] {
  const ops = ['Softmax', 'LogSoftmax'] as const
  const masked = exactly([3, 4], [1, 2, MOST_NEGATIVE, 3, ...new Array<number>(4).fill(MOST_NEGATIVE), -1e4, -1e4, 0, 0])
  const cases = ops.flatMap((op) =>
    (
      [
        [[2, 3], 1],
        [[2, 3], 0],
        [[5], 0],
        [[3, 1], 1],
        [[2, 3, 4], 1],
        [[2, 1, 3, 2, 5], 4],
        [[2, 300], 1],
      ] as const
    ).map(([dims, axis]) =>
      opCase(
        `[${dims.join(', ')}] over ${axis}`,
        (io) => ({ op, ...io, attrs: { axis } }),
        [floats(dims, -6, 6)],
        [float32(dims)],
      ),
    ),
  )
  return [
    ...cases,
    opCase('masked', (io) => ({ op: 'Softmax', ...io, attrs: { axis: 1 } }), [masked], [masked.type]),
    ...ops.map((op) =>
      opCase(
        'extreme',
        (io) => ({ op, ...io, attrs: { axis: 1 } }),
        [exactly([2, 3], [900, 901, -900, -1e4, -1e4, -1e4])],
        [float32([2, 3])],
      ),
    ),
  ]
}

function reduceCases(): OpCase[] {
  const shapes: readonly (readonly [number[], number[]])[] = [
    [[2, 3], [1]],
    [[2, 3], [0]],
    [
      [2, 3],
      [0, 1],
    ],
    [[4], [0]],
    [[2, 1, 3], [1]],
    [
      [2, 3, 4],
      [0, 2],
    ],
    [
      [2, 3, 2, 2, 3],
      [1, 3],
    ],
    [
      [2, 3, 2, 2, 3],
      [0, 1, 2, 3, 4],
    ],
    [[3, 200], [1]],
  ]
  return (['ReduceSum', 'ReduceMean', 'ReduceMax'] as const).flatMap((op) =>
    shapes.flatMap(([dims, axes]) =>
      [true, false].map((keepdims) => {
        const kept = dims.map((dim, i) => (axes.includes(i) ? 1 : dim))
        const out = keepdims ? kept : dims.filter((_, i) => !axes.includes(i))
        const what = `[${dims.join(', ')}] over ${axes.join(', ')}${keepdims ? ' kept' : ''}`
        return opCase(what, (io) => ({ op, ...io, attrs: { axes, keepdims } }), [floats(dims)], [float32(out)])
      }),
    ),
  )
}

function shapeCases(): OpCase[] {
  const reshape = (from: number[], dims: number[]) =>
    opCase(
      `[${from.join(', ')}] to [${dims.join(', ')}]`,
      (io) => ({ op: 'Reshape', ...io, attrs: { dims } }),
      [floats(from)],
      [float32(dims)],
    )
  const expand = (from: number[], dims: number[]) =>
    opCase(
      `[${from.join(', ')}] to [${dims.join(', ')}]`,
      (io) => ({ op: 'Expand', ...io, attrs: { dims } }),
      [floats(from)],
      [float32(dims)],
    )
  const transpose = (from: number[], perm: number[]) =>
    opCase(
      `[${from.join(', ')}] by ${perm.join(', ')}`,
      (io) => ({ op: 'Transpose', ...io, attrs: { perm } }),
      [floats(from)],
      [float32(perm.map((axis) => from[axis] ?? NaN))],
    )
  const concat = (operands: readonly Operand[], axis: number, what: string) => {
    const dims = [...(operands[0]?.type.dims ?? [])]
    dims[axis] = operands.reduce((total, x) => total + (x.type.dims[axis] ?? NaN), 0)
    return opCase(what, (io) => ({ op: 'Concat', ...io, attrs: { axis } }), operands, [float32(dims)])
  }
  const slice = (from: number[], axis: number, start: number, end: number) =>
    opCase(
      `[${from.join(', ')}] on ${axis}, ${start} to ${end}`,
      (io) => ({ op: 'Slice', ...io, attrs: { axis, start, end } }),
      [floats(from)],
      [float32(from.map((dim, i) => (i === axis ? end - start : dim)))],
    )
  const pad = (from: number[], axis: number, before: number, after: number) =>
    opCase(
      `[${from.join(', ')}] on ${axis}, ${before} and ${after}`,
      (io) => ({ op: 'Pad', ...io, attrs: { axis, before, after } }),
      [floats(from)],
      [float32(from.map((dim, i) => (i === axis ? before + dim + after : dim)))],
    )
  const twice = floats([2, 3])
  return [
    reshape([2, 3, 4], [6, 4]),
    reshape([1], []),
    reshape([], [1, 1]),
    reshape([2, 1, 3, 1, 4], [1, 24]),
    expand([], [2, 3]),
    expand([1, 3], [2, 3]),
    expand([2, 1, 1], [2, 3, 4]),
    expand([1, 2, 1, 3], [2, 2, 2, 3]),
    expand([2, 3, 1, 4, 2], [2, 3, 3, 4, 2]),
    expand([2, 3], [2, 3]),
    transpose([2, 3], [1, 0]),
    transpose([2, 3, 4], [0, 2, 1]),
    transpose([2, 3, 4, 5], [0, 2, 1, 3]),
    transpose([2, 3, 1, 2, 2], [3, 0, 4, 2, 1]),
    transpose([4], [0]),
    concat([floats([2, 3]), floats([2, 1])], 1, 'two on the last axis'),
    concat([floats([1, 2, 3]), floats([4, 2, 3]), floats([2, 2, 3])], 0, 'three on the first axis'),
    concat([floats([2, 1, 2, 2]), constant(floats([2, 3, 2, 2]))], 1, 'with a constant'),
    concat([twice, twice], 0, 'the same value twice'),
    concat([floats([2, 2])], 1, 'one'),
    slice([4, 6], 1, 2, 5),
    slice([4, 6], 0, 0, 1),
    slice([2, 3, 8], 2, 4, 8),
    slice([2, 3, 2, 2, 4], 1, 1, 3),
    slice([5], 0, 0, 5),
    pad([2, 3], 1, 1, 2),
    pad([2, 3], 0, 0, 3),
    pad([4], 0, 2, 0),
    pad([2, 1, 3, 2, 2], 1, 1, 1),
    pad([2, 2], 0, 0, 0),
  ]
}

function indexCases(): OpCase[] {
  const gather = (what: string, data: Operand, index: Operand, axis: number) => {
    const dims = [...data.type.dims.slice(0, axis), ...index.type.dims, ...data.type.dims.slice(axis + 1)]
    return opCase(what, (io) => ({ op: 'Gather', ...io, attrs: { axis } }), [data, index], [float32(dims)])
  }
  const argMax = (what: string, x: Operand) =>
    opCase(what, (io) => ({ op: 'ArgMax', ...io, attrs: {} }), [x], [typed('int32', x.type.dims.slice(0, -1))])
  return [
    gather('rows of a constant table', constant(floats([7, 3])), indices([2, 4], 7), 0),
    gather('one row', constant(floats([7, 3])), exactIndices([], [6]), 0),
    gather('columns', floats([2, 5]), exactIndices([3], [4, 0, 4]), 1),
    gather('middle axis', floats([2, 4, 3]), indices([2, 2], 4), 1),
    gather('a constant index', floats([3, 4, 2]), constant(exactIndices([2], [2, 0])), 0),
    argMax('[2, 5]', floats([2, 5])),
    argMax('[2, 3, 40]', floats([2, 3, 40])),
    argMax('[6]', floats([6])),
    argMax('first of equals', exactly([3, 4], [1, 3, 3, 2, 0, 0, 0, 0, -5, MOST_NEGATIVE, -5, -6])),
    argMax('one column', floats([3, 1])),
  ]
}

function halfPrecisionCases(): OpCase[] {
  return (['float16', 'bfloat16'] as const).flatMap((dtype) => [
    opCase(
      `by a ${dtype} constant`,
      (io) => ({ op: 'MatMul', ...io, attrs: { transA: false, transB: true } }),
      [floats([2, 3, 5]), halfPrecision(dtype, [4, 5])],
      [float32([2, 3, 4])],
    ),
    opCase(
      `of a ${dtype} constant`,
      (io) => ({ op: 'Add', ...io, attrs: {} }),
      [floats([2, 3]), halfPrecision(dtype, [3])],
      [float32([2, 3])],
      FLOAT32_TOLERANCE,
    ),
  ])
}
