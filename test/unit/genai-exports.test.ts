/**
 * onnxruntime-genai's fused exports (GroupQueryAttention with the rotary embedding inside, SkipSimplifiedLayerNormalization): logits of
 * onnxruntime, gradients of central differences.
 */
import { describe, expect, it } from 'vitest'
import { coverage } from '../../src/graph/coverage'
import { readEmbeddingRows } from '../../src/graph/embedding'
import { fuse } from '../../src/graph/fuse'
import { specialize } from '../../src/graph/specialize'
import { loadFixture, referenceLogits } from '../support/causal'
import { evaluateProgram } from '../support/evaluate-program'
import { gradientError } from '../support/gradient-check'
import { logitsOf } from '../support/onnxruntime'

const FLOAT32 = 'test/fixtures/onnx/genai_llama.onnx'
const FLOAT16 = 'test/fixtures/onnx/genai_llama_f16.onnx'

const idsFor = (count: number, vocabulary: number) => Array.from({ length: count }, (_, i) => (i * 37 + 11) % vocabulary)

describe.each([FLOAT32, FLOAT16])('%s', (path) => {
  const { cut, bytes } = loadFixture(path)

  it('is covered, and knows how many positions its rotary cache has', () => {
    expect(coverage(cut).unsupported).toEqual([])
    expect(coverage(cut).ops).toMatchObject({
      'com.microsoft.GroupQueryAttention': 2,
      'com.microsoft.SkipSimplifiedLayerNormalization': 4,
    })
    expect(cut.max_positions).toBe(64)
  })

  it('becomes composites, whose masks are no inputs', () => {
    const { program, host } = specialize(cut, { batch_size: 2, sequence_length: 6, mask: 'fed', simulate_rounding: false })
    const count = (op: string) => fuse(program).ops.filter((other) => other.op === op).length
    expect(['Attention', 'RotaryEmbedding', 'RMSNorm', 'Silu', 'Softmax'].map(count)).toEqual([2, 4, 5, 2, 0])
    // Padding stands on the right, where a causal model does not look.
    expect(host.inputs).toEqual([])
  })

  it('logits of one row', async () => {
    const ids = idsFor(7, cut.vocab_size)
    const expected = await logitsOf(bytes, ids)
    const { program } = specialize(cut, { batch_size: 1, sequence_length: 7, mask: 'ones', simulate_rounding: false })
    const feeds = new Map([['inputs_embeds', readEmbeddingRows(cut.embedding, ids)]])
    const logits = evaluateProgram(fuse(program), feeds).get('logits')
    expect(logits?.dims).toEqual(expected.dims)
    const worst = expected.data.reduce((most, value, i) => Math.max(most, Math.abs(value - (logits?.data[i] ?? NaN))), 0)
    // The float16 file is computed in float16 by onnxruntime: 11 bits, through two layers.
    expect(worst).toBeLessThan(path === FLOAT16 ? 2e-2 : 1e-5)
  })

  it.runIf(path === FLOAT32)('gradient of central differences', () => {
    const { program } = specialize(cut, { batch_size: 1, sequence_length: 3, mask: 'ones', simulate_rounding: false })
    const embeds = readEmbeddingRows(cut.embedding, idsFor(3, cut.vocab_size))
    const error = gradientError(fuse(program), 'logits', 'inputs_embeds', 1, new Map([['inputs_embeds', embeds]]))
    expect(error).toBeLessThan(1e-6)
  })
})

it.each(['ones', 'fed'] as const)('right-padded rows, mask %s', async (mask) => {
  const { cut, bytes } = loadFixture(FLOAT32)
  const [batch, length] = [3, 8]
  const ids = idsFor(batch * length, cut.vocab_size)
  const attention_mask = Array.from({ length: batch * length }, (_, i) => (i % length < length - Math.floor(i / length) ? 1 : 0))
  const expected = await referenceLogits(bytes, batch, length, ids, attention_mask)
  const { program, host } = specialize(cut, { batch_size: batch, sequence_length: length, mask, simulate_rounding: false })
  const feeds = new Map<string, ArrayLike<number>>(host.run({ attention_mask: Int32Array.from(attention_mask) }))
  feeds.set('inputs_embeds', readEmbeddingRows(cut.embedding, ids))
  const logits = evaluateProgram(program, feeds).get('logits')
  const worst = attention_mask.map((valid, row) => {
    if (valid === 0) return 0
    return Array.from({ length: cut.vocab_size }, (_, i) => row * cut.vocab_size + i).reduce(
      (most, i) => Math.max(most, Math.abs((logits?.data[i] ?? NaN) - (expected[i] ?? NaN))),
      0,
    )
  })
  expect(Math.max(...worst)).toBeLessThan(1e-5)
})
