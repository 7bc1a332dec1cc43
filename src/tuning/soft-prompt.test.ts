/** Parameters, the rows they stand for, and the gradient back: views, identity, and the chain rule against finite differences. */
import { describe, expect, test } from 'vitest'
import { layoutOf } from '../../test/support/tuning'
import { taskPrompt } from '../library/multitask'
import { Random } from './random'
import { NO_PROMPT, parameterCount, parameterGradient, promptRows, promptsOf, tensorsOf, tensorViews } from './soft-prompt'
import type { PromptLayout } from './soft-prompt'

const H = 3
const n = 2
const multitask = (num_ranks: number, stacks: PromptLayout['stacks'] = ['encoder', 'decoder'], num_tasks = 2): PromptLayout =>
  layoutOf(n, H, { tuning_type: 'MULTITASK_PROMPT_TUNING', stacks, num_tasks, num_ranks })
const LAYOUTS: readonly (readonly [string, PromptLayout])[] = [
  ['one prompt, decoder', layoutOf(n, H)],
  ['one prompt, both stacks', layoutOf(n, H, { stacks: ['encoder', 'decoder'] })],
  ['rank 1, both stacks', multitask(1)],
  ['rank 3, both stacks', multitask(3)],
  ['rank 3, encoder', multitask(3, ['encoder'])],
  ['rank 1, decoder, one task', multitask(1, ['decoder'], 1)],
]
const noise = (length: number, seed = 1) => {
  const random = new Random(seed, 'noise')
  return Float32Array.from({ length }, () => random.normal())
}

describe('tensors', () => {
  test("their names and sizes are those of PEFT's adapters", () => {
    expect(tensorsOf(layoutOf(5, 7))).toEqual([{ name: 'prompt_embeddings', dims: [5, 7] }])
    expect(tensorsOf(multitask(3))).toEqual([
      { name: 'prompt_embeddings', dims: [4, H] },
      { name: 'prefix_task_cols', dims: [2, 4, 3] },
      { name: 'prefix_task_rows', dims: [2, 3, H] },
    ])
    expect(promptRows(multitask(3))).toBe(4)
    expect(parameterCount(multitask(3))).toBe(4 * H + 2 * 4 * 3 + 2 * 3 * H)
  })

  test('views lie one after the other in the parameters, and write through', () => {
    const layout = multitask(1)
    const parameters = noise(parameterCount(layout))
    const views = tensorViews(layout, parameters)
    const { prompt_embeddings: E, prefix_task_cols: C, prefix_task_rows: R } = views
    expect([...E, ...C, ...R]).toEqual([...parameters])
    expect([E.length, C.length, R.length, views.num_ranks, views.hidden_size]).toEqual([12, 8, 6, 1, H])
    R[0] = 42
    expect(parameters[20]).toBe(42)
    const plain = tensorViews(layoutOf(n, H), parameters.subarray(0, n * H))
    expect([plain.prompt_embeddings.length, plain.prefix_task_cols.length, plain.prefix_task_rows.length]).toEqual([6, 0, 0])
  })
})

describe('prompts', () => {
  test('of PROMPT_TUNING are the parameters, the encoder before the decoder, the same for every task', () => {
    const layout = layoutOf(n, H, { stacks: ['encoder', 'decoder'] })
    const parameters = noise(parameterCount(layout))
    const prompts = promptsOf(layout, parameters)
    expect([...prompts(0).encoder, ...prompts(0).decoder]).toEqual([...parameters])
    expect(prompts(0).encoder).toHaveLength(n * H)
    expect(prompts(5)).toBe(prompts(0))
  })

  test('of several tasks are each its own, given as the same arrays every time', () => {
    const layout = multitask(2)
    const parameters = noise(parameterCount(layout))
    const prompts = promptsOf(layout, parameters)
    for (const task of [0, 1]) {
      const { encoder, decoder } = prompts(task)
      expect([...encoder, ...decoder]).toEqual([...taskPrompt(tensorViews(layout, parameters), task)])
      expect(prompts(task).encoder).toBe(encoder)
      expect(prompts(task).decoder).toBe(decoder)
    }
    expect(prompts(0)).not.toEqual(prompts(1))
    // Another asking makes other arrays: what is kept by them is of these numbers alone.
    expect(promptsOf(layout, parameters)(0).encoder).not.toBe(prompts(0).encoder)
  })

  test('stay what they were when the parameters move, asked before or after', () => {
    for (const [, layout] of LAYOUTS) {
      const parameters = noise(parameterCount(layout))
      const expected = promptsOf(layout, parameters.slice())
      const prompts = promptsOf(layout, parameters)
      prompts(0)
      parameters.fill(7)
      for (let task = 0; task < layout.num_tasks; task++) expect(prompts(task)).toEqual(expected(task))
    }
  })

  test('a stack without virtual tokens has none', () => {
    expect(promptsOf(layoutOf(n, H), noise(n * H))(0).encoder).toHaveLength(0)
    const encoder = layoutOf(n, H, { stacks: ['encoder'] })
    expect(promptsOf(encoder, noise(n * H))(0).decoder).toHaveLength(0)
    expect([NO_PROMPT(0).encoder.length, NO_PROMPT(3).decoder.length]).toEqual([0, 0])
  })
})

/** The rows of a task, [N,H], by the definition, in float64. */
function rowsOf(layout: PromptLayout, parameters: Float64Array, task: number): Float64Array {
  const N = promptRows(layout)
  const { num_ranks: r, num_tasks: T, tuning_type } = layout
  const E = parameters.subarray(0, N * H)
  if (tuning_type === 'PROMPT_TUNING') return E
  const C = parameters.subarray(N * H, N * H + T * N * r)
  const R = parameters.subarray(N * H + T * N * r)
  return E.map((e, at) => {
    const [i, j] = [Math.floor(at / H), at % H]
    let w = 0
    for (let k = 0; k < r; k++) w += (C[(task * N + i) * r + k] ?? NaN) * (R[(task * r + k) * H + j] ?? NaN)
    return e * w
  })
}

describe('gradient of the parameters', () => {
  test.each(LAYOUTS)('%s: central differences of a loss of all rows', (_, layout) => {
    const parameters = noise(parameterCount(layout), 2)
    const tasks = Array.from({ length: layout.num_tasks }, (_, task) => task)
    /** Any smooth function of all rows: sin(a x + b) with numbers of its own for every task and place. */
    const a = (task: number, i: number) => 0.5 + ((task * 31 + i * 7) % 11) / 10
    const loss = (P: Float64Array) =>
      tasks.reduce((sum, task) => sum + rowsOf(layout, P, task).reduce((part, x, i) => part + Math.sin(a(task, i) * x + i), 0), 0)
    const P = Float64Array.from(parameters)
    const d_rows = new Map(
      tasks.map((task) => [task, rowsOf(layout, P, task).map((x, i) => a(task, i) * Math.cos(a(task, i) * x + i))] as const),
    )
    const gradient = parameterGradient(layout, parameters, d_rows)
    expect(gradient).toHaveLength(P.length)
    const h = 1e-5
    P.forEach((_, i) => {
      const at = (by: number) => loss(P.map((x, j) => (j === i ? x + by : x)))
      // The gradient is fp32 of numbers around 1.
      expect(Math.abs((gradient[i] ?? NaN) - (at(h) - at(-h)) / (2 * h))).toBeLessThan(2e-6)
    })
  })

  test('a task without rows leaves its own factors alone; tasks add up in what they share', () => {
    const layout = multitask(2)
    const parameters = noise(parameterCount(layout))
    const G = Float64Array.from(noise(promptRows(layout) * H, 3))
    const [first, second, both] = [[0], [1], [0, 1]].map((tasks) =>
      parameterGradient(layout, parameters, new Map(tasks.map((task) => [task, G]))),
    )
    if (!first || !second || !both) throw new Error('none')
    const views = (gradient: Float32Array) => tensorViews(layout, gradient)
    const half = (tensor: Float32Array, task: number) => [...tensor.subarray((task * tensor.length) / 2, ((task + 1) * tensor.length) / 2)] // prettier-ignore
    for (const name of ['prefix_task_cols', 'prefix_task_rows'] as const) {
      expect(half(views(first)[name], 1).every((x) => x === 0)).toBe(true)
      expect(half(views(second)[name], 0).every((x) => x === 0)).toBe(true)
      expect(half(views(both)[name], 0)).toEqual(half(views(first)[name], 0))
      expect(half(views(both)[name], 1)).toEqual(half(views(second)[name], 1))
    }
    views(both).prompt_embeddings.forEach((x, i) => {
      expect(x).toBeCloseTo((views(first).prompt_embeddings[i] ?? NaN) + (views(second).prompt_embeddings[i] ?? NaN), 5)
    })
  })
})
