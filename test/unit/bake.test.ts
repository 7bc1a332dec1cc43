import { readFileSync } from 'node:fs'
import * as ort from 'onnxruntime-web'
import { describe, expect, it } from 'vitest'
import { bakePrompt } from '../../src/graph/bake'
import { findEmbeddings, readEmbeddingRows } from '../../src/graph/embedding'
import { GraphError } from '../../src/graph/ir'
import { readModel } from '../../src/graph/read'
import { totalLength } from '../../src/graph/source'
import { concatBytes, writeModel } from '../../src/graph/write'
import { logitsOf, runOnnx } from '../support/onnxruntime'

const file = (path: string) => new Uint8Array(readFileSync(path))
const ONNX = 'test/fixtures/onnx'
const EMBEDDED = 'public/models/promptlathe/tiny-causal/onnx'

const DECODERS = [
  `${ONNX}/gpt2_t433_past.onnx`,
  `${ONNX}/gpt2_t433_past_q4.onnx`,
  `${ONNX}/gpt2_t433_past_quantized.onnx`,
  `${ONNX}/gpt2_t433_decoder_model_merged.onnx`,
  `${ONNX}/t5_t433_decoder_model_merged.onnx`,
  `${ONNX}/llama_t441_past.onnx`,
  `${ONNX}/llama_sdpa_past.onnx`,
  `${ONNX}/genai_llama.onnx`,
  `${ONNX}/genai_llama_f16.onnx`,
  `${ONNX}/genai_llama_q4_gbq.onnx`,
  `${EMBEDDED}/model.onnx`,
  `${EMBEDDED}/model_quantized.onnx`,
]

/** Rows of the table as a prompt: baked in, they must act exactly as the ids they were taken from. */
function promptOf(bytes: Uint8Array, ids: readonly number[]) {
  const [embedding] = findEmbeddings(readModel(bytes).graph)
  if (!embedding) throw new Error('no embedding')
  const { hidden_size, vocab_size } = embedding
  return { vocab_size, prompt: { rows: readEmbeddingRows(embedding, ids), num_virtual_tokens: ids.length, hidden_size } }
}

const maxDifference = (a: Float32Array, b: Float32Array) =>
  a.reduce((worst, value, i) => Math.max(worst, Math.abs(value - (b[i] ?? NaN))), 0)

describe('bakePrompt', () => {
  it.each(DECODERS)('%s: soft ids look up the prompt, plain ids what they did', async (path) => {
    const bytes = file(path)
    const stand_ins = [5, 17, 2]
    const text = [9, 4, 31]
    const { prompt, vocab_size } = promptOf(bytes, stand_ins)
    const { chunks, first_token_id } = bakePrompt(bytes, prompt)
    expect(first_token_id).toBe(vocab_size)
    const baked = concatBytes(chunks)
    const soft = stand_ins.map((_, i) => first_token_id + i)

    const plain = await logitsOf(bytes, [...stand_ins, ...text])
    const plainOfBaked = await logitsOf(baked, [...stand_ins, ...text])
    // onnxruntime's CPU runs float16 graphs in float32 between the ops it fuses; new nodes move where it rounds (an ulp at 4 is 4e-3).
    if (path.includes('f16')) expect(maxDifference(plainOfBaked.data, plain.data)).toBeLessThan(1.2e-2)
    else expect(plainOfBaked).toEqual(plain)
    expect(await logitsOf(baked, [...soft, ...text])).toEqual(plainOfBaked)
    // In the middle and backwards: the row follows the id, not the place.
    const mixed = [9, soft[2] ?? 0, 4, soft[0] ?? 0]
    expect(await logitsOf(baked, mixed)).toEqual(await logitsOf(baked, [9, 2, 4, 5]))

    const other = bakePrompt(bytes, { ...prompt, rows: prompt.rows.map((value, i) => value + Math.sin(i)) })
    expect((await logitsOf(concatBytes(other.chunks), [...soft, ...text])).data).not.toEqual(plain.data)
  })

  it('adds only its own nodes: what was there is still there, weights are views into the file', () => {
    const bytes = file(`${ONNX}/gpt2_t433_past_quantized.onnx`)
    const before = readModel(bytes)
    const { chunks } = bakePrompt(bytes, promptOf(bytes, [1]).prompt)
    const shared = chunks.filter((chunk) => chunk instanceof Uint8Array && chunk.buffer === bytes.buffer)
    expect(totalLength(shared)).toBeGreaterThan(bytes.byteLength * 0.9)
    const after = readModel(concatBytes(chunks))
    const added = after.graph.nodes.filter((node) => node.name.startsWith('soft_prompt.'))
    expect(added).toHaveLength(8)
    const kept = after.graph.nodes.filter((node) => !node.name.startsWith('soft_prompt.'))
    const changed = kept.filter((node, i) => JSON.stringify(node) !== JSON.stringify(before.graph.nodes[i]))
    expect(changed.map((node) => node.op_type)).toEqual(['Gather', 'DequantizeLinear'])
    for (const [name, tensor] of before.graph.initializers) expect(after.graph.initializers.get(name)).toEqual(tensor)
    expect([after.ir_version, after.opsets, after.graph.inputs, after.graph.outputs]).toEqual([
      before.ir_version,
      before.opsets,
      before.graph.inputs,
      before.graph.outputs,
    ])
  })

  it('patches both branches of a merged decoder: a cached step equals the whole run', async () => {
    const bytes = file(`${ONNX}/gpt2_t433_decoder_model_merged.onnx`)
    const { chunks, first_token_id: soft } = bakePrompt(bytes, promptOf(bytes, [5, 17]).prompt)
    const baked = concatBytes(chunks)
    const whole = await logitsOf(baked, [soft, 9, 4, soft + 1, 31])

    const names = [0, 1].flatMap((layer) => [`${layer}.key`, `${layer}.value`])
    const presents = await runOnnx(
      baked,
      [soft, 9, 4],
      names.map((name) => `present.${name}`),
    )
    const given: Record<string, ort.Tensor> = {
      use_cache_branch: new ort.Tensor('bool', [true], [1]),
      attention_mask: new ort.Tensor('int64', new BigInt64Array(5).fill(1n), [1, 5]),
    }
    for (const name of names) {
      const present = presents.get(`present.${name}`)
      if (present) given[`past_key_values.${name}`] = new ort.Tensor('float32', present.data, [...present.dims])
    }
    const step = (await runOnnx(baked, [soft + 1, 31], ['logits'], given)).get('logits')
    // fp32 sums in another order (2 rows at a time instead of 5).
    expect(maxDifference(step?.data ?? new Float32Array(0), whole.data.subarray(3 * 160))).toBeLessThan(1e-5)
    expect(step?.data).toHaveLength(2 * 160)
  })

  it('works on a T5 encoder', async () => {
    const bytes = file(`${ONNX}/t5_t433_encoder.onnx`)
    const baked = bakePrompt(bytes, promptOf(bytes, [7, 8]).prompt)
    const ids = [baked.first_token_id + 1, baked.first_token_id, 3]
    const name = readModel(bytes).graph.outputs[0]?.name ?? ''
    expect(await runOnnx(concatBytes(baked.chunks), ids, [name])).toEqual(await runOnnx(bytes, [8, 7, 3], [name]))
  })

  it('refuses ids past the prompt, as onnxruntime does for any id outside a table', async () => {
    const bytes = file(`${ONNX}/llama_t441_past.onnx`)
    const baked = bakePrompt(bytes, promptOf(bytes, [7]).prompt)
    await expect(logitsOf(concatBytes(baked.chunks), [baked.first_token_id + 1])).rejects.toThrow(/out of (data )?bounds|indices/)
  })

  it('names what does not fit', () => {
    const bytes = file(`${ONNX}/llama_t441_past.onnx`)
    const { prompt } = promptOf(bytes, [1, 2])
    const bake = (change: Partial<typeof prompt>) => () => bakePrompt(bytes, { ...prompt, ...change })
    expect(bake({ hidden_size: 16, num_virtual_tokens: 4 })).toThrow('the prompt is 16 wide')
    expect(bake({ num_virtual_tokens: 3 })).toThrow('64 numbers for 3 x 32')
    expect(bake({ num_virtual_tokens: 0, rows: new Float32Array(0) })).toThrow('at least one virtual token')
    expect(bake({ rows: prompt.rows.map((value, i) => (i === 33 ? NaN : value)) })).toThrow('prompt row 1, column 1 is NaN')
    expect(() => bakePrompt(concatBytes(bakePrompt(bytes, prompt).chunks), prompt)).toThrow('already holds a baked prompt')
    expect(() => bakePrompt(bytes.subarray(0, 1000), prompt)).toThrow(GraphError)
    const half = file(`${ONNX}/genai_llama_f16.onnx`)
    const wide = promptOf(half, [1]).prompt
    expect(() => bakePrompt(half, { ...wide, rows: wide.rows.map(() => 1e6) })).toThrow('beyond float16')
    const model = readModel(bytes)
    const old = concatBytes(writeModel({ ...model, opsets: new Map([['', 10]]) }))
    expect(() => bakePrompt(old, prompt)).toThrow('operator set 11')
    const blind = concatBytes(writeModel({ ...model, graph: { ...model.graph, inputs: [] } }))
    expect(() => bakePrompt(blind, prompt)).toThrow('no embedding lookup')
  })
})
