/** Specialisation itself: what is shared between keys, what depends on a key, what is refused. Logits: test/unit/specialize.test.ts. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { evaluateProgram } from '../../test/support/evaluate-program'
import { floats, ints, model, node, tensor } from '../../test/support/onnx'
import { cutGraphOf, cutModel, type CutCausal } from './cut'
import { readEmbeddingRows } from './embedding'
import { GraphError, type Graph, type Node, type OnnxModel, type Tensor } from './ir'
import { readModel } from './read'
import { specialize, type SpecializeKey } from './specialize'
import { float32ToFloat16, fromIntegers, toFloat32 } from './tensor'
import { validateProgram } from './validate'

const read = (path: string) => readModel(new Uint8Array(readFileSync(path)))
const GPT2 = 'test/fixtures/onnx/gpt2_t433_past.onnx'
const QUANTIZED = 'public/models/promptlathe/tiny-causal/onnx/model_quantized.onnx'
const key = (batch_size: number, sequence_length: number, mask: 'ones' | 'fed' = 'ones'): SpecializeKey => {
  return { batch_size, sequence_length, mask, simulate_rounding: false }
}

function logits(cut: CutCausal, batch: number, length: number): Float64Array {
  const { program } = specialize(cut, key(batch, length))
  validateProgram(program)
  const ids = Array.from({ length: batch * length }, (_, i) => (i * 7 + 3) % cut.vocab_size)
  const result = evaluateProgram(program, new Map([['inputs_embeds', readEmbeddingRows(cut.embedding, ids)]])).get('logits')
  if (!result) throw new Error('no logits')
  return result.data
}

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length)
  return Array.from(a).reduce((worst, value, i) => Math.max(worst, Math.abs(value - (b[i] ?? NaN))), 0)
}

const withGraph = (base: OnnxModel, change: (graph: Graph) => Partial<Graph>): OnnxModel => ({
  ...base,
  graph: { ...base.graph, ...change(base.graph) },
})

describe('specialize', () => {
  it.each([GPT2, QUANTIZED, 'test/fixtures/onnx/llama_t441_past.onnx'])(
    '%s: weights are the tensors of the file, for every key',
    (path) => {
      const cut = cutModel(read(path))
      const file = new Set([...cut.graph.initializers.values()].filter(({ dims }) => dims.length === 2))
      const programs = [key(1, 4), key(3, 7), key(2, 5, 'fed')].map((k) => specialize(cut, k).program)
      const [first, ...others] = programs
      programs.forEach(validateProgram)
      const weights = [...(first?.constants ?? [])].filter(([, { dims }]) => dims.length === 2)
      expect(weights.length).toBeGreaterThan(5)
      for (const [name, weight] of weights) {
        expect(file.has(weight)).toBe(true)
        for (const other of others) expect(other.constants.get(name)).toBe(weight)
      }
    },
  )

  it('names its inputs and outputs', () => {
    const cut = cutModel(read(GPT2))
    const ones = specialize(cut, key(2, 6))
    expect(ones.program.inputs).toEqual(['inputs_embeds'])
    expect(ones.program.outputs).toEqual(['logits'])
    expect(ones.program.values.get('inputs_embeds')).toEqual({ dtype: 'float32', dims: [2, 6, 32] })
    expect(ones.program.values.get('logits')).toEqual({ dtype: 'float32', dims: [2, 6, 160] })
    expect(ones.host.run({ attention_mask: new Int32Array(0) }).size).toBe(0)
    const fed = specialize(cut, key(2, 6, 'fed'))
    expect(fed.program.inputs).toEqual(['inputs_embeds', ...fed.host.inputs])
    const feeds = fed.host.run({ attention_mask: new Int32Array(12).fill(1) })
    expect([...feeds.keys()]).toEqual(fed.host.inputs)
    for (const [name, feed] of feeds)
      expect(feed.length).toBe((fed.program.values.get(name)?.dims ?? []).reduce((a, b) => a * b, 1))
  })

  it('refuses masks that are none', () => {
    const { host } = specialize(cutModel(read(GPT2)), key(2, 3, 'fed'))
    expect(() => host.run({ attention_mask: new Int32Array(5) })).toThrow(/5 entries, \[2, 3\] was expected/)
    expect(() => host.run({ attention_mask: Int32Array.of(1, 1, 1, 1, 2, 1) })).toThrow(/entry 4 of the attention mask is 2/)
  })

  it.each<[SpecializeKey, RegExp]>([
    [key(0, 4), /batch_size is 0/],
    [key(1, 2.5), /sequence_length is 2.5/],
    [key(1, 65), /65 positions, but the model's position table has 64/],
    [key(2 ** 21, 64), /elements, the limit is/],
  ])('refuses %j', (k, message) => {
    expect(() => specialize(cutModel(read(GPT2)), { ...k, mask: 'fed' })).toThrow(message)
  })

  it('multiplies by a tied embedding table as it lies in the file', () => {
    const base = read(GPT2)
    const head = base.graph.nodes.find(({ outputs }) => outputs.includes('logits'))
    const table = 'm.transformer.wte.weight'
    const tied = withGraph(base, ({ nodes }) => ({
      nodes: [
        ...nodes.filter((other) => other !== head),
        node('Transpose', [table], ['tied']),
        node('MatMul', [head?.inputs[0] ?? '', 'tied'], ['logits']),
      ],
    }))
    const cut = cutModel(tied)
    expect([...specialize(cut, key(1, 4)).program.constants.values()]).toContain(base.graph.initializers.get(table))
    // The fixture's head is a copy of its embedding table.
    expect(largestDifference(logits(cut, 2, 5), logits(cutModel(base), 2, 5))).toBe(0)
  })

  it('takes float16 weights as they are', () => {
    const base = read('test/fixtures/peft/llama/onnx/model.onnx')
    const half = withGraph(base, ({ initializers }) => ({
      initializers: new Map([...initializers].map(([name, t]) => [name, halved(t)])),
    }))
    const cut = cutModel(half)
    const { program } = specialize(cut, key(1, 4))
    validateProgram(program)
    const weights = [...program.constants].filter(([, { dims }]) => dims.length === 2)
    expect(weights.every(([name, { dtype }]) => dtype === 'float16' && program.values.get(name)?.dtype === 'float32')).toBe(true)
    // 10 bits of mantissa through two layers.
    expect(largestDifference(logits(cut, 2, 5), logits(cutModel(base), 2, 5))).toBeLessThan(2e-2)
  })
})

function halved(t: Tensor): Tensor {
  if (t.dtype !== 'float32') return t
  const bits = fromIntegers('uint16', t.dims, Array.from(toFloat32(t), float32ToFloat16))
  return { dtype: 'float16', dims: t.dims, bytes: bits.bytes }
}

describe('branches', () => {
  const branch = (nodes: Node[], output: string): Graph => ({
    name: '',
    nodes,
    inputs: [],
    outputs: [{ name: output, dtype: 'float32', dims: [] }],
    initializers: new Map(),
  })
  /** rows + 2 * (batch is 1 ? -t : t[0]), the branches of different rank as in Llama 4.33's squeeze. */
  const branching = model({
    nodes: [
      node('Gather', ['table', 'input_ids'], ['rows']),
      node('Shape', ['input_ids'], ['shape']),
      node('Gather', ['shape', 'zero'], ['batch']),
      node('Equal', ['batch', 'one'], ['single']),
      node('If', ['single'], ['chosen'], {
        then_branch: branch([node('Neg', ['t'], ['inner'])], 'inner'),
        else_branch: branch([node('Squeeze', ['t', 'axes'], ['inner'])], 'inner'),
      }),
      node('Mul', ['chosen', 'two'], ['doubled']),
      node('Add', ['rows', 'doubled'], ['logits']),
    ],
    inputs: { input_ids: ints([1, 1], [0]) },
    initializers: {
      table: tensor(floats([2, 2], [1, 2, 3, 4])),
      t: tensor(floats([1, 2], [10, 20])),
      zero: tensor(ints([], [0])),
      one: tensor(ints([], [1])),
      two: tensor(floats([], [2])),
      axes: tensor(ints([1], [0])),
    },
    outputs: { logits: { dtype: 'float32', dims: [1, 1, 2] } },
  })

  it('are taken anew for every key', () => {
    const cut = cutModel(branching)
    expect(Array.from(logits(cut, 1, 1))).toEqual([3 - 20, 4 - 40])
    expect(Array.from(logits(cut, 2, 1))).toEqual([3 + 20, 4 + 40, 1 + 20, 2 + 40])
    expect(Array.from(logits(cut, 1, 1))).toEqual([3 - 20, 4 - 40])
  })
})

describe('what a specialisation refuses, by name', () => {
  const small = (nodes: Node[]): OnnxModel => {
    return model({
      nodes: [node('Gather', ['table', 'input_ids'], ['rows']), ...nodes],
      inputs: { input_ids: ints([1, 1], [0]), attention_mask: ints([1, 1], [1]) },
      initializers: {
        table: tensor(floats([2, 2], [1, 2, 3, 4])),
        zero: tensor(ints([1], [0])),
        one: tensor(ints([1], [1])),
        last: tensor(ints([1], [-1])),
      },
      outputs: { logits: { dtype: 'float32', dims: [1, 1, 2] } },
    })
  }
  it.each<[string, Node[], RegExp]>([
    [
      'token ids used as numbers',
      [
        node('Cast', ['input_ids'], ['n'], { to: 1 }),
        node('Unsqueeze', ['n', 'last'], ['m']),
        node('Add', ['rows', 'm'], ['logits']),
      ],
      /'m' depends on input_ids other than through the embedding lookup/,
    ],
    [
      'a shape from the mask',
      [
        node('ReduceSum', ['attention_mask'], ['n'], { keepdims: 0 }),
        node('Unsqueeze', ['n', 'zero'], ['m']),
        node('Expand', ['rows', 'm'], ['logits']),
      ],
      /Expand 'Expand_logits': 'm' depends on the values of attention_mask/,
    ],
    [
      'logits of one position only',
      [node('Slice', ['rows', 'zero', 'one', 'one'], ['logits'])],
      /'logits' is \[2, 1, 2\], not one row for each of 2 x 3 positions/,
    ],
    [
      'logits without embeddings',
      [node('Shape', ['rows'], ['s']), node('ConstantOfShape', ['s'], ['logits'])],
      /'logits' is a host value/,
    ],
    [
      'an op of an unknown domain',
      [node('Neg', ['rows'], ['logits'], {}, 'org.example')],
      /org.example.Neg 'Neg_logits': the file does not import the operator set/,
    ],
  ])('%s', (_, nodes, message) => {
    expect(() => specialize(cutModel(small(nodes)), key(2, 3, 'fed'))).toThrow(message)
  })

  it('a decoder without its states, and lengths that are none', () => {
    const decoder = cutGraphOf(read('test/fixtures/peft/t5/onnx/decoder_model.onnx'), 'decoder')
    const behind = (sequence_length: number, width = 16) => ({ ...key(2, 3, 'fed'), encoder: { sequence_length, width } })
    expect(() => specialize(decoder, key(2, 3, 'fed'))).toThrow(/a decoder needs the shape of its encoder's states/)
    expect(() => specialize(decoder, behind(0))).toThrow(/encoder_length is 0, a positive integer was expected/)
    expect(() => specialize(decoder, behind(2.5))).toThrow(/encoder_length is 2.5/)
    expect(() => specialize(decoder, behind(4, 12))).toThrow(GraphError)
    expect(specialize(decoder, behind(4)).program.values.get('encoder_hidden_states')?.dims).toEqual([2, 4, 16])
  })

  it('ends on values without end', () => {
    const nodes = [
      node('ConstantOfShape', ['zero'], ['c']),
      node('Expand', ['c', 'huge'], ['e']),
      node('Add', ['rows', 'e'], ['logits']),
    ]
    const hostile = withGraph(small(nodes), ({ initializers }) => ({
      initializers: new Map(initializers).set('huge', tensor(ints([2], [1e9, 1e9]))),
    }))
    expect(() => specialize(cutModel(hostile), key(1, 1))).toThrow(/Expand 'Expand_e'.*(limit|broadcast)/)
  })
})
