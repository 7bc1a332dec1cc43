/** What is cut, counted, flattened and refused. Logits are held to onnxruntime in test/unit/specialize.test.ts. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { floats, ints, model, node, tensor } from '../../test/support/onnx'
import { coverage } from './coverage'
import { cutGraphOf, cutModel, cutSeq2Seq } from './cut'
import { inlineMerged } from './inline'
import { GraphError, type Graph, type Node, type OnnxModel } from './ir'
import { readModel } from './read'

const read = (path: string) => readModel(new Uint8Array(readFileSync(path)))
const table = tensor(floats([6, 2], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]))
const ids = ints([1, 2], [0, 1])
const float = { dtype: 'float32' as const, dims: [1, 2, 6] }

/** A language model of one lookup and one product, with whatever else a test adds. */
function tiny(
  changes: { nodes?: Node[]; inputs?: Record<string, typeof ids>; outputs?: Record<string, typeof float> } = {},
): OnnxModel {
  return model({
    nodes: changes.nodes ?? [node('Gather', ['table', 'input_ids'], ['rows']), node('MatMul', ['rows', 'head'], ['logits'])],
    inputs: changes.inputs ?? { input_ids: ids },
    initializers: {
      table,
      head: tensor(floats([2, 6], new Array<number>(12).fill(0.5))),
      positions: tensor(floats([9, 2], new Array<number>(18).fill(0))),
    },
    outputs: changes.outputs ?? { logits: float },
  })
}

describe('cutModel on real exports', () => {
  it.each([
    ['test/fixtures/onnx/gpt2_t433_past.onnx', { hidden_size: 32, vocab_size: 160, max_positions: 64 }],
    ['test/fixtures/onnx/gpt2_t433_decoder_model_merged.onnx', { hidden_size: 32, vocab_size: 160, max_positions: 64 }],
    ['test/fixtures/onnx/llama_sdpa_past.onnx', { hidden_size: 32, vocab_size: 160, max_positions: null }],
    ['test/fixtures/peft/gpt2/onnx/model.onnx', { hidden_size: 16, vocab_size: 64, max_positions: 64 }],
    [
      'public/models/promptlathe/tiny-causal/onnx/model_quantized.onnx',
      { hidden_size: 192, vocab_size: 4096, max_positions: null },
    ],
  ])('%s', (path, expected) => {
    const cut = cutModel(read(path))
    expect(cut).toMatchObject({ kind: 'causal-lm', role: 'causal', output: 'logits', ...expected })
    expect(cut.graph.inputs[0]).toMatchObject({
      name: cut.inputs_embeds,
      dims: ['batch_size', 'sequence_length', cut.hidden_size],
    })
    expect(cut.graph.nodes.flatMap(({ outputs }) => outputs)).not.toContain(cut.inputs_embeds)
    expect(cut.graph.outputs.map(({ name }) => name)).toEqual(['logits'])
    expect(coverage(cut).unsupported).toEqual([])
  })

  it('counts the weights of the embedded model, tied head once a copy', () => {
    // 6 layers of width 192, 6 heads over 3 of 32, MLP 512; vocabulary 4096 in embedding and (copied) head.
    const layer = 192 * 192 * 2 + 192 * 96 * 2 + 3 * 192 * 512 + 2 * 192
    const cut = cutModel(read('public/models/promptlathe/tiny-causal/onnx/model.onnx'))
    // The other numbers are the rotary frequencies, where they are an initializer.
    expect(cut.parameters - (6 * layer + 192 + 2 * 4096 * 192)).toBeLessThanOrEqual(16)
  })

  it.each([
    ['test/fixtures/onnx/t5_t433_encoder.onnx', /no output 'logits', only 'last_hidden_state'/],
    ['test/fixtures/onnx/t5_t433_decoder_model_merged.onnx', /decoder of an encoder-decoder model.*'encoder_/],
  ])('refuses %s', (path, message) => {
    expect(() => cutModel(read(path))).toThrow(GraphError)
    expect(() => cutModel(read(path))).toThrow(message)
  })

  it.each(['gpt2_t433_past_q4', 'genai_llama_q4_gbq'])('%s is covered, its packed products too', (name) => {
    const { unsupported, ops } = coverage(cutModel(read(`test/fixtures/onnx/${name}.onnx`)))
    expect(unsupported).toEqual([])
    expect(ops['com.microsoft.MatMulNBits']).toBeGreaterThan(0)
  })
})

describe('cutModel on small graphs', () => {
  it('keeps only what the logits need', () => {
    const cut = cutModel(
      tiny({
        nodes: [
          node('Gather', ['table', 'input_ids'], ['rows']),
          node('NonZero', ['rows'], ['unused']),
          node('MatMul', ['rows', 'head'], ['logits']),
        ],
      }),
    )
    expect(cut.graph.nodes.map(({ op_type }) => op_type)).toEqual(['MatMul'])
    expect([...cut.graph.initializers.keys()]).toEqual(['head'])
    expect(cut.parameters).toBe(24)
  })

  it('puts nodes in an order that can be walked', () => {
    const cut = cutModel(
      tiny({
        nodes: [
          node('MatMul', ['scaled', 'head'], ['logits']),
          node('Neg', ['rows'], ['scaled']),
          node('Gather', ['table', 'input_ids'], ['rows']),
        ],
      }),
    )
    expect(cut.graph.nodes.map(({ op_type }) => op_type)).toEqual(['Neg', 'MatMul'])
  })

  it('finds the position table behind an offset', () => {
    const cut = cutModel(
      tiny({
        nodes: [
          node('Gather', ['table', 'input_ids'], ['rows']),
          node('Constant', [], ['two'], { value: tensor(ints([], [2])) }),
          node('Add', ['position_ids', 'two'], ['moved']),
          node('Gather', ['positions', 'moved'], ['where']),
          node('Add', ['rows', 'where'], ['sum']),
          node('MatMul', ['sum', 'head'], ['logits']),
        ],
        inputs: { input_ids: ids, position_ids: ids },
      }),
    )
    expect(cut.max_positions).toBe(7)
  })

  it.each<[string, Parameters<typeof tiny>[0], RegExp]>([
    ['no token ids', { inputs: { ids } }, /no input 'input_ids'/],
    ['no logits', { outputs: { rows: float } }, /no output 'logits', only 'rows'/],
    ['ready inputs_embeds', { inputs: { input_ids: ids, inputs_embeds: ids } }, /embedding table is in another file/],
    ['pictures', { inputs: { input_ids: ids, pixel_values: ids } }, /vision model \(input 'pixel_values'\)/],
    ['speech', { inputs: { input_ids: ids, input_features: ids } }, /speech or audio/],
    ['a whole encoder-decoder', { inputs: { input_ids: ids, decoder_input_ids: ids } }, /encoder-decoder model in one file/],
    [
      'no lookup',
      { nodes: [node('Cast', ['input_ids'], ['rows'], { to: 1 }), node('MatMul', ['rows', 'head'], ['logits'])] },
      /not through an embedding lookup/,
    ],
    [
      'two lookups',
      {
        nodes: [
          node('Gather', ['table', 'input_ids'], ['a']),
          node('Gather', ['positions', 'input_ids'], ['b']),
          node('Add', ['a', 'b'], ['c']),
          node('MatMul', ['c', 'head'], ['logits']),
        ],
      },
      /second embedding table.*looked up twice, in 'Gather_(a' and 'Gather_b|b' and 'Gather_a)'/,
    ],
    [
      'an input nobody knows',
      {
        nodes: [
          node('Gather', ['table', 'input_ids'], ['a']),
          node('Add', ['a', 'style'], ['b']),
          node('MatMul', ['b', 'head'], ['logits']),
        ],
        inputs: { input_ids: ids, style: ids },
      },
      /needs the input 'style', which is not known/,
    ],
    [
      'an undefined value',
      { nodes: [node('Gather', ['table', 'input_ids'], ['a']), node('Add', ['a', 'nothing'], ['logits'])] },
      /'nothing' is used but nothing defines it/,
    ],
    [
      'a circle',
      {
        nodes: [
          node('Gather', ['table', 'input_ids'], ['a']),
          node('Add', ['a', 'c'], ['b']),
          node('Neg', ['b'], ['c']),
          node('Neg', ['c'], ['logits']),
        ],
      },
      /depends on its own output/,
    ],
    [
      'a name defined twice',
      { nodes: [node('Gather', ['table', 'input_ids'], ['a']), node('Neg', ['a'], ['logits']), node('Abs', ['a'], ['logits'])] },
      /Abs 'Abs_logits' defines 'logits' a second time/,
    ],
  ])('refuses %s', (_, changes, message) => {
    expect(() => cutModel(tiny(changes))).toThrow(GraphError)
    expect(() => cutModel(tiny(changes))).toThrow(message)
  })

  it('walks a chain of thousands of nodes', () => {
    const chain = Array.from({ length: 20000 }, (_, i) =>
      node('Neg', [i === 0 ? 'rows' : `v${i - 1}`], [i === 19999 ? 'logits' : `v${i}`]),
    )
    expect(cutModel(tiny({ nodes: [node('Gather', ['table', 'input_ids'], ['rows']), ...chain] })).graph.nodes.length).toBe(20000)
  })
})

describe('cutSeq2Seq', () => {
  const t5 = (name: string) => read(`test/fixtures/${name}.onnx`)
  const encoder = t5('onnx/t5_t433_encoder')
  const decoder = t5('onnx/t5_t433_decoder_model_merged')

  it('two halves, each cut at its own lookup; buckets of distances are no position table', () => {
    const cut = cutSeq2Seq(encoder, decoder)
    expect(cut).toMatchObject({ kind: 'seq2seq', hidden_size: 32, vocab_size: 160, max_positions: null })
    expect(cut.encoder).toMatchObject({ role: 'encoder', output: 'last_hidden_state' })
    expect(cut.decoder).toMatchObject({ role: 'decoder', output: 'logits' })
    expect(cut.parameters).toBe(cut.encoder.parameters + cut.decoder.parameters)
    expect(cut.encoder.parameters).toBeGreaterThan(160 * 32)
    expect(cut.decoder.graph.inputs.map(({ name }) => name)).toContain('encoder_hidden_states')
    expect(coverage(cut.encoder, cut.decoder).unsupported).toEqual([])
  })

  it('a half of a size of its own bounds the whole', () => {
    // A table of 4 rows beside the encoder's 6, and 7 positions beside 9.
    const half = (rows: number, positions: number, states: boolean) =>
      model({
        nodes: [
          node('Gather', ['table', 'input_ids'], ['rows']),
          node('Gather', ['positions', 'position_ids'], ['p']),
          node('Add', ['rows', 'p'], ['sum']),
          ...(states
            ? [
                node('ReduceMean', ['encoder_hidden_states'], ['mean'], { axes: [1], keepdims: 1 }),
                node('Add', ['sum', 'mean'], ['read']),
                node('MatMul', ['read', 'head'], ['logits']),
              ]
            : [node('MatMul', ['sum', 'head'], ['last_hidden_state'])]),
        ],
        inputs: {
          input_ids: ids,
          position_ids: ids,
          ...(states && { encoder_hidden_states: floats([1, 1, 2], [0, 0]) }),
        },
        initializers: {
          table: tensor(floats([rows, 2], new Array<number>(rows * 2).fill(1))),
          positions: tensor(floats([positions, 2], new Array<number>(positions * 2).fill(0))),
          head: tensor(floats([2, 2], [1, 0, 0, 1])),
        },
        outputs: { [states ? 'logits' : 'last_hidden_state']: float },
      })
    expect(cutSeq2Seq(half(6, 9, false), half(4, 7, true))).toMatchObject({ vocab_size: 4, max_positions: 7 })
    expect(cutSeq2Seq(half(3, 5, false), half(4, 7, true))).toMatchObject({ vocab_size: 3, max_positions: 5 })
  })

  const refusals: [string, OnnxModel, OnnxModel, RegExp][] = [
    ['a decoder that reads no encoder', encoder, t5('onnx/gpt2_t433_past'), /does not read 'encoder_hidden_states'/],
    ['widths that differ', encoder, t5('peft/t5/onnx/decoder_model'), /32 numbers in the encoder, 16 in the decoder/],
    ['the halves the wrong way round', decoder, encoder, /decoder of an encoder-decoder model, without its encoder/],
    ['two encoders', encoder, encoder, /no output 'logits', only 'last_hidden_state'$/],
    ['a causal model for an encoder', t5('onnx/gpt2_t433_past'), decoder, /no output 'last_hidden_state', only 'logits'/],
  ]
  it.each(refusals)('refuses %s', (_, first, second, message) => {
    expect(() => cutSeq2Seq(first, second)).toThrow(GraphError)
    expect(() => cutSeq2Seq(first, second)).toThrow(message)
  })

  it('a decoder alone can be cut, for those who have its states', () => {
    expect(cutGraphOf(decoder, 'decoder').hidden_size).toBe(32)
  })
})

describe('inlineMerged', () => {
  const branch = (nodes: Node[], outputs: string[], initializers: Graph['initializers'] = new Map()): Graph => {
    return {
      name: 'branch',
      nodes,
      inputs: [],
      outputs: outputs.map((name) => ({ name, dtype: 'float32', dims: [] })),
      initializers,
    }
  }
  const merged = (elseBranch: Graph, outputs = ['logits']): OnnxModel => {
    const then = branch(
      [node('Neg', ['outer'], ['t'])],
      outputs.map(() => 't'),
    )
    return model({
      nodes: [
        node('Neg', ['table'], ['outer']),
        node('Squeeze', ['use_cache_branch'], ['flag']),
        node('If', ['flag'], outputs, { then_branch: then, else_branch: elseBranch }),
      ],
      inputs: { input_ids: ids, use_cache_branch: ints([1], [0]) },
      initializers: { table },
      outputs: { logits: float },
    })
  }
  const names = (graph: Graph) => graph.nodes.map((n) => `${n.op_type} ${n.inputs.join()} -> ${n.outputs.join()}`)

  it('leaves other models alone', () => {
    const plain = tiny()
    expect(inlineMerged(plain)).toBe(plain)
  })

  it('takes the branch without a past, under the outer names', () => {
    const { graph } = inlineMerged(merged(branch([node('Abs', ['outer'], ['a']), node('Exp', ['a'], ['e'])], ['e'])))
    expect(names(graph)).toContain('Exp a -> logits')
    expect(names(graph)).toContain('Abs outer -> a')
    expect(graph.inputs.map(({ name }) => name)).toEqual(['input_ids'])
  })

  it('renames what the branch calls like something outside, in nested branches too', () => {
    const nested = branch([node('Add', ['logits', 'table'], ['n'])], ['n'])
    const inner = branch(
      [
        node('Abs', ['outer'], ['logits']),
        node('If', ['c'], ['i'], { then_branch: nested, else_branch: nested }),
        node('Add', ['i', 'table'], ['e']),
      ],
      ['e'],
      new Map([['table', table]]),
    )
    const { graph } = inlineMerged(merged(inner))
    expect(names(graph)).toEqual(expect.arrayContaining(['Abs outer -> logits_2', 'Add i,table_2 -> logits']))
    expect([...graph.initializers.keys()]).toEqual(['table', 'table_2'])
    const kept = graph.nodes.find(({ name, op_type }) => op_type === 'If' && name === 'If_i')?.attributes.get('then_branch')
    expect(kept?.type === 'graph' && names(kept.value)).toEqual(['Add logits_2,table_2 -> n'])
  })

  it('hands on outer values and one value under two names', () => {
    const { graph } = inlineMerged(
      merged(branch([node('Abs', ['outer'], ['a'])], ['a', 'a', 'outer']), ['logits', 'again', 'same']),
    )
    expect(names(graph)).toEqual(
      expect.arrayContaining(['Abs outer -> logits', 'Identity logits -> again', 'Identity outer -> same']),
    )
  })

  it('refuses a branch with other outputs', () => {
    expect(() => inlineMerged(merged(branch([node('Abs', ['outer'], ['a'])], ['a', 'a'])))).toThrow(
      /1 outputs, but its else branch has 2/,
    )
  })
})
