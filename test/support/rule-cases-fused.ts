/** Cases for the rules of newer and fused exports: onnxruntime's contributed ops, and ONNX's of operator sets 18 to 24. */
import type { Node, Tensor } from '../../src/graph/ir'
import { fromIntegers } from '../../src/graph/tensor'
import { bools, floats, ints, node, tensor } from './onnx'
import { domainNode, f, float, one, v, wave, type RuleCase } from './rule-case'

type Attributes = Parameters<typeof node>[3]

const MS = 'com.microsoft.'
const int32 = (dims: number[], data: number[]): Tensor => fromIntegers('int32', dims, data)

/** x [B,S,H] and three products of it, `q`, `k`, `v`, of these widths. */
function projections(widths: { q: number; k?: number; v?: number }): { nodes: Node[]; constants: Record<string, Tensor> } {
  const all = Object.entries(widths)
  return {
    nodes: all.map(([name]) => node('MatMul', ['x', `w_${name}`], [name])),
    constants: Object.fromEntries(all.map(([name, width], i) => [`w_${name}`, f([8, width], wave(8 * width + i, 0.6).slice(i))])),
  }
}

const x258 = floats([2, 5, 8], wave(80, 1))

interface AttentionCase {
  readonly op: string
  readonly widths: { q: number; k?: number; v?: number }
  /** Names of the op's inputs. */
  readonly inputs: string[]
  readonly attributes: Attributes
  readonly constants?: Record<string, Tensor>
  readonly more?: Partial<RuleCase>
}

/** q, k and v from x, then one attention op. */
function attention(title: string, { op, widths, inputs, attributes, constants = {}, more = {} }: AttentionCase): RuleCase {
  const { nodes, constants: weights } = projections(widths)
  return {
    title: `${op}: ${title}`,
    nodes: [...nodes, domainNode(op, inputs, ['y'], attributes)],
    constants: { ...weights, ...constants },
    x: x258,
    tolerance: 1e-5,
    ...more,
  }
}

/** Angles for 8 positions. */
const table = (turn: (angle: number) => number, pairs: number): Tensor =>
  f(
    [8, pairs],
    Array.from({ length: 8 * pairs }, (_, i) => turn(Math.floor(i / pairs) / 3 ** (i % pairs))),
  )
const rotaryTables = (pairs: number) => ({ cos: table(Math.cos, pairs), sin: table(Math.sin, pairs) })

/** Two query heads for each of two key heads of 16 (onnxruntime's CPU kernel wants multiples of 16). */
function gqa(
  title: string,
  attributes: Attributes,
  extra: { inputs?: string[]; constants?: Record<string, Tensor>; more?: Partial<RuleCase> } = {},
) {
  const { inputs = [], constants = {}, more } = extra
  return attention(title, {
    op: `${MS}GroupQueryAttention`,
    widths: { q: 64, k: 32, v: 32 },
    inputs: ['q', 'k', 'v', '', '', 'seqlens', 'total', ...inputs],
    attributes: { num_heads: 4, kv_num_heads: 2, ...attributes },
    constants: { seqlens: int32([2], [4, 4]), total: int32([1], [5]), ...constants },
    ...(more && { more }),
  })
}

const GROUP_QUERY: readonly RuleCase[] = [
  gqa(
    'causal',
    {},
    {
      more: {
        ops: [
          'MatMul',
          'MatMul',
          'MatMul',
          ...Array<string[]>(3).fill(['Reshape', 'Transpose']).flat(),
          'Attention',
          'Transpose',
          'Reshape',
        ],
      },
    },
  ),
  gqa('a scale, a window of 3', { scale: float(0.3), local_window_size: 3 }),
  gqa('rotary', { do_rotary: 1 }, { inputs: ['cos', 'sin'], constants: rotaryTables(8) }),
  gqa(
    'rotary of interleaved pairs',
    { do_rotary: 1, rotary_interleaved: 1 },
    { inputs: ['cos', 'sin'], constants: rotaryTables(8) },
  ),
  gqa(
    'rotary at given positions',
    { do_rotary: 1 },
    {
      inputs: ['cos', 'sin', 'positions'],
      constants: { ...rotaryTables(8), positions: tensor(ints([2, 5], [0, 1, 2, 3, 4, 3, 4, 5, 6, 7])) },
    },
  ),
  attention('rotary of half of each head', {
    op: `${MS}GroupQueryAttention`,
    widths: { q: 64, k: 32, v: 32 },
    inputs: ['q', 'k', 'v', '', '', 'seqlens', 'total', 'cos', 'sin'],
    attributes: { num_heads: 2, kv_num_heads: 1, do_rotary: 1 },
    constants: { seqlens: int32([2], [4, 4]), total: int32([1], [5]), ...rotaryTables(8) },
  }),
  gqa('a bias on the scores', {}, { inputs: ['', '', '', 'bias'], constants: { bias: f([1, 4, 5, 5]) } }),
  gqa('softcap', { softcap: float(0.7) }),
  gqa('softcap and bias', { softcap: float(0.7) }, { inputs: ['', '', '', 'bias'], constants: { bias: f([2, 1, 5, 5]) } }),
  gqa('smooth softmax', { smooth_softmax: 1 }),
  gqa('head sinks', {}, { inputs: ['', '', '', '', 'sink'], constants: { sink: f([4]) } }),
  attention('a past of no positions', {
    op: `${MS}GroupQueryAttention`,
    widths: { q: 64, k: 32, v: 32 },
    inputs: ['q', 'k', 'v', 'past', 'past', 'seqlens', 'total'],
    attributes: { num_heads: 4, kv_num_heads: 2 },
    constants: { seqlens: int32([2], [4, 4]), total: int32([1], [5]), past: f([2, 2, 0, 16]) },
  }),
  attention('packed, rotary', {
    op: `${MS}GroupQueryAttention`,
    widths: { q: 128 },
    inputs: ['q', '', '', '', '', 'seqlens', 'total', 'cos', 'sin'],
    attributes: { num_heads: 4, kv_num_heads: 2, do_rotary: 1 },
    constants: { seqlens: int32([2], [4, 4]), total: int32([1], [5]), ...rotaryTables(8) },
  }),
]

/** onnxruntime has it on the GPU alone: its CPU kernel is given heads normalised before. */
function normedGroupQuery(): RuleCase {
  const name = `${MS}GroupQueryAttention`
  const attributes = { num_heads: 4, kv_num_heads: 2, do_rotary: 1 }
  const tail = ['seqlens', 'total', 'cos', 'sin']
  const heads = (from: string, flat: string, weight: string) => [
    node('Reshape', [from, 'heads'], [`${from}_heads`]),
    node('SimplifiedLayerNormalization', [`${from}_heads`, weight], [`${from}_normed`], { axis: -1, epsilon: float(1e-3) }),
    node('Reshape', [`${from}_normed`, flat], [`${from}_flat`]),
  ]
  const test = attention('heads normalised', {
    op: name,
    widths: { q: 64, k: 32, v: 32 },
    inputs: ['q', 'k', 'v', '', '', ...tail, '', '', '', '', '', 'gq', 'gk'],
    attributes: { ...attributes, qk_norm_epsilon: float(1e-3) },
    constants: {
      seqlens: int32([2], [4, 4]),
      total: int32([1], [5]),
      ...rotaryTables(8),
      gq: f([16]),
      gk: f([16], wave(17).slice(1)),
      heads: v(2, 5, -1, 16),
      wide: v(2, 5, 64),
      narrow: v(2, 5, 32),
    },
  })
  const reference = [
    ...test.nodes.slice(0, -1),
    ...heads('q', 'wide', 'gq'),
    ...heads('k', 'narrow', 'gk'),
    domainNode(name, ['q_flat', 'k_flat', 'v', '', '', ...tail], ['y'], attributes),
  ]
  return { ...test, reference }
}

const mha = (title: string, attributes: Attributes, inputs: string[], constants: Record<string, Tensor> = {}) =>
  attention(title, {
    op: `${MS}MultiHeadAttention`,
    widths: { q: 12, k: 12, v: 12 },
    inputs: ['q', 'k', 'v', ...inputs],
    attributes: { num_heads: 3, ...attributes },
    constants,
  })

const MULTI_HEAD: readonly RuleCase[] = [
  mha('plain', {}, []),
  mha('causal, a scale', { unidirectional: 1, scale: float(0.2) }, []),
  mha('projection biases', {}, ['bias'], { bias: f([36]) }),
  mha('padding by key', {}, ['', 'padding'], { padding: int32([2, 5], [1, 1, 1, 0, 0, 0, 1, 1, 1, 1]) }),
  mha('padding by length, causal', { unidirectional: 1 }, ['', 'padding'], { padding: int32([2], [3, 5]) }),
  mha('padding by query and key', { mask_filter_value: float(-50) }, ['', 'padding'], {
    padding: int32(
      [2, 5, 5],
      Array.from({ length: 50 }, (_, i) => (i % 3 === 0 ? 0 : 1)),
    ),
  }),
  mha('a bias on the scores', {}, ['', '', 'bias'], { bias: f([1, 3, 5, 5]) }),
  mha('a bias and padding', {}, ['', 'padding', 'bias'], {
    bias: f([2, 1, 5, 5]),
    padding: int32([2, 5], [1, 1, 1, 0, 0, 1, 1, 1, 1, 1]),
  }),
  attention('values wider than keys', {
    op: `${MS}MultiHeadAttention`,
    widths: { q: 12, k: 12, v: 24 },
    inputs: ['q', 'k', 'v', 'bias'],
    attributes: { num_heads: 3 },
    constants: { bias: f([48]) },
  }),
  {
    title: `${MS}MultiHeadAttention: keys and values as heads`,
    nodes: [
      node('MatMul', ['x', 'w'], ['q']),
      node('Reshape', ['q', 'shape'], ['r']),
      node('Transpose', ['r'], ['k'], { perm: [0, 2, 1, 3] }),
      node('Neg', ['k'], ['v']),
      domainNode(`${MS}MultiHeadAttention`, ['q', 'k', 'v'], ['y'], { num_heads: 3 }),
    ],
    constants: { w: f([8, 12]), shape: v(0, 0, 3, 4) },
    x: x258,
  },
  ...packedMultiHead(),
]

/** onnxruntime's CPU kernel takes no packed operands: it is given the same ones apart. */
function packedMultiHead(): RuleCase[] {
  const split = (from: string, shape: string, parts: string[]) => [
    node('Reshape', [from, shape], [`${from}_apart`]),
    node(
      'Split',
      [`${from}_apart`],
      parts.map((part) => `${part}_heads`),
      { axis: 3 },
    ),
    ...parts.map((part) => node('Reshape', [`${part}_heads`, 'flat'], [part])),
  ]
  const apart = domainNode(`${MS}MultiHeadAttention`, ['q', 'k', 'v'], ['y'], { num_heads: 3 })
  const constants = {
    w: f([8, 36]),
    wq: f([8, 12]),
    wkv: f([8, 24]),
    shape3: v(2, 5, 3, 3, 4),
    shape2: v(2, 5, 3, 2, 4),
    flat: v(2, 5, 12),
  }
  const project = (w: string, name: string) => node('MatMul', ['x', w], [name])
  return [
    {
      title: `${MS}MultiHeadAttention: queries, keys and values packed`,
      nodes: [
        project('w', 'qkv'),
        node('Reshape', ['qkv', 'shape3'], ['packed']),
        domainNode(`${MS}MultiHeadAttention`, ['packed'], ['y'], { num_heads: 3 }),
      ],
      reference: [project('w', 'qkv'), ...split('qkv', 'shape3', ['q', 'k', 'v']), apart],
      constants,
      x: x258,
    },
    {
      title: `${MS}MultiHeadAttention: keys and values packed`,
      nodes: [
        project('wq', 'q'),
        project('wkv', 'kv'),
        node('Reshape', ['kv', 'shape2'], ['packed']),
        domainNode(`${MS}MultiHeadAttention`, ['q', 'packed'], ['y'], { num_heads: 3 }),
      ],
      reference: [project('wq', 'q'), project('wkv', 'kv'), ...split('kv', 'shape2', ['k', 'v']), apart],
      constants,
      x: x258,
    },
  ]
}

const packedWeights = (
  title: string,
  attributes: Attributes,
  constants: Record<string, Tensor>,
  inputs = Object.keys(constants),
) => ({
  ...one(`${MS}Attention`, constants, { num_heads: 3, ...attributes }, { x: x258 }),
  title: `${MS}Attention: ${title}`,
  nodes: [domainNode(`${MS}Attention`, ['x', ...inputs], ['y'], { num_heads: 3, ...attributes })],
})

const PACKED_WEIGHTS: readonly RuleCase[] = [
  packedWeights('plain', {}, { w: f([8, 36]), b: f([36]) }),
  packedWeights('causal, a scale', { unidirectional: 1, scale: float(0.2) }, { w: f([8, 36]), b: f([36]) }),
  packedWeights('padding by key', {}, { w: f([8, 36]), b: f([36]), mask: int32([2, 5], [1, 1, 1, 0, 0, 0, 1, 1, 1, 1]) }),
  packedWeights('padding by length', {}, { w: f([8, 36]), b: f([36]), mask: int32([2], [3, 5]) }),
  packedWeights('widths of their own', { qkv_hidden_sizes: [6, 6, 12] }, { w: f([8, 24]), b: f([24]) }),
  packedWeights('a bias on the scores', {}, { w: f([8, 36]), b: f([36]), bias: f([1, 3, 5, 5]) }, ['w', 'b', '', '', 'bias']),
]

const onnxAttention = (title: string, attributes: Attributes, inputs: string[] = [], constants: Record<string, Tensor> = {}) =>
  attention(title, {
    op: 'Attention',
    widths: { q: 16, k: 8, v: 12 },
    inputs: ['q', 'k', 'v', ...inputs],
    attributes: { q_num_heads: 4, kv_num_heads: 2, ...attributes },
    constants,
    more: { opset: 23 },
  })

const ONNX_ATTENTION: readonly RuleCase[] = [
  onnxAttention('grouped queries', {}),
  onnxAttention('causal, a scale', { is_causal: 1, scale: float(0.3) }),
  onnxAttention('a mask of bools', {}, ['mask'], {
    mask: tensor(
      bools(
        [5, 5],
        Array.from({ length: 25 }, (_, i) => (i % 5 <= i / 5 ? 1 : 0)),
      ),
    ),
  }),
  onnxAttention('a mask of floats', {}, ['mask'], { mask: f([2, 1, 5, 5]) }),
  onnxAttention('softcap', { softcap: float(0.8) }),
  onnxAttention('softcap, mask, causal', { softcap: float(0.8), is_causal: 1 }, ['mask'], { mask: f([2, 4, 5, 5]) }),
  {
    title: 'Attention: heads apart',
    nodes: [
      node('MatMul', ['x', 'w'], ['h']),
      node('Reshape', ['h', 'shape'], ['r']),
      node('Transpose', ['r'], ['q'], { perm: [0, 2, 1, 3] }),
      node('Neg', ['q'], ['k']),
      node('Attention', ['q', 'k', 'q'], ['y'], { is_causal: 1 }),
    ],
    constants: { w: f([8, 12]), shape: v(0, 0, 3, 4) },
    x: x258,
    opset: 23,
  },
]

const heads = floats([2, 3, 5, 8], wave(240, 1))
const positions = tensor(ints([2, 5], [0, 1, 2, 3, 4, 3, 4, 5, 6, 7]))
const rotaryCase = (op: string, constants: Record<string, Tensor>, attributes: Attributes, more: Partial<RuleCase> = {}) =>
  one(op, constants, attributes, { x: floats([2, 5, 24], wave(240, 1)), ...more })

const ROTARY: readonly RuleCase[] = [
  rotaryCase(`${MS}RotaryEmbedding`, { positions, ...rotaryTables(4) }, {}),
  rotaryCase(`${MS}RotaryEmbedding`, { positions, ...rotaryTables(4) }, { interleaved: 1 }),
  rotaryCase(`${MS}RotaryEmbedding`, { positions: v(2), ...rotaryTables(4) }, {}),
  rotaryCase(`${MS}RotaryEmbedding`, { positions, ...rotaryTables(2) }, { num_heads: 3, rotary_embedding_dim: 4 }),
  rotaryCase(`${MS}RotaryEmbedding`, { positions, ...rotaryTables(4) }, {}, { x: heads }),
  rotaryCase('RotaryEmbedding', { ...rotaryTables(4), positions }, { num_heads: 3 }, { opset: 23 }),
  rotaryCase(
    'RotaryEmbedding',
    { ...rotaryTables(2), positions },
    { interleaved: 1, rotary_embedding_dim: 4 },
    { opset: 23, x: heads },
  ),
  rotaryCase('RotaryEmbedding', { cos: f([2, 5, 4]), sin: f([2, 5, 4]) }, { interleaved: 1 }, { opset: 23, x: heads }),
]

/** The sum, which is output 3, is used as well. */
const skip = (op: string, inputs: string[], constants: Record<string, Tensor>, attributes: Attributes = {}): RuleCase => ({
  title: `${op} of ${inputs.join()}`,
  nodes: [
    node('Neg', ['x'], ['negative']),
    node('Sin', ['negative'], ['skip']),
    domainNode(`${MS}${op}`, inputs, ['n', '', '', 's'], attributes),
    node('Mul', ['n', 's'], ['y']),
  ],
  constants,
})

const NORMS: readonly RuleCase[] = [
  skip('SkipLayerNormalization', ['x', 'skip', 'g', 'b'], { g: f([4]), b: f([4]) }, { epsilon: float(1e-3) }),
  skip('SkipLayerNormalization', ['skip', 'x', 'g', 'b', 'bias'], { g: f([4]), b: f([4]), bias: f([4]) }),
  skip('SkipLayerNormalization', ['x', 'c', 'g'], { c: f([2, 3, 4]), g: f([4]) }, { epsilon: float(1e-3) }),
  skip('SkipSimplifiedLayerNormalization', ['x', 'skip', 'g'], { g: f([4]) }, { epsilon: float(1e-3) }),
  skip('SkipSimplifiedLayerNormalization', ['x', 'skip', 'g', 'bias'], { g: f([4]), bias: f([4]) }),
  one('RMSNormalization', { g: f([4]) }, { epsilon: float(1e-3) }, { opset: 23, ops: ['RMSNorm'] }),
  one('RMSNormalization', { g: f([3, 4]) }, { axis: 1 }, { opset: 23 }),
  one('LpNormalization', {}, { axis: 1, p: 1 }),
  one('LpNormalization'),
]

const PRODUCTS: readonly RuleCase[] = [
  one(`${MS}FusedMatMul`, { w: f([4, 5]) }, { alpha: float(0.5) }),
  one(`${MS}FusedMatMul`, { w: f([5, 4]) }, { transB: 1 }, { ops: ['MatMul'] }),
  one(`${MS}FusedMatMul`, { w: f([2, 3, 5]) }, { transA: 1, alpha: float(-2) }),
  one(`${MS}FusedMatMul`, { w: f([2, 4, 5]) }, { transBatchA: 1 }, { x: floats([3, 2, 4], wave(24)) }),
  one(`${MS}FusedMatMul`, { w: f([5, 2, 3]) }, { transA: 1, transB: 1, transBatchB: 1 }),
]

const ACTIVATIONS: readonly RuleCase[] = [
  one('Gelu', {}, {}, { opset: 20, ops: ['Gelu'] }),
  one('Gelu', {}, { approximate: 'tanh' }, { opset: 20, ops: ['Gelu'] }),
  one(`${MS}Gelu`, {}, {}, { ops: ['Gelu'] }),
  one(`${MS}FastGelu`, {}, {}, { ops: ['Gelu'] }),
  one(`${MS}FastGelu`, { b: f([4]) }, {}, { ops: ['Add', 'Gelu'] }),
  one(`${MS}BiasGelu`, { b: f([4]) }),
  one(`${MS}QuickGelu`),
  one(`${MS}QuickGelu`, {}, { alpha: float(1) }, { ops: ['Silu'] }),
  one(
    'Swish',
    {},
    { alpha: float(0.7) },
    {
      opset: 24,
      reference: [domainNode(`${MS}QuickGelu`, ['x'], ['y'], { alpha: float(0.7) })],
    },
  ),
  one('LeakyRelu', {}, { alpha: float(0.2) }),
  one('PRelu', { slope: f([3, 1]) }),
  one('Elu', {}, { alpha: float(0.7) }),
  one('Selu'),
  one('Softplus'),
  one('Softplus', {}, {}, { x: floats([3], [-200, 0.5, 200]) }),
  one('Mish', {}, {}, { opset: 18 }),
  one('Softsign'),
  one('HardSigmoid'),
  one('HardSigmoid', {}, { alpha: float(0.4), beta: float(0.6) }),
  one('HardSwish'),
]

const ELEMENTWISE: readonly RuleCase[] = [
  ...['GreaterOrEqual', 'LessOrEqual'].map((op) => ({
    title: `${op}, Where`,
    nodes: [node(op, ['x', 'c'], ['b']), node('Where', ['b', 'x', 'd'], ['y'])],
    constants: { c: f([2, 3, 1]), d: f([4]) },
  })),
  { title: 'Sign', nodes: [node('Sign', ['x'], ['s']), node('Mul', ['s', 'x'], ['y'])] },
  {
    title: 'Where(IsInf(x), 0, x)',
    nodes: [node('IsInf', ['x'], ['n']), node('Where', ['n', 'c', 'x'], ['y'])],
    constants: { c: f([], [0]) },
    ops: [],
  },
  one('CastLike', { c: f([1]) }, {}, { ops: [] }),
  {
    title: 'CastLike of a constant to the type of x',
    nodes: [node('CastLike', ['c', 'x'], ['k']), node('Mul', ['x', 'k'], ['y'])],
    constants: { c: tensor(ints([4], [1, 2, 3, 4])) },
    ops: ['Mul'],
  },
]

const REDUCTIONS: readonly RuleCase[] = [
  one('ReduceMin', {}, { axes: [-1] }),
  ...['ReduceL1', 'ReduceL2', 'ReduceSumSquare'].flatMap((op) => [
    one(op, { axes: v(1) }, {}, { opset: 18 }),
    one(op, {}, { axes: [0, 2], keepdims: 0 }),
  ]),
]

const MOVEMENT: readonly RuleCase[] = [
  one('Pad', { pads: v(0, 1, 0, 0, 2, -1) }, {}, { ops: ['Pad', 'Slice'] }),
  one('Pad', { pads: v(-1, 2), zero: f([], [0]), axes: v(-1) }, {}, { opset: 18, ops: ['Slice', 'Pad'] }),
  one('Pad', {}, { pads: [0, 0, 1, 0, 0, 0] }, { opset: 10 }),
  {
    // rotate_every_two of GPT-J and CodeGen.
    title: 'Slice, Unsqueeze, Concat: pairs of neighbours turned',
    nodes: [
      node('Slice', ['x', 'zero', 'end', 'last', 'two'], ['even']),
      node('Slice', ['x', 'one', 'end', 'last', 'two'], ['odd']),
      node('Neg', ['odd'], ['minus']),
      node('Unsqueeze', ['minus', 'last'], ['a']),
      node('Unsqueeze', ['even', 'last'], ['b']),
      node('Concat', ['a', 'b'], ['pairs'], { axis: -1 }),
      node('Reshape', ['pairs', 'shape'], ['turned']),
      node('Mul', ['turned', 'sin'], ['s']),
      node('Mul', ['x', 'cos'], ['c']),
      node('Add', ['c', 's'], ['y']),
    ],
    constants: {
      zero: v(0),
      one: v(1),
      two: v(2),
      end: v(Number.MAX_SAFE_INTEGER),
      last: v(-1),
      shape: v(2, 3, 4),
      sin: f([3, 4]),
      cos: f([3, 4]),
    },
  },
]

const einsum = (equation: string, constants: Record<string, Tensor> = {}, more: Partial<RuleCase> = {}) =>
  one('Einsum', constants, { equation }, more)

const EINSUM: readonly RuleCase[] = [
  einsum('bsd,dnh->bnsh', { w: f([4, 3, 2]) }),
  einsum('bsd,de->bse', { w: f([4, 5]) }, { ops: ['MatMul'] }),
  einsum('...d,ed->...e', { w: f([5, 4]) }, { ops: ['MatMul'] }),
  einsum('bsd,ned->bsen', { w: f([2, 3, 4]) }),
  einsum('bsd,btd->bst', { w: f([2, 5, 4]) }),
  einsum('abc->ca'),
  einsum('abc,b', { w: f([3]) }),
  einsum(
    '...a,...a->...',
    { w: f([1, 4]) },
    {
      reference: [node('Mul', ['x', 'w'], ['m']), node('ReduceSum', ['m', 'last'], ['y'], { keepdims: 0 })],
      constants: { w: f([1, 4]), last: v(-1) },
    },
  ),
  {
    title: 'Einsum of two computed values',
    nodes: [node('Sin', ['x'], ['z']), node('Einsum', ['x', 'z'], ['y'], { equation: 'bqd,bkd->bqk' })],
    ops: ['Sin', 'MatMul'],
  },
]

export const FUSED_CASES: readonly RuleCase[] = [
  ...GROUP_QUERY,
  normedGroupQuery(),
  ...MULTI_HEAD,
  ...PACKED_WEIGHTS,
  ...ONNX_ATTENTION,
  ...ROTARY,
  ...NORMS,
  ...PRODUCTS,
  ...ACTIVATIONS,
  ...ELEMENTWISE,
  ...REDUCTIONS,
  ...MOVEMENT,
  ...EINSUM,
]
