/** Every op of the host interpreter against onnxruntime, on graphs of one node. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bools, floats, ints, node, runOnnx, tensor, type Values } from '../../../test/support/onnx'
import { GraphError, type Node } from '../ir'
import { fromTensor, type NdArray } from './array'
import { evaluateNode, HOST_OPS } from './table'

interface Case {
  readonly op: string
  readonly inputs: readonly (Values | null)[]
  readonly attributes?: Parameters<typeof node>[3]
  readonly opset?: number
  readonly outputs?: number
}

const x23 = floats([2, 3], [1.5, -2, 0.25, 3, -0.5, 7])
const y3 = floats([3], [2, -4, 0.5])
const i23 = ints([2, 3], [7, -7, 3, 0, 5, -2])
const j23 = ints([2, 3], [2, 2, -2, 3, -5, -4])
const b23 = bools([2, 3], [1, 0, 1, 0, 0, 1])
const positive = floats([2, 2], [0.5, 1, 4, 9])
const x234 = floats(
  [2, 3, 4],
  Array.from({ length: 24 }, (_, i) => Math.sin(i) * 3),
)
const vector = (...values: number[]) => ints([values.length], values)
const float = (value: number) => ({ float: value })

// prettier-ignore
const CASES: readonly Case[] = [
  { op: 'Shape', inputs: [x234] },
  { op: 'Shape', inputs: [x234], attributes: { start: 1, end: -1 } },
  { op: 'Size', inputs: [x234] },
  { op: 'Identity', inputs: [i23] },
  { op: 'Dropout', inputs: [x23] },
  { op: 'Constant', inputs: [], attributes: { value: tensor(i23) } },
  { op: 'Constant', inputs: [], attributes: { value_int: -3 } },
  { op: 'Constant', inputs: [], attributes: { value_ints: [4, 5] } },
  { op: 'Constant', inputs: [], attributes: { value_float: float(0.5) } },
  { op: 'ConstantOfShape', inputs: [vector(2, 0, 3)] },
  { op: 'ConstantOfShape', inputs: [vector(2, 3)], attributes: { value: tensor(ints([1], [-1])) } },
  { op: 'Range', inputs: [ints([], [3]), ints([], [10]), ints([], [3])] },
  { op: 'Range', inputs: [floats([], [1]), floats([], [-1]), floats([], [-0.4])] },
  { op: 'Range', inputs: [ints([], [3]), ints([], [1]), ints([], [1])] },
  { op: 'Cast', inputs: [x23], attributes: { to: 7 } },
  { op: 'Cast', inputs: [i23], attributes: { to: 1 } },
  { op: 'Cast', inputs: [x23], attributes: { to: 9 } },
  { op: 'Cast', inputs: [b23], attributes: { to: 6 } },
  { op: 'Cast', inputs: [ints([3], [300, -1, 128])], attributes: { to: 2 } },
  { op: 'Reshape', inputs: [x234, vector(0, -1)] },
  { op: 'Reshape', inputs: [x234, vector(4, 3, -1, 1)] },
  { op: 'Squeeze', inputs: [floats([1, 2, 1], [1, 2]), vector(-1)] },
  { op: 'Squeeze', inputs: [floats([1, 2, 1], [1, 2])] },
  { op: 'Squeeze', inputs: [floats([1, 2, 1], [1, 2])], attributes: { axes: [0] }, opset: 11 },
  { op: 'Unsqueeze', inputs: [x23, vector(-1, 0)] },
  { op: 'Unsqueeze', inputs: [x23], attributes: { axes: [1, 3] }, opset: 11 },
  { op: 'Flatten', inputs: [x234], attributes: { axis: 2 } },
  { op: 'Flatten', inputs: [x234], attributes: { axis: 3 } },
  ...['Neg', 'Abs', 'Sign', 'Reciprocal', 'Exp', 'Sin', 'Cos', 'Tanh', 'Sigmoid', 'Relu', 'Floor', 'Ceil'].map((op) => ({ op, inputs: [x23] })),
  { op: 'Neg', inputs: [i23] },
  { op: 'Sqrt', inputs: [positive] },
  { op: 'Log', inputs: [positive] },
  { op: 'Not', inputs: [b23] },
  { op: 'IsNaN', inputs: [floats([3], [NaN, 1, Infinity])] },
  { op: 'Clip', inputs: [x23, floats([], [-1]), floats([], [2])] },
  { op: 'Clip', inputs: [x23, null, floats([], [2])] },
  ...['Add', 'Sub', 'Mul', 'Div'].flatMap((op) => [
    { op, inputs: [x23, y3] },
    { op, inputs: [i23, j23] },
  ]),
  { op: 'Div', inputs: [y3, x23] },
  { op: 'Mod', inputs: [i23, j23] },
  { op: 'Mod', inputs: [i23, j23], attributes: { fmod: 1 } },
  { op: 'Mod', inputs: [x23, y3], attributes: { fmod: 1 } },
  { op: 'Pow', inputs: [x23, floats([], [2])] },
  { op: 'Pow', inputs: [i23, floats([], [3])] },
  { op: 'Max', inputs: [x23, y3, floats([2, 1], [0, 1])] },
  { op: 'Min', inputs: [x23, y3] },
  { op: 'Sum', inputs: [x23, y3, x23] },
  ...['Equal', 'Less', 'LessOrEqual', 'Greater', 'GreaterOrEqual'].map((op) => ({ op, inputs: [i23, ints([3], [7, 5, -2])] })),
  ...['And', 'Or', 'Xor'].map((op) => ({ op, inputs: [b23, bools([3], [1, 1, 0])] })),
  { op: 'Where', inputs: [b23, x23, floats([], [-Infinity])] },
  { op: 'Where', inputs: [bools([2, 1], [0, 1]), y3, x23] },
  { op: 'Transpose', inputs: [x234] },
  { op: 'Transpose', inputs: [x234], attributes: { perm: [1, 2, 0] } },
  { op: 'Expand', inputs: [floats([3, 1], [1, 2, 3]), vector(2, 1, 4)] },
  { op: 'Tile', inputs: [x23, vector(2, 3)] },
  { op: 'Concat', inputs: [x23, floats([2, 0], []), floats([2, 1], [8, 9])], attributes: { axis: -1 } },
  { op: 'Slice', inputs: [x234, vector(1, -3), vector(Number.MAX_SAFE_INTEGER, -1), vector(0, 2)] },
  { op: 'Slice', inputs: [x234, vector(-1), vector(-Number.MAX_SAFE_INTEGER), vector(2), vector(-2)] },
  { op: 'Split', inputs: [x234, vector(1, 2)], attributes: { axis: 1 }, outputs: 2 },
  { op: 'Split', inputs: [x234], attributes: { axis: -1 }, outputs: 2 },
  { op: 'Split', inputs: [x234], attributes: { axis: 2, split: [1, 3] }, opset: 11, outputs: 2 },
  { op: 'Gather', inputs: [x234, ints([2, 2], [0, -1, 2, 1])], attributes: { axis: 1 } },
  { op: 'Gather', inputs: [x234, ints([], [1])] },
  { op: 'GatherElements', inputs: [x23, ints([2, 2], [2, 0, -1, 1])], attributes: { axis: 1 } },
  { op: 'GatherND', inputs: [x234, ints([2, 2], [1, 2, 0, 0])] },
  { op: 'GatherND', inputs: [x234, ints([2, 1], [2, 0])], attributes: { batch_dims: 1 } },
  { op: 'ScatterND', inputs: [x23, ints([2, 1], [1, 0]), floats([2, 3], [1, 2, 3, 4, 5, 6])] },
  { op: 'ScatterND', inputs: [x23, ints([2, 2], [1, -1, 0, 0]), floats([2], [9, 8])] },
  { op: 'Pad', inputs: [x23, vector(0, 1, 2, -1)] },
  { op: 'Pad', inputs: [i23, vector(1, 0), ints([], [9]), vector(-1)], opset: 18 },
  { op: 'Pad', inputs: [x23], attributes: { pads: [1, 0, 0, 1], value: float(2) }, opset: 10 },
  { op: 'ScatterElements', inputs: [x23, ints([1, 2], [2, -3]), floats([1, 2], [8, 9])], attributes: { axis: 1 } },
  { op: 'OneHot', inputs: [ints([2, 2], [0, 2, -1, 5]), ints([], [3]), floats([2], [-1, 2])] },
  { op: 'OneHot', inputs: [ints([2], [1, 0]), ints([], [3]), ints([2], [0, 1])], attributes: { axis: 0 } },
  { op: 'EyeLike', inputs: [x23], attributes: { k: 1, dtype: 7 } },
  { op: 'EyeLike', inputs: [x23] },
  { op: 'CastLike', inputs: [x23, i23] },
  { op: 'Round', inputs: [floats([6], [0.5, 1.5, -0.5, -1.5, 2.4, -2.6])] },
  { op: 'IsInf', inputs: [floats([3], [Infinity, 1, -Infinity])], attributes: { detect_negative: 0 } },
  ...['ArgMax', 'ArgMin'].flatMap((op) => [
    { op, inputs: [floats([2, 3], [1, 3, 3, 0, 0, 2])], attributes: { axis: 1 } },
    { op, inputs: [floats([2, 3], [1, 3, 3, 0, 0, 2])], attributes: { axis: -1, keepdims: 0, select_last_index: 1 } },
  ]),
  ...['ReduceL1', 'ReduceL2', 'ReduceSumSquare'].map((op) => ({ op, inputs: [x234, vector(1)], opset: 18 })),
  { op: 'Einsum', inputs: [y3, floats([2], [3, 5])], attributes: { equation: 'i,j->ij' } },
  { op: 'Einsum', inputs: [x234, floats([4, 2], [1, 2, 3, 4, 5, 6, 7, 8])], attributes: { equation: '...i,ij->...j' } },
  { op: 'Einsum', inputs: [x234], attributes: { equation: 'abc->ca' } },
  { op: 'Einsum', inputs: [x23, y3, x23], attributes: { equation: 'ij, j, kj' } },
  { op: 'Trilu', inputs: [x234] },
  { op: 'Trilu', inputs: [x23, ints([], [-1])], attributes: { upper: 0 } },
  ...['ReduceMax', 'ReduceMin', 'ReduceMean', 'ReduceProd'].flatMap((op) => [
    { op, inputs: [x234], attributes: { axes: [-1, 0], keepdims: 0 } },
    { op, inputs: [x234, vector(1)], opset: 18 },
    { op, inputs: [x234] },
  ]),
  { op: 'ReduceSum', inputs: [x234, vector(2)], attributes: { keepdims: 0 } },
  { op: 'ReduceSum', inputs: [i23], attributes: { axes: [0] }, opset: 11 },
  { op: 'ReduceSum', inputs: [i23, vector()], attributes: { noop_with_empty_axes: 1 } },
  { op: 'CumSum', inputs: [x234, ints([], [1])] },
  { op: 'CumSum', inputs: [i23, ints([], [-1])], attributes: { exclusive: 1 } },
  { op: 'CumSum', inputs: [i23, ints([], [0])], attributes: { reverse: 1, exclusive: 1 } },
  { op: 'MatMul', inputs: [x23, floats([3, 2], [1, 2, 3, 4, 5, 6])] },
  { op: 'MatMul', inputs: [x234, floats([4], [1, -1, 2, 0.5])] },
  { op: 'MatMul', inputs: [floats([3], [1, 2, 3]), x234] },
  { op: 'MatMul', inputs: [floats([1, 3, 1], [1, 2, 3]), floats([2, 1, 2], [1, 2, 3, 4])] },
  { op: 'Softmax', inputs: [x234] },
  { op: 'Softmax', inputs: [x234], attributes: { axis: 1 } },
  { op: 'Softmax', inputs: [x234], opset: 11 },
  { op: 'DequantizeLinear', inputs: [{ dtype: 'int8', dims: [2, 3], data: [1, -2, 3, 100, -128, 0] }, floats([], [0.5]), { dtype: 'int8', dims: [], data: [-3] }] },
  { op: 'DequantizeLinear', inputs: [{ dtype: 'uint8', dims: [2, 3], data: [1, 2, 3, 255, 128, 0] }, y3, { dtype: 'uint8', dims: [3], data: [1, 2, 128] }] },
  { op: 'DequantizeLinear', inputs: [{ dtype: 'uint8', dims: [2, 3], data: [1, 2, 3, 255, 128, 0] }, floats([2], [1, 3])], attributes: { axis: 0 } },
]

const asNd = (values: Values): NdArray => fromTensor(tensor(values))

function build(test: Case): Node {
  const inputs = test.inputs.map((value, i) => (value ? `x${i}` : ''))
  return node(
    test.op,
    inputs,
    Array.from({ length: test.outputs ?? 1 }, (_, i) => `y${i}`),
    test.attributes,
  )
}

async function compare(test: Case): Promise<void> {
  const built = build(test)
  const opset = test.opset ?? 17
  const results = evaluateNode(
    built,
    opset,
    test.inputs.map((value) => value && asNd(value)),
  )
  expect(results.length).toBe(test.outputs ?? 1)
  const inputs = Object.fromEntries(test.inputs.flatMap((value, i) => (value ? [[`x${i}`, value] as const] : [])))
  const expected = await runOnnx({
    nodes: [built],
    inputs,
    outputs: Object.fromEntries(results.map((y, i) => [`y${i}`, y])),
    opset,
  })
  results.forEach((got, i) => {
    const want = expected[`y${i}`]
    expect(got.dims).toEqual(want?.dims)
    expect(got.dtype).toBe(want?.dtype)
    got.data.forEach((value, k) => {
      const reference = want?.data[k] ?? NaN
      // Sums in another order, and onnxruntime's own approximations of exp, tanh and sigmoid.
      if (got.dtype === 'float32' && Number.isFinite(reference))
        expect(Math.abs(value - reference)).toBeLessThanOrEqual(3e-6 * Math.max(1, Math.abs(reference)))
      else expect(value).toBe(reference)
    })
  })
}

describe('host ops against onnxruntime', () => {
  it.each(
    CASES.map(
      (test) =>
        [
          `${test.op} ${JSON.stringify(test.attributes ?? {}).slice(0, 60)} of ${test.inputs.map((x) => (x ? `[${x.dims.join()}]` : '-')).join(' ')}`,
          test,
        ] as const,
    ),
  )('%s', (_, test) => compare(test))

  it('has a case for every op of the table', () => {
    const tested = new Set(CASES.map(({ op }) => op))
    // onnxruntime-web has no kernel for this one: normalize/packed.test.ts holds it to its float32 twin.
    tested.add('com.microsoft.GatherBlockQuantized')
    expect([...HOST_OPS.keys()].filter((key) => !tested.has(key))).toEqual([])
  })

  it('Slice with any bounds and steps', async () => {
    const bound = fc.integer({ min: -6, max: 6 })
    const step = fc.integer({ min: -3, max: 3 }).filter((value) => value !== 0)
    await fc.assert(
      fc.asyncProperty(bound, bound, step, bound, bound, (start, end, by, start2, end2) => {
        return compare({ op: 'Slice', inputs: [x234, vector(start, start2), vector(end, end2), vector(2, -2), vector(by, 1)] })
      }),
      { numRuns: 200 },
    )
  })

  it('Where with any broadcasting', async () => {
    const dims = fc
      .array(fc.boolean(), { maxLength: 3 })
      .map((kept) => kept.map((own, i) => (own ? ([2, 3, 4][i + 3 - kept.length] ?? 1) : 1)))
    const filled = (shape: number[], make: (i: number) => number) =>
      Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => make(i))
    await fc.assert(
      fc.asyncProperty(dims, dims, dims, (c, a, b) => {
        return compare({
          op: 'Where',
          inputs: [
            bools(
              c,
              filled(c, (i) => i % 2),
            ),
            floats(
              a,
              filled(a, (i) => i),
            ),
            floats(
              b,
              filled(b, (i) => -i - 1),
            ),
          ],
        })
      }),
      { numRuns: 40 },
    )
  })
})

describe('bad input is refused by name', () => {
  const refused = (test: Case) => {
    return () =>
      evaluateNode(
        build(test),
        test.opset ?? 17,
        test.inputs.map((value) => value && asNd(value)),
      )
  }
  it.each<[string, Case, RegExp]>([
    [
      'too large a result',
      { op: 'ConstantOfShape', inputs: [vector(1e6, 1e6)] },
      /ConstantOfShape 'ConstantOfShape_0': .*1000000000000 elements/,
    ],
    ['a negative dimension', { op: 'ConstantOfShape', inputs: [vector(-2)] }, /not a shape/],
    ['an expansion without end', { op: 'Expand', inputs: [x23, vector(1e9, 2, 3)] }, /elements, the limit/],
    ['a huge tiling', { op: 'Tile', inputs: [x23, vector(1e8, 1e8)] }, /elements, the limit/],
    ['an endless range', { op: 'Range', inputs: [ints([], [0]), ints([], [5]), ints([], [0])] }, /range from 0 to 5 by 0/],
    ['a huge range', { op: 'Range', inputs: [ints([], [0]), ints([], [2 ** 50]), ints([], [1])] }, /elements, the limit/],
    ['an index out of range', { op: 'Gather', inputs: [x23, ints([1], [2])] }, /Gather 'Gather_0': index 2 into 2 entries/],
    ['shapes that do not broadcast', { op: 'Add', inputs: [x23, floats([2], [1, 2])] }, /don't broadcast/],
    ['a reshape to another size', { op: 'Reshape', inputs: [x23, vector(4, -1)] }, /can't be reshaped/],
    ['integer division by zero', { op: 'Div', inputs: [i23, ints([], [0])] }, /integer division by zero/],
    ['a missing input', { op: 'Add', inputs: [x23] }, /input 1 is missing/],
    ['an axis that is not there', { op: 'CumSum', inputs: [x23, ints([], [2])] }, /axis 2 of a value with 2 axes/],
    [
      'an attribute of the wrong type',
      { op: 'Concat', inputs: [x23], attributes: { axis: 'one' } },
      /'axis' is string, int was expected/,
    ],
    ['perm that repeats', { op: 'Transpose', inputs: [x23], attributes: { perm: [0, 0] } }, /perm \[0, 0\]/],
    ['an op nobody knows', { op: 'NonZero', inputs: [x23] }, /NonZero 'NonZero_0': this op is not supported/],
  ])('%s', (_, test, message) => {
    expect(refused(test)).toThrow(GraphError)
    expect(refused(test)).toThrow(message)
  })
})
