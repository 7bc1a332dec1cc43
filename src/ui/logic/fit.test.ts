import { describe, expect, test } from 'vitest'
import type { MemoryEstimate, ModelSummary } from '../../protocol'
import { fitFacts } from './fit'

const MIB = 2 ** 20
const summary: ModelSummary = {
  id: 'a/b',
  model_dtype: 'fp32',
  revision: 'main',
  file_sha256: '',
  kind: 'causal-lm',
  architecture: 'GPT2LMHeadModel',
  parameters: 124e6,
  file_bytes: 500 * MIB,
  hidden_size: 768,
  vocab_size: 50257,
  max_positions: 1024,
  device: 'wasm',
  device_reason: '',
  embedding_std: 0.1,
  auto_learning_rate: 0.1,
  auto_learning_rate_reason: '0.1 on this model',
  self_test: { max_abs_diff: 1.5e-5, tolerance: 1e-3, ok: true },
  ops: { supported: 569, total: 569 },
}
const memory: MemoryEstimate = {
  device: 'wasm',
  verdict: 'fits',
  batch_size: 4,
  positions: 64,
  weight_bytes: 500 * MIB,
  activation_bytes: 200 * MIB,
  plain_activation_bytes: 200 * MIB,
  scoring_bytes: 50 * MIB,
  segments: 1,
  host_bytes: 64 * MIB,
  needed_bytes: 800 * MIB,
  limit_bytes: 4000 * MIB,
  obstacle: null,
  summary: 'Training fits.',
  advice: [],
}

describe('the panel before training', () => {
  test('a model that passes says its numbers', () => {
    const { checks, bar, advice } = fitFacts(summary, memory)
    expect(checks.map(({ state, badge }) => [state, badge])).toEqual([
      ['good', 'supported'],
      ['good', 'checked'],
      ['good', 'fits'],
    ])
    expect(checks[0]?.text).toBe('569 of 569 ops can be computed here.')
    expect(checks[1]?.text).toMatch(/Checked against onnxruntime on wasm: max difference .+ \(allowed .+\)/)
    expect(bar?.parts.map(({ percent }) => percent)).toEqual([12.5, 5, 2.5])
    expect(bar?.parts[0]?.label).toBe('weights 500 MiB')
    expect([bar?.limit, bar?.over, bar?.text]).toEqual(['of 3.9 GiB', false, 'Training fits.'])
    expect(advice).toEqual([])
  })

  test('what does not fit fills the bar and comes with advice', () => {
    const tight = { ...memory, verdict: 'does_not_fit', needed_bytes: 8000 * MIB, advice: ['Set batch_size to 1.'] } as const
    const { checks, bar, advice } = fitFacts(summary, tight)
    expect(checks[2]).toMatchObject({ state: 'bad', badge: 'does not fit' })
    expect(bar?.over).toBe(true)
    expect(bar?.parts.reduce((sum, { percent }) => sum + percent, 0)).toBeCloseTo(100)
    expect(advice).toEqual(['Set batch_size to 1.'])
  })

  test('layers computed again are said; a device that says nothing is no failure', () => {
    const { checks, bar } = fitFacts(summary, { ...memory, verdict: 'fits_with_checkpointing', segments: 4, limit_bytes: null })
    expect(checks[2]).toMatchObject({ state: 'good', badge: 'fits with checkpointing' })
    expect(checks[2]?.text).toContain('4 segments')
    expect(bar?.limit).toContain('does not say')
  })

  test('without a model, or before examples, nothing is claimed', () => {
    expect(fitFacts(null, memory)).toMatchObject({ bar: null, advice: [] })
    for (const { state, badge } of fitFacts(null, null).checks) expect([state, badge]).toEqual(['open', 'not checked yet'])
    expect(fitFacts(summary, null).checks.map(({ state }) => state)).toEqual(['good', 'good', 'open'])
  })

  test('a failed self-test is said in words', () => {
    const wrong = { ...summary, self_test: { max_abs_diff: 2, tolerance: 0.001, ok: false } }
    expect(fitFacts(wrong, memory).checks[1]).toMatchObject({ state: 'bad', badge: 'failed' })
  })
})
