/** Programs made from real exports give onnxruntime's logits, for constant and fed masks. */
import { describe, expect, it } from 'vitest'
import { readEmbeddingRows } from '../../src/graph/embedding'
import { specialize, type SpecializeKey } from '../../src/graph/specialize'
import { loadFixture, referenceLogits } from '../support/causal'
import { evaluateProgram } from '../support/evaluate-program'

const MODELS = [
  'test/fixtures/onnx/gpt2_t433_past.onnx',
  'test/fixtures/onnx/gpt2_t433_decoder_model_merged.onnx',
  'test/fixtures/onnx/llama_t441_past.onnx',
  'test/fixtures/onnx/llama_sdpa_past.onnx',
  'test/fixtures/peft/gpt2/onnx/model.onnx',
  'test/fixtures/peft/llama/onnx/model.onnx',
  'public/models/promptlathe/tiny-causal/onnx/model.onnx',
]
const QUANTIZED = [
  'test/fixtures/onnx/gpt2_t433_past_quantized.onnx',
  'public/models/promptlathe/tiny-causal/onnx/model_quantized.onnx',
]

const masks: Record<string, (batch: number, length: number) => number[]> = {
  'right-padded': (batch, length) =>
    Array.from({ length: batch * length }, (_, i) => (i % length < length - Math.floor(i / length) ? 1 : 0)),
  'left-padded': (batch, length) =>
    Array.from({ length: batch * length }, (_, i) => (i % length >= Math.floor(i / length) ? 1 : 0)),
}

/** Largest difference of logits at positions whose mask is 1. */
async function difference(
  path: string,
  batch: number,
  length: number,
  kind: SpecializeKey['mask'],
  mask: number[],
  ortMask = mask,
  float32 = false,
) {
  const { bytes, cut } = loadFixture(path)
  const ids = Array.from({ length: batch * length }, (_, i) => (i * 37 + 11) % cut.vocab_size)
  const expected = await referenceLogits(bytes, batch, length, ids, ortMask)
  const { program, host } = specialize(cut, { batch_size: batch, sequence_length: length, mask: kind, simulate_rounding: true })
  const feeds = new Map<string, ArrayLike<number>>(host.run({ attention_mask: Int32Array.from(mask) }))
  feeds.set('inputs_embeds', readEmbeddingRows(cut.embedding, ids))
  const logits = evaluateProgram(program, feeds, { float32 }).get('logits')
  if (!logits) throw new Error('no logits')
  expect(logits.data.length).toBe(expected.length)
  const vocabulary = logits.dims[2] ?? 1
  let worst = 0
  logits.data.forEach((value, i) => {
    if (mask[Math.floor(i / vocabulary)] === 1)
      worst = Math.max(worst, Number.isNaN(value) ? Infinity : Math.abs(value - (expected[i] ?? NaN)))
  })
  return { worst, program, host }
}

describe.each(MODELS)('%s', (path) => {
  it.each([
    [1, 5],
    [3, 8],
  ])('batch %i of %i, constant mask over right padding', async (batch, length) => {
    const mask = masks['right-padded']?.(batch, length) ?? []
    // onnxruntime is told of the padding, the program is not: no position that counts can see it.
    const { worst, host } = await difference(path, batch, length, 'ones', mask)
    expect(host.inputs).toEqual([])
    expect(worst).toBeLessThan(1e-4)
  })

  it.each(Object.keys(masks))('fed mask, %s', async (kind) => {
    const { worst, host } = await difference(path, 3, 8, 'fed', masks[kind]?.(3, 8) ?? [])
    expect(host.inputs.length).toBeGreaterThan(0)
    expect(worst).toBeLessThan(1e-4)
  })
})

describe.each(QUANTIZED)('%s', (path) => {
  it.each([
    [1, 5],
    [2, 8],
  ])('batch %i of %i, rounding simulated', async (batch, length) => {
    const mask = new Array<number>(batch * length).fill(1)
    const { worst } = await difference(path, batch, length, 'ones', mask, mask, true)
    expect(worst).toBeLessThan(1e-4)
  })

  it('fed mask, right-padded, rounding simulated', async () => {
    const mask = masks['right-padded']?.(2, 8) ?? []
    const { worst } = await difference(path, 2, 8, 'fed', mask, mask, true)
    expect(worst).toBeLessThan(1e-4)
  })
})
