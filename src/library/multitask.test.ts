/** A multitask prompt's rows against the definition written out in float64. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { taskFactors, taskPrompt } from './multitask'
import type { MultitaskTensors } from './multitask'

const number = fc.float({ min: -4, max: 4, noNaN: true })
const tensors = fc
  .record({
    T: fc.integer({ min: 1, max: 3 }),
    N: fc.integer({ min: 1, max: 4 }),
    r: fc.integer({ min: 1, max: 3 }),
    d: fc.integer({ min: 1, max: 5 }),
  })
  .chain(({ T, N, r, d }) => {
    const of = (length: number) =>
      fc.array(number, { minLength: length, maxLength: length }).map((values) => Float32Array.from(values))
    return fc.record({
      sizes: fc.constant({ T, N, r, d }),
      prompt_embeddings: of(N * d),
      prefix_task_cols: of(T * N * r),
      prefix_task_rows: of(T * r * d),
    })
  })

test('W_t = C_t R_t and P_t = E (*) W_t', () => {
  fc.assert(
    fc.property(tensors, ({ sizes: { T, N, r, d }, ...arrays }) => {
      const prompt: MultitaskTensors = { ...arrays, num_ranks: r, hidden_size: d }
      const { prompt_embeddings: E, prefix_task_cols: C, prefix_task_rows: R } = prompt
      for (let t = 0; t < T; t++) {
        const [W, P] = [taskFactors(prompt, t), taskPrompt(prompt, t)]
        expect([W.length, P.length]).toEqual([N * d, N * d])
        for (let i = 0; i < N; i++) {
          for (let j = 0; j < d; j++) {
            let w = 0
            for (let k = 0; k < r; k++) w += (C[(t * N + i) * r + k] ?? NaN) * (R[(t * r + k) * d + j] ?? NaN)
            // Three products of numbers up to 4, rounded to fp32 at every step.
            expect(Math.abs((W[i * d + j] ?? NaN) - w)).toBeLessThan(1e-5)
            expect(Math.abs((P[i * d + j] ?? NaN) - w * (E[i * d + j] ?? NaN))).toBeLessThan(1e-4)
          }
        }
      }
    }),
  )
})

test('in whole numbers', () => {
  const prompt: MultitaskTensors = {
    prompt_embeddings: Float32Array.of(1, 2, 3, 4, 5, 6),
    // Two tasks, two rows, rank 2.
    prefix_task_cols: Float32Array.of(1, 0, 0, 1, 1, 1, 2, -1),
    prefix_task_rows: Float32Array.of(1, 2, 3, 10, 20, 30, 1, 1, 1, 0, 1, 2),
    num_ranks: 2,
    hidden_size: 3,
  }
  expect([...taskFactors(prompt, 0)]).toEqual([1, 2, 3, 10, 20, 30])
  expect([...taskPrompt(prompt, 0)]).toEqual([1, 4, 9, 40, 100, 180])
  expect([...taskFactors(prompt, 1)]).toEqual([1, 2, 3, 2, 1, 0])
  expect([...taskPrompt(prompt, 1)]).toEqual([1, 4, 9, 8, 5, 0])
})
