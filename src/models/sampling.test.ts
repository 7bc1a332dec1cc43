import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { keepNucleus } from './sampling'

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
