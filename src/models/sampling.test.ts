import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { GENERATION_DEFAULTS } from './generation/parameters'
import { favourEnd, forceToken, keepNucleus, keepTypical, logitsChanges } from './sampling'

const probabilities = (logits: Float32Array): number[] => {
  const largest = Math.max(...logits)
  const weights = Array.from(logits, (logit) => Math.exp(logit - largest))
  const sum = weights.reduce((a, b) => a + b, 0)
  return weights.map((weight) => weight / sum)
}

describe('nucleus sampling', () => {
  test('a distribution worked out by hand', () => {
    // Probabilities 0.5, 0.3, 0.15, 0.05 in another order.
    const logits = Float32Array.from([0.15, 0.5, 0.05, 0.3], Math.log)
    const kept = (top_k: number, top_p: number): number[] => {
      const copy = logits.slice()
      keepNucleus(copy, top_k, top_p)
      return [...copy.keys()].filter((i) => copy[i] !== -Infinity)
    }
    expect(kept(0, 0.4)).toEqual([1])
    expect(kept(0, 0.6)).toEqual([1, 3])
    expect(kept(0, 0.9)).toEqual([0, 1, 3])
    expect(kept(0, 0)).toEqual([1])
    // Among the two likeliest, 0.5 is 0.625 of the mass: enough for 0.6, not for 0.7.
    expect(kept(2, 0.6)).toEqual([1])
    expect(kept(2, 0.7)).toEqual([1, 3])
  })

  test('keeps the smallest sufficient set of the likeliest', () => {
    const logits = fc.array(fc.float({ min: -20, max: 20, noNaN: true }), { minLength: 1, maxLength: 50 })
    fc.assert(
      fc.property(logits, fc.double({ min: 0, max: 1, noNaN: true }), (values, top_p) => {
        const before = Float32Array.from(values)
        const after = before.slice()
        keepNucleus(after, 0, top_p)
        const p = probabilities(before)
        const kept = [...after.keys()].filter((i) => after[i] !== -Infinity)
        const mass = kept.reduce((sum, i) => sum + (p[i] ?? 0), 0)
        const least = Math.min(...kept.map((i) => p[i] ?? 0))
        expect(kept.length).toBeGreaterThan(0)
        for (const i of kept) expect(after[i]).toBe(before[i])
        expect(mass).toBeGreaterThan(top_p - 1e-6)
        if (kept.length > 1) expect(mass - least).toBeLessThan(top_p + 1e-6)
        for (const i of after.keys()) if (after[i] === -Infinity) expect(p[i] ?? 1).toBeLessThanOrEqual(least)
      }),
    )
  })
})

/** HF's TypicalLogitsWarper, step by step as it is written there. */
function typicalReference(logits: Float32Array, mass: number): number[] {
  const p = probabilities(logits)
  const normalized = p.map((one) => Math.log(one))
  const entropy = -normalized.reduce((sum, log, i) => (p[i] === 0 ? sum : sum + log * (p[i] ?? 0)), 0)
  const shifted = normalized.map((log) => Math.abs(-log - entropy))
  const sorted = [...shifted.keys()].sort((a, b) => (shifted[a] ?? 0) - (shifted[b] ?? 0))
  let cumulative = 0
  let below = 0
  for (const i of sorted) {
    cumulative += p[i] ?? 0
    if (cumulative < mass) below++
  }
  const last = shifted[sorted[Math.min(below, sorted.length - 1)] ?? 0] ?? 0
  return [...shifted.keys()].filter((i) => (shifted[i] ?? 0) <= last)
}

const left = (logits: Float32Array): number[] => [...logits.keys()].filter((i) => logits[i] !== -Infinity)

describe('typical sampling', () => {
  test('a distribution worked out by hand', () => {
    // Entropy 1.143 nats; informations 0.693, 1.204, 1.897, 2.996: nearest is the second, then the first, then the third.
    const kept = (typical_p: number): number[] => {
      const logits = Float32Array.from([0.5, 0.3, 0.15, 0.05], Math.log)
      keepTypical(logits, typical_p)
      return left(logits)
    }
    expect(kept(0.2)).toEqual([1])
    expect(kept(0.7)).toEqual([0, 1])
    expect(kept(0.9)).toEqual([0, 1, 2])
    expect(kept(0.97)).toEqual([0, 1, 2, 3])
  })

  test('keeps what the reference keeps, also behind a filter', () => {
    const logit = fc.oneof({ weight: 5, arbitrary: fc.integer({ min: -40, max: 40 }) }, fc.constant(-Infinity))
    const logits = fc.array(logit, { minLength: 1, maxLength: 40 }).filter((values) => values.some(Number.isFinite))
    fc.assert(
      fc.property(logits, fc.double({ min: 0.01, max: 0.99, noNaN: true }), (values, typical_p) => {
        const before = Float32Array.from(values, (value) => value / 4)
        const after = before.slice()
        keepTypical(after, typical_p)
        const kept = left(after)
        expect(kept.length).toBeGreaterThan(0)
        for (const i of kept) expect(after[i]).toBe(before[i])
        // Right at the border rounding may say otherwise; the reference is asked a hair to both sides.
        const finite = (i: number): boolean => before[i] !== -Infinity
        const bounds = [typical_p - 1e-6, typical_p + 1e-6].map((mass) => typicalReference(before, mass).filter(finite))
        const [least = [], most = []] = bounds
        if (least.length === most.length) expect(kept).toEqual(most)
        else expect(kept.length).toBeGreaterThanOrEqual(least.length)
      }),
    )
  })
})

describe('the exponential length penalty', () => {
  const penalty = { start_index: 3, decay_factor: 1.5 }

  test('leaves the first tokens alone, then lifts the end by |logit| * (factor ^ over - 1)', () => {
    const said = (tokens: number): number[] => {
      const logits = Float32Array.of(1, -4, 2, -Infinity)
      favourEnd(logits, tokens, [1, 2, 3], penalty)
      return [...logits]
    }
    expect(said(3)).toEqual([1, -4, 2, -Infinity])
    expect(said(4)).toEqual([1, -4 + 4 * 0.5, 2 + 2 * 0.5, -Infinity])
    expect(said(6)).toEqual([1, -4 + 4 * (1.5 ** 3 - 1), 2 + 2 * (1.5 ** 3 - 1), -Infinity])
  })

  test('counts from what was fed, not from its beginning', () => {
    const parameters = { ...GENERATION_DEFAULTS, exponential_decay_length_penalty: penalty }
    const [change] = logitsChanges({ parameters, eos_ids: [0], fed: 10, forced_first: null })
    const at = (length: number): number => {
      const logits = Float32Array.of(2, 0)
      change?.(logits, length)
      return logits[0] ?? NaN
    }
    expect([at(10), at(13), at(14)]).toEqual([2, 2, 3])
  })
})

describe('which changes there are', () => {
  const all = { ...GENERATION_DEFAULTS, top_p: 0.9, typical_p: 0.5, top_k: 2 }
  const count = (parameters: typeof all): number => logitsChanges({ parameters, eos_ids: [0], fed: 1, forced_first: null }).length

  test('greedy decoding has none of sampling', () => {
    expect(count(all)).toBe(0)
    expect(count({ ...all, decoding_method: 'SAMPLING' })).toBe(2)
    expect(count({ ...all, decoding_method: 'SAMPLING', typical_p: 1, top_p: 1 })).toBe(0)
  })

  test('typical_p is a share of what top_k leaves', () => {
    // Of all four the second is nearest to the entropy, of the two likeliest the first.
    const kept = (top_k: number): number[] => {
      const parameters = { ...all, decoding_method: 'SAMPLING' as const, top_p: 1, typical_p: 0.2, top_k }
      const logits = Float32Array.from([0.4, 0.3, 0.15, 0.15], Math.log)
      for (const change of logitsChanges({ parameters, eos_ids: [0], fed: 1, forced_first: null })) change(logits, 1)
      return left(logits)
    }
    expect(kept(0)).toEqual([1])
    expect(kept(2)).toEqual([0])
  })

  test('a forced token comes first and only first', () => {
    const [change] = logitsChanges({ parameters: GENERATION_DEFAULTS, eos_ids: [0], fed: 4, forced_first: 2 })
    const first = Float32Array.of(9, 8, -3)
    change?.(first, 4)
    expect(left(first)).toEqual([2])
    const second = Float32Array.of(9, 8, -3)
    change?.(second, 5)
    expect([...second]).toEqual([9, 8, -3])
    const alone = Float32Array.of(1, 1)
    forceToken(alone, 0)
    expect([...alone]).toEqual([0, -Infinity])
  })
})
