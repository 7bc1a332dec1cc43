/** The parts of the loop that are arithmetic: random numbers, AdamW, schedules, learning rate. */
import fc from 'fast-check'
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import * as v from 'valibot'
import { jobOf } from '../../test/support/tuning'
import { AUTO_RATIO, explainAuto, resolveLearningRate } from './learning-rate'
import { adamWOptions, adamWStep, clipGradient, newAdamWState, norm } from './optimizer'
import { Random } from './random'
import { countSteps, scheduleFactor, scheduleOf } from './schedule'

const Golden = v.record(v.string(), v.looseObject({ lrs: v.array(v.number()) }))
const golden = v.parse(Golden, JSON.parse(readFileSync('test/fixtures/peft/golden.json', 'utf8')))

describe('random', () => {
  test('streams are reproducible and independent', () => {
    const draw = (seed: number, stream: string) =>
      Array.from(
        { length: 4 },
        (
          (r) => () =>
            r.uint32()
        )(new Random(seed, stream)),
      )
    expect(draw(73, 'a')).toEqual(draw(73, 'a'))
    expect(draw(73, 'a')).not.toEqual(draw(73, 'b'))
    expect(draw(73, 'a')).not.toEqual(draw(74, 'a'))
  })
  test('uniform and normal have their moments', () => {
    const random = new Random(5, 'moments')
    const n = 100_000
    const moments = (draw: () => number) => {
      const xs = Float64Array.from({ length: n }, draw)
      const mean = xs.reduce((s, x) => s + x, 0) / n
      const power = (k: number) => xs.reduce((s, x) => s + (x - mean) ** k, 0) / n
      return { mean, variance: power(2), kurtosis: power(4) / power(2) ** 2 }
    }
    // Four standard errors at n = 1e5: 0.0037 and 0.0127 for the means, 0.06 for the normal's kurtosis.
    const uniform = moments(() => random.uniform())
    expect(Math.abs(uniform.mean - 0.5)).toBeLessThan(0.004)
    expect(Math.abs(uniform.variance - 1 / 12)).toBeLessThan(0.002)
    const normal = moments(() => random.normal())
    expect(Math.abs(normal.mean)).toBeLessThan(0.013)
    expect(Math.abs(normal.variance - 1)).toBeLessThan(0.02)
    expect(Math.abs(normal.kurtosis - 3)).toBeLessThan(0.07)
  })
  test('below covers its range; shuffled is a permutation', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), fc.nat(), (n, seed) => {
        const random = new Random(seed, 'x')
        const items = Array.from({ length: n }, (_, i) => i)
        expect(random.shuffled(items).sort((a, b) => a - b)).toEqual(items)
        expect(random.below(n)).toBeLessThan(n)
      }),
    )
  })
})

describe('AdamW', () => {
  // torch.optim.AdamW([1, -2, 0.5], lr=0.1, weight_decay=0.01): the update rule by hand, in float64.
  test('two steps by hand', () => {
    const p = Float32Array.of(1, -2, 0.5)
    const state = newAdamWState(3)
    adamWStep(p, Float32Array.of(0.1, -0.2, 0), state, 0.1, adamWOptions(0.01))
    // Step 1: m/(1-b1) = g and sqrt(v/(1-b2)) = |g|, so each moves by lr against the sign of g, after the decay.
    expect(p[0]).toBeCloseTo(1 * 0.999 - 0.1, 6)
    expect(p[1]).toBeCloseTo(-2 * 0.999 + 0.1, 6)
    expect(p[2]).toBeCloseTo(0.5 * 0.999, 7)
    adamWStep(p, Float32Array.of(0.3, 0.2, 0), state, 0.05, adamWOptions(0.01))
    const second = (before: number, g1: number, g2: number) => {
      const m = (0.09 * g1 + 0.1 * g2) / (1 - 0.81)
      const s = (0.999 * 0.001 * g1 * g1 + 0.001 * g2 * g2) / (1 - 0.999 ** 2)
      return before * (1 - 0.05 * 0.01) - (0.05 * m) / (Math.sqrt(s) + 1e-8)
    }
    expect(p[0]).toBeCloseTo(second(0.899, 0.1, 0.3), 6)
    expect(p[1]).toBeCloseTo(second(-1.898, -0.2, 0.2), 6)
    expect(state.step).toBe(2)
  })
  test('stays within fp32 rounding of the same rule in float64 over 200 random steps', () => {
    const random = new Random(3, 'adamw')
    const p = Float32Array.from({ length: 8 }, () => random.normal())
    const q = { p: Float64Array.from(p), m: new Float64Array(8), v: new Float64Array(8) }
    const state = newAdamWState(8)
    for (let t = 1; t <= 200; t++) {
      const g = Float32Array.from({ length: 8 }, () => random.normal() * 10 ** -random.below(4))
      const lr = 0.05 * (1 - t / 200)
      adamWStep(p, g, state, lr, adamWOptions(0.01))
      g.forEach((x, i) => {
        const m = 0.9 * (q.m[i] ?? 0) + 0.1 * x
        const s = 0.999 * (q.v[i] ?? 0) + 0.001 * x * x
        q.m[i] = m
        q.v[i] = s
        q.p[i] = (q.p[i] ?? 0) * (1 - lr * 0.01) - (lr * (m / (1 - 0.9 ** t))) / (Math.sqrt(s / (1 - 0.999 ** t)) + 1e-8)
      })
    }
    // 200 roundings of 2^-24 relative to numbers around 1.
    p.forEach((x, i) => expect(Math.abs(x - (q.p[i] ?? NaN))).toBeLessThan(2e-5))
  })
  test('clipping', () => {
    const g = Float32Array.of(3, 4)
    expect(clipGradient(g, null)).toBe(5)
    expect(clipGradient(g, 10)).toBe(5)
    expect([...g]).toEqual([3, 4])
    expect(clipGradient(g, 1)).toBe(5)
    expect(norm(g)).toBeCloseTo(1, 5)
    expect(clipGradient(Float32Array.of(1, NaN), 1)).toBeNaN()
  })
})

describe('schedules', () => {
  test("PEFT's golden learning rates", () => {
    for (const [name, { lrs }] of Object.entries(golden)) {
      const ours = lrs.map((_, step) => 0.05 * scheduleFactor({ kind: 'linear', warmup_steps: 0, total_steps: lrs.length }, step))
      ours.forEach((lr, step) => expect(lr, name).toBeCloseTo(lrs[step] ?? NaN, 15))
    }
  })
  test('warm-up, cosine and constant as in transformers', () => {
    const factors = (kind: 'linear' | 'cosine' | 'constant') =>
      Array.from({ length: 7 }, (_, step) => scheduleFactor({ kind, warmup_steps: 2, total_steps: 6 }, step))
    expect(factors('linear')).toEqual([0, 0.5, 1, 0.75, 0.5, 0.25, 0])
    expect(factors('constant')).toEqual([0, 0.5, 1, 1, 1, 1, 1])
    const cosine = [0, 0.5, 1, 0.8535533905932737, 0.5, 0.14644660940672627, 0]
    factors('cosine').forEach((factor, step) => expect(factor).toBeCloseTo(cosine[step] ?? NaN, 12))
  })
  test('upstream counts batches where we count steps', () => {
    // 50 rows in batches of 8 with 32 accumulated: 7 batches and 1 step an epoch; their rate falls from 0.3 to 0.259 in 20 epochs.
    const caikit = jobOf({ preset: 'caikit' })
    const counts = countSteps(caikit, 50)
    expect(counts).toEqual({ batches_per_epoch: 7, steps_per_epoch: 1, total_steps: 20 })
    expect(0.3 * scheduleFactor(scheduleOf(caikit, counts), 19)).toBeCloseTo(0.259, 3)
    const plain = jobOf({ accumulate_steps: 32 })
    expect(scheduleFactor(scheduleOf(plain, counts), 19)).toBeCloseTo(1 / 20, 12)
  })
})

test('automatic learning rate follows the spread of the embeddings', () => {
  expect(resolveLearningRate('auto', 0.085).learning_rate).toBe(0.021)
  expect(resolveLearningRate('auto', 0.02).learning_rate).toBe(0.005)
  expect(resolveLearningRate(0.3, 0.02)).toMatchObject({
    learning_rate: 0.3,
    reason: expect.stringMatching(/15 times/) as string,
  })
  const { learning_rate, reason } = resolveLearningRate('auto', 0.085)
  expect(reason).toBe(`Learning rate ${explainAuto(0.085)}`)
  expect(explainAuto(0.085)).toMatch(
    new RegExp(`^${learning_rate} on this model: ${AUTO_RATIO} times .*standard deviation 0.085`),
  )
  expect(explainAuto(0)).toMatch(/no usable spread/)
  for (const std of [0, NaN, Infinity]) expect(() => resolveLearningRate('auto', std)).toThrow(/spread/)
})
