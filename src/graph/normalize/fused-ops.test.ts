/** Rules of fused ops against onnxruntime, and the gradients of what they become against central differences. */
import { describe, expect, it } from 'vitest'
import { evaluateProgram } from '../../../test/support/evaluate-program'
import { gradientError } from '../../../test/support/gradient-check'
import { floats, ints, model, node, runOnnx, tensor } from '../../../test/support/onnx'
import { domainNode, expectLikeOnnxruntime, f, one, programOf, wave, x234, type RuleCase } from '../../../test/support/rule-case'
import { FUSED_CASES } from '../../../test/support/rule-cases-fused'
import { fromNumbers } from '../host/array'
import { fromIntegers } from '../tensor'
import { HostBudget } from '../specialize/budget'
import { makeHostPlan } from '../specialize/host-plan'
import { StaticCache, Walk } from '../specialize/walk'
import { Emitter } from './emitter'
import { HostLane, type Lane } from './lanes'

describe.each(FUSED_CASES.map((test) => [test.title, test] as const))('%s', (_, test) => {
  it('like onnxruntime', () => expectLikeOnnxruntime(test))

  it('gradient', () => {
    const program = programOf(test)
    const x = (test.x ?? x234).data
    expect(gradientError(program, 'y', 'x', 1, new Map([['x', x]]))).toBeLessThan(1e-6)
  })
})

it('masks prepared on the host follow the mask of each batch', async () => {
  const nodes = [
    node('MatMul', ['x', 'w'], ['q']),
    node('Cast', ['attention_mask'], ['padding'], { to: 6 }),
    domainNode('com.microsoft.MultiHeadAttention', ['q', 'q', 'q', '', 'padding'], ['y'], { num_heads: 2 }),
  ]
  const x = floats([2, 3, 4], wave(24))
  const initializers = { w: f([4, 8]) }
  const outputs = { y: { dtype: 'float32', dims: [2, 3, 8] } } as const
  const { graph, opsets } = model({ nodes, inputs: { x }, initializers, outputs })
  const mask = HostLane.of('attention_mask', fromNumbers('int64', [2, 3], new Array<number>(6).fill(1)), {
    taint: 'attention_mask',
  })
  const emit = new Emitter(new WeakMap(), ['x', 'y'])
  const inputs = new Map<string, Lane>([
    ['x', emit.input('x', x.dims)],
    ['attention_mask', mask],
  ])
  const budget = new HostBudget(graph, { batch_size: 2, sequence_length: 3, encoder_length: null })
  const walk = new Walk({ opsets, emit, cache: new StaticCache(), simulate_rounding: false, budget })
  const lane = walk.run(graph, inputs, 'y')
  if (lane.kind !== 'device') throw new Error(`y is ${lane.kind}`)
  const program = emit.program(lane, 'y')
  const plan = makeHostPlan(mask, emit.fed)
  expect(plan.inputs.length).toBe(1)
  for (const values of [
    [1, 1, 1, 1, 1, 0],
    [0, 1, 1, 1, 0, 0],
  ]) {
    const feeds = new Map<string, ArrayLike<number>>([...plan.run({ attention_mask: Int32Array.from(values) }), ['x', x.data]])
    const y = evaluateProgram(program, feeds).get('y')
    const expected = await runOnnx({ nodes, inputs: { x, attention_mask: ints([2, 3], values) }, initializers, outputs })
    y?.data.forEach((value, i) => expect(value).toBeCloseTo(expected.y?.data[i] ?? NaN, 5))
  }
})

describe('what fused ops refuse, by name', () => {
  const gqa = (inputs: string[], attributes: Parameters<typeof node>[3] = {}): RuleCase => ({
    title: '',
    nodes: [
      domainNode('com.microsoft.GroupQueryAttention', ['x', 'x', 'x', ...inputs], ['y'], {
        num_heads: 2,
        kv_num_heads: 2,
        ...attributes,
      }),
    ],
    constants: {
      past: f([2, 2, 3, 2]),
      cos: f([2, 1]),
      wide: f([8, 4]),
      empty: f([2, 2, 0, 2]),
      w: f([4]),
      n: fromIntegers('int32', [1], [1]),
    },
  })
  it.each<[string, RuleCase, RegExp]>([
    ['a past', gqa(['past', 'past', 'n', 'n']), /GroupQueryAttention 'GroupQueryAttention_0': a past of \[2, 2, 3, 2\]/],
    [
      'a rotary cache that is too short',
      gqa(['', '', 'n', 'n', 'cos', 'cos'], { do_rotary: 1 }),
      /3 positions, but the rotary cache has 2/,
    ],
    [
      'a rotary cache that is too wide',
      gqa(['', '', 'n', 'n', 'wide', 'wide'], { do_rotary: 1 }),
      /a rotary cache for 8 dimensions of heads of 2/,
    ],
    ['quantised caches', gqa(['', '', 'n', 'n', '', '', '', '', '', 'w']), /quantised keys and values are not supported/],
    ['heads that do not fit', gqa(['', '', 'n', 'n'], { num_heads: 3 }), /a query of \[2, 3, 4\] for 3 heads/],
    ['a mask that is computed', gqa(['', '', 'n', 'n', '', '', '', 'x']), /input 10 has to be a constant/],
    [
      'a rotary embedding inside Attention',
      one('com.microsoft.Attention', { w: f([4, 12]) }, { num_heads: 2, do_rotary: 1 }),
      /com.microsoft.Attention 'Attention_0': a rotary embedding inside/,
    ],
    [
      'a scaled RotaryEmbedding',
      one('com.microsoft.RotaryEmbedding', { p: tensor(ints([1], [0])), c: f([8, 2]), s: f([8, 2]) }, { scale: { float: 2 } }),
      /a scale is not supported/,
    ],
    [
      'padding with ones',
      one('Pad', { p: tensor(ints([6], [0, 0, 1, 0, 0, 0])), one: f([], [1]) }),
      /padding with anything but zeros/,
    ],
    [
      'an einsum of three',
      one('Einsum', { a: f([2]), b: f([3]) }, { equation: 'abc,a,b->c' }),
      /3 operands, one or two are supported/,
    ],
    ['a diagonal', one('Einsum', { a: f([2, 2]) }, { equation: 'abc,aa->c' }), /'aa' takes a diagonal/],
    ['an equation that does not fit', one('Einsum', { a: f([3]) }, { equation: 'abc,a->c' }), /'a' is both 2 and 3/],
  ])('%s', (_, test, message) => {
    expect(() => programOf(test)).toThrow(message)
  })
})
