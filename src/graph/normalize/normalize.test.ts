/** Every rule against onnxruntime: graphs of a node or a few on a device value `x`, run as the Program they become. */
import { describe, expect, it } from 'vitest'
import { evaluateProgram } from '../../../test/support/evaluate-program'
import { bools, floats, ints, node, tensor } from '../../../test/support/onnx'
import {
  expectLikeOnnxruntime,
  f,
  flipped,
  float,
  int8,
  one,
  programOf,
  v,
  wave,
  x234,
  type RuleCase,
} from '../../../test/support/rule-case'
import { FUSED_CASES } from '../../../test/support/rule-cases-fused'
import { PACKED_CASES } from '../../../test/support/rule-cases-packed'
import { opKey } from '../host/attributes'
import type { Tensor } from '../ir'
import { DEVICE_RULES } from './table'

const positive = floats(
  [2, 3, 4],
  wave(24).map((value) => Math.abs(value) + 0.1),
)

const quantized = (constants: Record<string, Tensor>, scalesFirst = false): RuleCase => ({
  title: `q8 linear layer with scale [${constants.scale?.dims.join() ?? ''}]${constants.zero ? ' and zero points' : ''}`,
  nodes: [
    node('DynamicQuantizeLinear', ['x'], ['q', 's', 'z']),
    node('MatMulInteger', ['q', 'w', 'z', ...(constants.zero ? ['zero'] : [])], ['p']),
    node('Cast', ['p'], ['p_float'], { to: 1 }),
    node('Mul', scalesFirst ? ['scale', 's'] : ['s', 'scale'], ['scales']),
    node('Mul', scalesFirst ? ['scales', 'p_float'] : ['p_float', 'scales'], ['y']),
  ],
  constants,
  ops: ['DynamicQuantizedMatMul'],
})

const CASES: readonly RuleCase[] = [
  ...['Neg', 'Abs', 'Exp', 'Erf', 'Tanh', 'Sigmoid', 'Relu', 'Sin', 'Cos'].map((op) => one(op, {}, {}, { ops: [op] })),
  ...['Reciprocal', 'Sqrt', 'Log'].map((op) => one(op, {}, {}, { x: positive })),
  ...['Add', 'Sub', 'Mul', 'Div'].flatMap((op) => [one(op, { c: f([4]) }, {}, { ops: [op] }), flipped(op, f([3, 1]))]),
  one('Add', { c: f([2, 1, 4], [1, 2, 3, 4, 1, 2, 3, 4]) }),
  one('Add', { c: f([1, 4], [0, 0, 0, 0]) }, {}, { ops: [] }),
  one('Sub', { c: f([], [0]) }, {}, { ops: [] }),
  one('Mul', { c: f([1], [1]) }, {}, { ops: [] }),
  one('Div', { c: f([1], [1]) }, {}, { ops: [] }),
  // A neutral constant that changes the shape does something after all.
  one('Add', { c: f([2, 1, 1, 1], [0, 0]) }, {}, { ops: ['Add'] }),
  one('Pow', { c: f([], [2]) }, {}, { ops: ['Pow'] }),
  one('Pow', { c: f([1], [3]) }),
  one('Pow', { c: f([], [1]) }, {}, { ops: [] }),
  one('Pow', { c: f([], [0.5]) }, {}, { x: positive }),
  one('Max', { a: f([4]), b: f([3, 1]) }),
  one('Min', { a: f([], [0.1]) }),
  one('Sum', { a: f([4]), b: f([3, 1]) }),
  one('Clip', { low: f([], [-0.5]), high: f([], [1]) }, {}, { ops: ['Max', 'Min'] }),
  one('Clip', {}, { min: float(-0.5) }, { opset: 6, ops: ['Max'] }),
  one('Identity', {}, {}, { ops: [] }),
  one('Dropout', {}, {}, { ops: [] }),
  one('Cast', {}, { to: 1 }, { ops: [] }),
  ...['Greater', 'Less', 'Equal'].map((op) => ({
    title: `${op}, Not, Where`,
    nodes: [node(op, ['x', 'c'], ['b']), node('Not', ['b'], ['n']), node('Where', ['n', 'x', 'd'], ['y'])],
    constants: { c: f([], [0.4]), d: f([4]) },
  })),
  {
    title: 'a condition cast to float',
    nodes: [node('Greater', ['x', 'c'], ['b']), node('Cast', ['b'], ['y'], { to: 1 })],
    constants: { c: f([4]) },
  },
  {
    title: 'Where with a constant condition',
    nodes: [node('Where', ['c', 'x', 'd'], ['y'])],
    constants: { c: tensor(bools([2, 3, 1], [1, 0, 1, 1, 0, 1])), d: f([], [-9]) },
    ops: ['Where'],
  },
  {
    title: 'Where that is always true, expanding',
    nodes: [node('Where', ['c', 'x', 'd'], ['y'])],
    constants: { c: tensor(bools([2, 1, 1, 1], [1, 1])), d: f([], [-9]) },
    ops: ['Expand'],
  },
  {
    title: 'Where that is always false',
    nodes: [node('Where', ['c', 'd', 'x'], ['y'])],
    constants: { c: tensor(bools([1], [0])), d: f([], [-9]) },
    ops: [],
  },
  {
    title: 'Where(IsNaN(x), 0, x)',
    nodes: [node('IsNaN', ['x'], ['n']), node('Where', ['n', 'c', 'x'], ['y'])],
    constants: { c: f([], [0]) },
    ops: [],
  },
  one('MatMul', { w: f([4, 5]) }, {}, { ops: ['MatMul'] }),
  one('MatMul', { w: f([4]) }),
  one('MatMul', { w: f([2, 4, 3]) }),
  flipped('MatMul', f([5, 3])),
  flipped('MatMul', f([3])),
  {
    title: 'MatMul by a transposed weight',
    nodes: [node('Transpose', ['w'], ['wt'], { perm: [1, 0] }), node('MatMul', ['x', 'wt'], ['y'])],
    constants: { w: f([5, 4]) },
    ops: ['MatMul'],
  },
  {
    title: 'MatMul by a weight whose other axes are transposed',
    nodes: [node('Transpose', ['w'], ['wt'], { perm: [1, 0, 2] }), node('MatMul', ['x', 'wt'], ['y'])],
    constants: { w: f([4, 2, 5]) },
  },
  {
    title: 'MatMul of computed values',
    nodes: [node('Transpose', ['x'], ['t'], { perm: [0, 2, 1] }), node('MatMul', ['x', 't'], ['y'])],
    ops: ['Transpose', 'MatMul'],
  },
  one('Gemm', { w: f([4, 5]), c: f([5]) }, {}, { x: floats([3, 4], wave(12)), ops: ['MatMul', 'Add'] }),
  one('Gemm', { w: f([5, 4]), c: f([5]) }, { transB: 1 }, { x: floats([3, 4], wave(12)), ops: ['MatMul', 'Add'] }),
  one('Gemm', { w: f([3, 5]), c: f([4, 1]) }, { transA: 1, alpha: float(0.5), beta: float(-2) }, { x: floats([3, 4], wave(12)) }),
  one('Gemm', { w: f([4, 5]) }, {}, { x: floats([3, 4], wave(12)), ops: ['MatMul'] }),
  {
    title: 'Gemm by a transposed weight',
    nodes: [node('Transpose', ['w'], ['wt']), node('Gemm', ['x', 'wt', 'c'], ['y'], { transB: 1 })],
    constants: { w: f([4, 5]), c: f([5]) },
    x: floats([3, 4], wave(12)),
    ops: ['MatMul', 'Add'],
  },
  one('Softmax'),
  one('Softmax', {}, { axis: 1 }),
  one('Softmax', {}, {}, { opset: 11, ops: ['Reshape', 'Softmax', 'Reshape'] }),
  one('LogSoftmax', {}, { axis: -1 }),
  ...['ReduceMean', 'ReduceMax'].flatMap((op) => [
    one(op, {}, { axes: [-1] }),
    one(op, {}, { axes: [0, 2], keepdims: 0 }),
    one(op, { axes: v(1) }, {}, { opset: 18 }),
    one(op),
  ]),
  one('ReduceSum', { axes: v(-1) }),
  one('ReduceSum', {}, { axes: [1], keepdims: 0 }, { opset: 11 }),
  one('ReduceSum', {}, { noop_with_empty_axes: 1 }, { ops: [] }),
  one('LayerNormalization', { scale: f([4]), bias: f([4]) }, { epsilon: float(1e-3) }, { ops: ['LayerNorm'] }),
  one('LayerNormalization', { scale: f([4]) }),
  one('LayerNormalization', { scale: f([3, 4]), bias: f([3, 4]) }, { axis: 1 }),
  {
    title: 'SimplifiedLayerNormalization',
    nodes: [node('SimplifiedLayerNormalization', ['x', 's'], ['y'], { epsilon: float(1e-3), axis: -1, stash_type: 1 })],
    constants: { s: f([4]) },
    ops: ['RMSNorm'],
  },
  one('Reshape', { shape: v(0, -1, 2) }, {}, { ops: ['Reshape'] }),
  one('Flatten', {}, { axis: 2 }),
  one('Squeeze', { axes: v(0) }, {}, { x: floats([1, 3, 1], [1, 2, 3]) }),
  one('Squeeze', {}, { axes: [-1] }, { x: floats([1, 3, 1], [1, 2, 3]), opset: 11 }),
  one('Unsqueeze', { axes: v(1, -1) }),
  one('Unsqueeze', {}, { axes: [0] }, { opset: 11 }),
  {
    title: 'Unsqueeze then Squeeze',
    nodes: [node('Unsqueeze', ['x', 'a'], ['u']), node('Squeeze', ['u', 'a'], ['y'])],
    constants: { a: v(0) },
    ops: [],
  },
  one('Transpose'),
  one('Transpose', {}, { perm: [0, 1, 2] }, { ops: [] }),
  one('Expand', { shape: v(2, 1, 3, 4) }, {}, { x: floats([2, 2, 1, 4], wave(16)) }),
  one('Expand', { shape: v(1, 4) }, {}, { ops: [] }),
  one('Tile', { repeats: v(2, 1, 3) }, {}, { ops: ['Reshape', 'Expand', 'Reshape'] }),
  {
    title: 'Concat with something empty and a constant',
    nodes: [node('Concat', ['none', 'x', 'c'], ['y'], { axis: -2 })],
    constants: { none: f([2, 0, 4]), c: f([2, 1, 4]) },
    ops: ['Concat'],
  },
  {
    title: 'Concat with only something empty',
    nodes: [node('Concat', ['none', 'x'], ['y'], { axis: 1 })],
    constants: { none: f([2, 0, 4]) },
    ops: [],
  },
  one('Slice', { starts: v(1, -3), ends: v(Number.MAX_SAFE_INTEGER, -1), axes: v(1, 2) }, {}, { ops: ['Slice', 'Slice'] }),
  one('Slice', { starts: v(0), ends: v(99), axes: v(0) }, {}, { ops: [] }),
  one('Slice', { starts: v(1), ends: v(99), axes: v(2), steps: v(2) }, {}, { ops: ['Reshape', 'Slice', 'Reshape'] }),
  one('Slice', {}, { starts: [1], ends: [3], axes: [2] }, { opset: 9 }),
  {
    title: 'Split in three, joined in another order',
    nodes: [node('Split', ['x'], ['a', 'b', 'c'], { axis: 1 }), node('Concat', ['c', 'a', 'b'], ['y'], { axis: 1 })],
    ops: ['Slice', 'Slice', 'Slice', 'Concat'],
  },
  {
    title: 'Split by sizes',
    nodes: [node('Split', ['x', 'sizes'], ['a', 'b'], { axis: -1 }), node('Concat', ['b', 'a'], ['y'], { axis: -1 })],
    constants: { sizes: v(1, 3) },
  },
  one('Gather', { i: tensor(ints([], [-1])) }, { axis: 1 }, { ops: ['Slice', 'Reshape'] }),
  one('Gather', { i: tensor(ints([2, 2], [0, 1, 3, 0])) }, { axis: 2 }),
  quantized({ w: int8([4, 6]), scale: f([6]) }),
  quantized({ w: int8([4, 6]), scale: f([6]), zero: int8([6]) }, true),
  quantized({ w: int8([4, 6]), scale: f([], [0.03]), zero: int8([]) }),
  quantized({
    w: tensor({ dtype: 'uint8', dims: [4, 2], data: [1, 255, 0, 128, 7, 9, 200, 100] }),
    scale: f([1], [0.03]),
    zero: tensor({ dtype: 'uint8', dims: [1], data: [128] }),
  }),
  {
    title: 'two q8 layers on one DynamicQuantizeLinear',
    nodes: [
      node('DynamicQuantizeLinear', ['x'], ['q', 's', 'z']),
      ...['a', 'b'].flatMap((n) => [
        node('MatMulInteger', ['q', `w${n}`, 'z'], [`p${n}`]),
        node('Cast', [`p${n}`], [`c${n}`], { to: 1 }),
        node('Mul', ['s', `s${n}`], [`m${n}`]),
        node('Mul', [`c${n}`, `m${n}`], [n]),
      ]),
      node('Concat', ['a', 'b'], ['y'], { axis: -1 }),
    ],
    constants: { wa: int8([4, 3]), wb: int8([4, 2]), sa: f([3]), sb: f([1], [0.1]) },
    ops: ['DynamicQuantizedMatMul', 'DynamicQuantizedMatMul', 'Concat'],
  },
]

describe('rules against onnxruntime', () => {
  it.each(CASES.map((test) => [test.title, test] as const))('%s', async (_, test) => {
    await expectLikeOnnxruntime(test)
  })

  it('has a case for every op of the table', () => {
    const tested = new Set([...CASES, ...FUSED_CASES, ...PACKED_CASES].flatMap(({ nodes }) => nodes.map(opKey)))
    expect([...DEVICE_RULES.keys()].filter((key) => !tested.has(key))).toEqual([])
  })
})

describe('constants on their way into a program', () => {
  it('keeps the tensors of the file, transposed ones under a flag', () => {
    const w = f([5, 4])
    const program = programOf({
      title: '',
      nodes: [node('Transpose', ['w'], ['t']), node('Identity', ['t'], ['same']), node('MatMul', ['x', 'same'], ['y'])],
      constants: { w },
    })
    expect([...program.constants.values()]).toEqual([w])
    expect(program.constants.get('w')).toBe(w)
    expect(program.ops[0]).toMatchObject({ op: 'MatMul', attrs: { transA: false, transB: true } })
  })

  it('stores what repeats over the batch once', () => {
    const program = programOf(one('Add', { c: f([2, 1, 4], [1, 2, 3, 4, 1, 2, 3, 4]) }))
    expect([...program.constants.values()].map(({ dims }) => dims)).toEqual([[1, 1, 4]])
  })

  it('makes -Infinity finite', () => {
    const program = programOf(one('Add', { c: f([4], [0, -Infinity, 0, 1]) }))
    const y = evaluateProgram(program, new Map([['x', Float32Array.from(x234.data)]])).get('y')
    expect(y?.data[1]).toBeLessThan(-3e38)
    expect(y?.data.every(Number.isFinite)).toBe(true)
  })

  it('runs q8 layers without rounding when asked to', () => {
    const [op] = programOf(quantized({ w: int8([4, 6]), scale: f([6]) }), false).ops
    expect(op).toMatchObject({ op: 'DynamicQuantizedMatMul', attrs: { simulate_rounding: false } })
  })
})

describe('what a rule refuses, by name', () => {
  it.each<[string, RuleCase, RegExp]>([
    ['an op nobody knows', one('Celu'), /Celu 'Celu_0': this op is not supported on values that depend on the embeddings/],
    ['an exponent that varies', one('Pow', { c: f([4], [1, 2, 3, 4]) }), /Pow 'Pow_0': only one constant exponent/],
    ['a cast to integers', one('Cast', {}, { to: 7 }), /is cast to int64/],
    [
      'scattered indices',
      one('Gather', { i: v(...Array.from({ length: 70 }, (_, i) => (i * 2) % 4)) }, { axis: 2 }),
      /70 separate index ranges/,
    ],
    ['an index out of range', one('Gather', { i: v(4) }, { axis: 2 }), /index 4 into 4 entries/],
    ['a backward slice', one('Slice', { s: v(-1), e: v(-9), a: v(2), step: v(-1) }), /step -1/],
    ['shapes that do not multiply', one('MatMul', { w: f([3, 5]) }), /MatMul 'MatMul_0'.*multiply/],
    [
      'a lone MatMulInteger',
      { title: '', nodes: [node('MatMulInteger', ['x', 'w'], ['y'])], constants: { w: int8([4, 6]) } },
      /does not come from DynamicQuantizeLinear/,
    ],
    [
      'integers that leave the q8 pattern',
      {
        title: '',
        nodes: [node('DynamicQuantizeLinear', ['x'], ['q', 's', 'z']), node('Add', ['s', 'c'], ['y'])],
        constants: { c: f([]) },
      },
      /a quantised value \('quantized'\) is used outside/,
    ],
    [
      'scales of another layer',
      {
        title: '',
        nodes: [
          node('DynamicQuantizeLinear', ['x'], ['q', 's', 'z']),
          node('Neg', ['x'], ['n']),
          node('DynamicQuantizeLinear', ['n'], ['q2', 's2', 'z2']),
          node('MatMulInteger', ['q', 'w', 'z'], ['p']),
          node('Cast', ['p'], ['pf'], { to: 1 }),
          node('Mul', ['s2', 'c'], ['m']),
          node('Mul', ['pf', 'm'], ['y']),
        ],
        constants: { w: int8([4, 6]), c: f([6]) },
      },
      /not multiplied by its own scales/,
    ],
    ['a shape that is computed', { title: '', nodes: [node('Reshape', ['x', 'x'], ['y'])] }, /input 1 has to be a constant/],
  ])('%s', (_, test, message) => {
    expect(() => programOf(test)).toThrow(message)
  })
})
