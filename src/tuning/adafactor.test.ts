import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import * as v from 'valibot'
import { adafactorOptions, adafactorStep, newAdafactorState, type TensorSpec } from './adafactor'
import { Random } from './random'

const TENSORS: readonly TensorSpec[] = [
  { name: 'matrix', dims: [5, 3] },
  { name: 'vector', dims: [4] },
  { name: 'stack', dims: [2, 3, 2] },
  { name: 'row', dims: [1, 6] },
]
const SIZE = 15 + 4 + 12 + 6

type Matrix = number[][]
const mean = (xs: readonly number[]): number => xs.reduce((sum, x) => sum + x, 0) / xs.length
const transposed = (m: Matrix): Matrix => (m[0] ?? []).map((_, c) => m.map((row) => row[c] ?? NaN))

/** Section 4 and algorithm 5 of the paper, by hand in float64 over nested lists: one matrix (or a vector, as a list of one-number rows). */
class Reference {
  private R: number[] = []
  private C: number[] = []
  private V: Matrix = []

  constructor(private readonly factored: boolean) {}

  update(G: Matrix, beta: number): Matrix {
    const square = G.map((row) => row.map((g) => g * g + 1e-30))
    const blend = (old: readonly number[], now: readonly number[]): number[] =>
      now.map((x, i) => beta * (old[i] ?? 0) + (1 - beta) * x)
    this.R = blend(this.R, square.map(mean))
    this.C = blend(this.C, transposed(square).map(mean))
    this.V = square.map((row, r) => blend(this.V[r] ?? [], row))
    return G.map((row, r) =>
      row.map((g, c) => {
        const v = this.factored ? ((this.R[r] ?? NaN) * (this.C[c] ?? NaN)) / mean(this.R) : (this.V[r]?.[c] ?? NaN)
        return g / Math.sqrt(v)
      }),
    )
  }
}

/** Whole tensors: every matrix's update, clipped together by their common root mean square. */
function referenceStep(p: Float64Array, g: Float32Array, parts: readonly Reference[][], t: number, lr: number, wd: number): void {
  const shapes = [[[5, 3]], [[4, 1]], [[3, 2], [3, 2]], [[1, 6]]] as const // prettier-ignore
  let at = 0
  shapes.forEach((matrices, k) => {
    const begin = at
    const update = matrices.flatMap(([rows, columns], m) => {
      const G = Array.from({ length: rows }, (_, r) => Array.from({ length: columns }, (_, c) => g[at + r * columns + c] ?? NaN))
      at += rows * columns
      return parts[k]?.[m]?.update(G, 1 - t ** -0.8).flat() ?? []
    })
    const clip = Math.max(1, Math.sqrt(mean(update.map((u) => u * u))))
    update.forEach((u, i) => {
      const old = p[begin + i] ?? NaN
      p[begin + i] = old - lr * wd * old - (lr * u) / clip
    })
  })
}

test('200 steps against the paper in float64: factored, stacked and full', () => {
  const random = new Random(11, 'adafactor')
  const p = Float32Array.from({ length: SIZE }, () => random.normal())
  const q = Float64Array.from(p)
  const parts = [[true], [false], [true, true], [true]].map((kinds) => kinds.map((factored) => new Reference(factored)))
  const state = newAdafactorState(TENSORS)
  for (let t = 1; t <= 200; t++) {
    const g = Float32Array.from({ length: SIZE }, () => random.normal() * 10 ** -random.below(4))
    const lr = 0.3 * (1 - t / 400)
    adafactorStep(p, g, state, lr, adafactorOptions(0.01), TENSORS)
    referenceStep(q, g, parts, t, lr, 0.01)
  }
  expect(state.step).toBe(200)
  // 200 roundings of 2^-24, a few each, relative to numbers around 10.
  p.forEach((x, i) => expect(Math.abs(x - (q[i] ?? NaN)), `number ${i}`).toBeLessThan(2e-4))
  expect(Math.max(...p.map(Math.abs))).toBeGreaterThan(1)
})

test("transformers' own steps (test/fixtures/adafactor/make.py)", () => {
  const numbers = v.array(v.number())
  const Golden = v.object({
    tensors: v.array(v.object({ name: v.string(), dims: numbers })),
    learning_rate: v.number(),
    weight_decay: v.number(),
    initial: numbers,
    steps: v.array(v.object({ gradient: numbers, parameters: numbers })),
  })
  const golden = v.parse(Golden, JSON.parse(readFileSync('test/fixtures/adafactor/golden.json', 'utf8')))
  const p = Float32Array.from(golden.initial)
  const state = newAdafactorState(golden.tensors)
  for (const { gradient, parameters } of golden.steps) {
    const options = adafactorOptions(golden.weight_decay)
    adafactorStep(p, Float32Array.from(gradient), state, golden.learning_rate, options, golden.tensors)
    // Same roundings but for torch's fp32 sums and fused multiply-adds: a few units of 2^-24 relative to numbers around 1.
    p.forEach((x, i) => expect(Math.abs(x - (parameters[i] ?? NaN)), `step ${state.step}, number ${i}`).toBeLessThan(2e-6))
  }
  expect(state.step).toBe(6)
})

describe('properties', () => {
  const step = (g: Float32Array, tensors: readonly TensorSpec[], weight_decay = 0, p = new Float32Array(g.length)) => {
    adafactorStep(p, g, newAdafactorState(tensors), 0.3, adafactorOptions(weight_decay), tensors)
    return p
  }
  test('the first step of a full tensor is the sign, of size learning rate', () => {
    expect([...step(Float32Array.of(2, -0.001, 1e-9), [{ name: 'v', dims: [3] }])].map((x) => x.toFixed(5))).toEqual([
      '-0.30000',
      '0.30000',
      '-0.30000',
    ])
  })
  test('no update is longer than clip_threshold', () => {
    // A single number stands out: factored, its row and column predict too little for it.
    const g = new Float32Array(64 * 64).fill(1e-4)
    g[5] = 3
    const moved = step(g, [{ name: 'm', dims: [64, 64] }])
    const rms = Math.sqrt(moved.reduce((sum, x) => sum + x * x, 0) / moved.length)
    expect(rms).toBeLessThan(0.3 * (1 + 1e-6))
    expect(rms).toBeGreaterThan(0.29)
  })
  test('no gradient: only weight decay moves', () => {
    const p = step(new Float32Array(6), [{ name: 'm', dims: [2, 3] }], 0.5, new Float32Array(6).fill(2))
    expect([...p]).toEqual(Array.from({ length: 6 }, () => Math.fround(2 - Math.fround(Math.fround(0.15) * 2))))
  })
  test('tensors side by side move as each alone', () => {
    const random = new Random(3, 'apart')
    const g = Float32Array.from({ length: SIZE }, () => random.normal())
    const together = step(g, TENSORS)
    let at = 0
    const apart = TENSORS.flatMap((tensor) => {
      const size = tensor.dims.reduce((product, dim) => product * dim, 1)
      return [...step(g.slice(at, (at += size)), [tensor])]
    })
    expect([...together]).toEqual(apart)
  })
  test('a state saved and read back goes on bit for bit', () => {
    const random = new Random(5, 'saved')
    const steps = Array.from({ length: 6 }, () => Float32Array.from({ length: SIZE }, () => random.normal()))
    const go = (from: readonly Float32Array[], p: Float32Array, state = newAdafactorState(TENSORS)) => {
      for (const g of from) adafactorStep(p, g, state, 0.1, adafactorOptions(1e-5), TENSORS)
      return { p, state }
    }
    const whole = go(steps, new Float32Array(SIZE))
    const half = go(steps.slice(0, 3), new Float32Array(SIZE))
    const { slots, step: count } = half.state
    expect(go(steps.slice(3), half.p.slice(), { slots: slots.slice(), step: count }).p).toEqual(whole.p)
  })
  test('memory: rows and columns of factored tensors, all of the others', () => {
    expect(newAdafactorState(TENSORS).slots).toHaveLength(5 + 3 + 4 + 2 * (3 + 2) + 1 + 6)
  })
  test('lengths that do not add up', () => {
    const tensors = [{ name: 'm', dims: [2, 2] }]
    const go = (p: number, g: number, state = newAdafactorState(tensors)) =>
      adafactorStep(new Float32Array(p), new Float32Array(g), state, 0.1, adafactorOptions(0), tensors)
    expect(() => go(5, 5)).toThrow(/4 numbers described, 5 given/)
    expect(() => go(4, 3)).toThrow(RangeError)
    expect(() => go(4, 4, newAdafactorState(TENSORS))).toThrow(/other tensors/)
  })
  test('what is not finite stays visible', () => {
    expect([...step(Float32Array.of(1, NaN, 1, 1), [{ name: 'm', dims: [2, 2] }])].some(Number.isNaN)).toBe(true)
  })
})
