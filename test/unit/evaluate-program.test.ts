/** The reference evaluator is itself held to finite differences, so that a gradient op can't be wrong the same way twice. */
import { describe, expect, it } from 'vitest'
import { elementCount } from '../../src/graph/ir'
import type { Op } from '../../src/graph/program'
import { evaluateOp } from '../support/evaluate-program'
import { at, erf, map, nd, type Nd } from '../support/nd'

let seed = 1
const random = () => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  return seed / 2 ** 31 - 1
}
const noise = (...dims: number[]): Nd => nd(dims, Float64Array.from({ length: elementCount(dims) }, random))
const op = (partial: Pick<Op, 'op'> & { attrs: object }): Op => ({ name: partial.op, inputs: [], outputs: [], ...partial }) as Op
const first = (results: readonly Nd[]): Nd => {
  if (!results[0]) throw new Error('no result')
  return results[0]
}
const dot = (a: Nd, b: Nd) => a.data.reduce((total, x, i) => total + x * at(b.data, i), 0)

/** d dot(forward(inputs), dy) / d inputs[which], by central differences. */
function numericGradient(forward: Op, inputs: Nd[], which: number, dy: Nd): Nd {
  const x = at0(inputs, which)
  const epsilon = 1e-5
  const value = (i: number, step: number) => {
    const moved = nd(x.dims, x.data)
    moved.data[i] = at(moved.data, i) + step
    return dot(
      first(
        evaluateOp(
          forward,
          inputs.map((input, k) => (k === which ? moved : input)),
        ),
      ),
      dy,
    )
  }
  return nd(
    x.dims,
    x.data.map((_, i) => (value(i, epsilon) - value(i, -epsilon)) / (2 * epsilon)),
  )
}
function at0<T>(list: readonly T[], index: number): T {
  const value = list[index]
  if (value === undefined) throw new Error(`nothing at ${index}`)
  return value
}
function expectClose(got: Nd, expected: Nd) {
  expect(got.dims).toEqual(expected.dims)
  got.data.forEach((value, i) => expect(value).toBeCloseTo(at(expected.data, i), 7))
}

describe('gradient composites against finite differences', () => {
  const epsilon = 1e-3
  const x = noise(2, 3, 8)
  const dy = noise(2, 3, 8)
  const scale = noise(8)
  const bias = noise(8)
  it.each([
    ['LayerNorm', { epsilon }, [x, scale, bias], 'LayerNormGrad', [dy, x, scale]],
    ['RMSNorm', { epsilon }, [x, scale], 'RMSNormGrad', [dy, x, scale]],
    ['Gelu', { approximate: 'none' }, [x], 'GeluGrad', [dy, x]],
    ['Gelu', { approximate: 'tanh' }, [x], 'GeluGrad', [dy, x]],
    ['Silu', {}, [x], 'SiluGrad', [dy, x]],
    ['RotaryEmbedding', {}, [x, scale, bias], 'RotaryEmbeddingGrad', [dy, scale, bias]],
  ] as const)('%s %j', (forward, attrs, inputs, backward, gradInputs) => {
    expectClose(
      first(evaluateOp(op({ op: backward, attrs }), gradInputs)),
      numericGradient(op({ op: forward, attrs }), [...inputs], 0, dy),
    )
  })

  it('Attention, grouped and masked', () => {
    const inputs = [noise(2, 4, 3, 5), noise(2, 2, 6, 5), noise(2, 2, 6, 7), map(noise(2, 1, 3, 6), (m) => (m > 0.5 ? -1e4 : m))]
    const dy4 = noise(2, 4, 3, 7)
    const attention = op({ op: 'Attention', attrs: { scale: 0.4 } })
    const p = at0(evaluateOp(attention, inputs), 1)
    const grads = evaluateOp(op({ op: 'AttentionGrad', attrs: { scale: 0.4 } }), [dy4, ...inputs.slice(0, 3), p])
    for (const which of [0, 1, 2]) expectClose(at0(grads, which), numericGradient(attention, inputs, which, dy4))
  })

  it('GatherRows, rows repeated', () => {
    const positions = nd([2, 4], [0, 2, 2, 1, 1, 1, 0, 0])
    const gathered = noise(2, 4, 8)
    const grad = evaluateOp(op({ op: 'GatherRowsGrad', attrs: { sequence_length: 3 } }), [gathered, positions])
    expectClose(first(grad), numericGradient(op({ op: 'GatherRows', attrs: {} }), [x, positions], 0, gathered))
  })

  it('the two losses', () => {
    const logits = noise(2, 3, 5)
    const [ids, weights, dense] = [nd([2, 3], [0, 4, 2, 2, 1, 0]), noise(2, 3), noise(2, 3, 5)]
    const one = nd([], [1])
    for (const [name, others] of [
      ['SoftmaxCrossEntropy', [ids, weights]],
      ['WeightedLogSoftmax', [dense]],
    ] as const) {
      const loss = op({ op: name, attrs: {} })
      expectClose(at0(evaluateOp(loss, [logits, ...others]), 1), numericGradient(loss, [logits, ...others], 0, one))
    }
    const labels = first(evaluateOp(op({ op: 'LabelLogProbability', attrs: {} }), [logits, ids]))
    const loss = first(evaluateOp(op({ op: 'SoftmaxCrossEntropy', attrs: {} }), [logits, ids, weights]))
    expect(-dot(labels, weights)).toBeCloseTo(at(loss.data, 0), 10)
  })

  it('DynamicQuantizedMatMul without rounding', () => {
    const w = nd(
      [8, 3],
      Float64Array.from({ length: 24 }, () => Math.round(random() * 127)),
    )
    const inputs = [x, w, noise(3), nd([3], [1, 0, -2])]
    const forward = op({ op: 'DynamicQuantizedMatMul', attrs: { simulate_rounding: false } })
    const d = noise(2, 3, 3)
    expectClose(
      first(evaluateOp(op({ op: 'DynamicQuantizedMatMulGrad', attrs: {} }), [d, ...inputs.slice(1)])),
      numericGradient(forward, inputs, 0, d),
    )
  })
})

describe('erf', () => {
  it('has the tabulated values', () => {
    // Abramowitz & Stegun, table 7.1, and erfc(3.5) = 7.430983723414128e-7.
    expect(erf(0.5)).toBeCloseTo(0.5204998778130465, 14)
    expect(erf(-2)).toBeCloseTo(-0.9953222650189527, 14)
    expect(1 - erf(3.5)).toBeCloseTo(7.430983723414128e-7, 15)
    expect(Math.abs(erf(3 - 1e-12) - erf(3 + 1e-12))).toBeLessThan(1e-12)
  })
})
