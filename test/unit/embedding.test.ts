import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { findEmbeddings, readEmbeddingRows, type Embedding } from '../../src/graph/embedding'
import { GraphError, type Graph, type Node } from '../../src/graph/ir'
import { readModel } from '../../src/graph/read'
import { concatBytes, writeModel } from '../../src/graph/write'
import { floats, ints, model, node, tensor } from '../support/onnx'
import { runOnnx } from '../support/onnxruntime'

const file = (path: string) => new Uint8Array(readFileSync(path))
const ONNX = 'test/fixtures/onnx'
const PEFT = 'test/fixtures/peft'
const EMBEDDED = 'public/models/promptlathe/tiny-causal/onnx'

const FLAT = [
  `${ONNX}/gpt2_t433_past.onnx`,
  `${ONNX}/gpt2_t433_past_q4.onnx`,
  `${ONNX}/gpt2_t433_past_quantized.onnx`,
  `${ONNX}/llama_sdpa_past.onnx`,
  `${ONNX}/llama_t441_past.onnx`,
  `${ONNX}/genai_llama.onnx`,
  `${ONNX}/genai_llama_f16.onnx`,
  `${ONNX}/genai_llama_q4_gbq.onnx`,
  `${ONNX}/t5_t433_encoder.onnx`,
  `${PEFT}/gpt2/onnx/model.onnx`,
  `${PEFT}/llama/onnx/model.onnx`,
  `${PEFT}/t5/onnx/encoder_model.onnx`,
  `${PEFT}/t5/onnx/decoder_model.onnx`,
  `${EMBEDDED}/model.onnx`,
  `${EMBEDDED}/model_quantized.onnx`,
]

describe('findEmbeddings', () => {
  it.each(FLAT)("%s: one lookup, whose rows are onnxruntime's", async (path) => {
    const model = readModel(file(path))
    const [embedding, ...others] = findEmbeddings(model.graph)
    expect(others).toEqual([])
    if (!embedding) throw new Error('none found')
    const { output, dtype, hidden_size, vocab_size } = embedding
    const graph: Graph = {
      ...model.graph,
      outputs: [...model.graph.outputs, { name: output, dtype, dims: [], incomplete: 'shape' }],
    }
    const ids = [0, 3, vocab_size - 1, 7, 3]
    const result = (await runOnnx(concatBytes(writeModel({ ...model, graph })), ids, [output])).get(output)
    expect(result?.data.length).toBe(ids.length * hidden_size)
    expect(readEmbeddingRows(embedding, ids)).toEqual(result?.data)
  })

  it.each([`${ONNX}/gpt2_t433_decoder_model_merged.onnx`, `${ONNX}/t5_t433_decoder_model_merged.onnx`])(
    '%s: one lookup in each branch, on the one outer table',
    (path) => {
      const { graph } = readModel(file(path))
      const found = findEmbeddings(graph)
      expect(found).toHaveLength(2)
      expect(found.map((embedding) => embedding.graph.name).sort()).toEqual(['no_past', 'with_past'])
      expect(found[0]?.table).toBe(found[1]?.table)
      expect(found.map((embedding) => [embedding.vocab_size, embedding.hidden_size])).toEqual([
        [160, 32],
        [160, 32],
      ])
    },
  )

  it('looks at each node a few times, however many look up an integer table', () => {
    const int8 = { dtype: 'int8', dims: [3, 2], bytes: Uint8Array.of(1, 2, 3, 4, 5, 6) } as const
    const looks = (lookups: number): number => {
      let count = 0
      // A node that counts how often anyone asks what it takes.
      const counted = (one: Node): Node => ({ ...one, get inputs() { count++; return one.inputs } }) // prettier-ignore
      const nodes = Array.from({ length: lookups }, (_, i) => [
        counted(node('Gather', ['table', 'input_ids'], [`rows${i}`])),
        counted(node('DequantizeLinear', [`rows${i}`, 'scale'], [`floats${i}`])),
        counted(node('Add', [`floats${i}`, i === 0 ? 'floats0' : `sum${i - 1}`], [`sum${i}`])),
      ])
      const { graph } = model({
        nodes: nodes.flat(),
        inputs: { input_ids: ints([1, 2], [0, 1]) },
        initializers: { table: int8, scale: tensor(floats([], [0.5])) },
        outputs: { [`sum${lookups - 1}`]: { dtype: 'float32', dims: [1, 2, 2] } },
      })
      const found = findEmbeddings(graph)
      expect(found).toHaveLength(lookups)
      expect([...readEmbeddingRows(found[lookups - 1] as Embedding, [2])]).toEqual([2.5, 3])
      return count / (3 * lookups)
    }
    for (const lookups of [100, 1000, 10_000]) expect(looks(lookups)).toBeLessThan(10)
  })

  it('takes rows of integers as a lookup only where one DequantizeLinear, and nothing else, uses them', () => {
    const int8 = { dtype: 'int8', dims: [3, 2], bytes: Uint8Array.of(1, 2, 3, 4, 5, 6) } as const
    const found = (...users: Node[]): number =>
      findEmbeddings(
        model({
          nodes: [node('Gather', ['table', 'input_ids'], ['rows']), ...users],
          inputs: { input_ids: ints([1, 2], [0, 1]) },
          initializers: { table: int8, scale: tensor(floats([], [0.5])) },
          outputs: { y: { dtype: 'float32', dims: [1, 2, 2] } },
        }).graph,
      ).length
    const floats32 = node('DequantizeLinear', ['rows', 'scale'], ['y'])
    expect(found(floats32)).toBe(1)
    expect(found(floats32, node('Cast', ['rows'], ['z'], { to: 1 }))).toBe(0)
    expect(found(node('Add', ['rows', 'rows'], ['y']))).toBe(0)
    expect(found()).toBe(0)
  })

  it('finds none where the ids are not looked up', () => {
    const { graph } = readModel(file(`${PEFT}/llama/onnx/model.onnx`))
    expect(findEmbeddings({ ...graph, inputs: graph.inputs.filter((input) => input.name !== 'input_ids') })).toEqual([])
  })

  it('refuses ids outside the table', () => {
    const [embedding] = findEmbeddings(readModel(file(`${PEFT}/llama/onnx/model.onnx`)).graph)
    if (!embedding) throw new Error('none found')
    for (const id of [-1, 64, 1.5, NaN]) expect(() => readEmbeddingRows(embedding, [id])).toThrow(GraphError)
  })
})
