import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkJob } from '../job/check-job'
import type { Job } from '../job/parameters'
import type { PromptRecord, TuneReport } from './prompt-record'
import { newId, PromptLibrary, PromptNotFound } from './prompts'
import { RunStore } from './runs'
import { FallbackStore, MemoryStore } from './store'

function aJob(): Job {
  const checked = checkJob({ base_model: 'promptlathe/tiny-causal' })
  if (!checked.ok) throw new Error('the job of this test is wrong')
  return checked.job
}

const report: TuneReport = {
  device: 'wasm',
  seed: 73,
  learning_rate: 0.02,
  steps: [{ step: 1, epoch: 1, loss: 2.5, learning_rate: 0.02, ms: 12 }],
  epochs: [{ epoch: 1, train_loss: 2.5, validation_loss: null, metrics: null }],
  best_epoch: 1,
  baseline: null,
  text_prompt: null,
  few_shot: null,
  tuned: null,
  counters: { dispatches: 0, submits: 0, buffers_created: 0, live_tensors: 3 },
  peak_memory_bytes: 1e6,
  seconds: 1,
  finished: 'completed',
}

const prompt = (id: string, more: Partial<PromptRecord> = {}): PromptRecord => ({
  id,
  name: `prompt ${id}`,
  created: '2026-01-01T00:00:00.000Z',
  origin: 'tuned',
  base_model: {
    id: 'a/b',
    revision: 'main',
    model_dtype: 'fp32',
    file_sha256: 'f',
    kind: 'causal-lm',
    hidden_size: 3,
    vocab_size: 10,
  },
  job: aJob(),
  num_virtual_tokens: 2,
  output_model_types: ['DECODER'],
  multitask: null,
  rows: Float32Array.of(1, 2, 3, 4, 5, 6),
  prefix_task_cols: new Float32Array(0),
  prefix_task_rows: new Float32Array(0),
  report,
  ...more,
})

describe('the prompt library', () => {
  test('saves, lists newest first without rows, renames, deletes', async () => {
    const library = new PromptLibrary(new MemoryStore(), () => undefined)
    await library.save(prompt('a'))
    await library.save(prompt('b', { created: '2026-02-01T00:00:00.000Z' }))
    const listed = await library.list()
    expect(listed.map((one) => one.id)).toEqual(['b', 'a'])
    expect(listed[0]).not.toHaveProperty('rows')
    await library.rename('a', 'renamed')
    expect(await library.get('a')).toEqual(prompt('a', { name: 'renamed' }))
    await library.delete('a')
    await expect(library.get('a')).rejects.toThrow(PromptNotFound)
    await expect(library.rename('a', 'x')).rejects.toThrow(PromptNotFound)
  })

  test('refuses rows that do not fit or are not finite, naming them', async () => {
    const library = new PromptLibrary(new MemoryStore(), () => undefined)
    await expect(library.save(prompt('a', { rows: new Float32Array(5) }))).rejects.toThrow(/rows: .*every virtual token/)
    await expect(library.save(prompt('a', { rows: Float32Array.of(1, 2, NaN, 4, 5, 6) }))).rejects.toThrow(/rows: .*finite/)
    expect(await library.list()).toEqual([])
  })

  test('keeps multitask prompts of both stacks, and holds their factors to the sizes they say', async () => {
    const library = new PromptLibrary(new MemoryStore(), () => undefined)
    // Two tasks of rank 2 over 2 x 2 rows of 3 numbers.
    const multitask: Partial<PromptRecord> = {
      output_model_types: ['ENCODER', 'DECODER'],
      multitask: { num_tasks: 2, num_ranks: 2, task_names: ['a', 'b'] },
      rows: new Float32Array(12).fill(1),
      prefix_task_cols: new Float32Array(16).fill(2),
      prefix_task_rows: new Float32Array(12).fill(3),
    }
    await library.save(prompt('m', multitask))
    expect(await library.get('m')).toEqual(prompt('m', multitask))
    const [summary] = await library.list()
    expect(summary).toMatchObject({ multitask: multitask.multitask, output_model_types: ['ENCODER', 'DECODER'] })
    for (const tensor of ['rows', 'prefix_task_cols', 'prefix_task_rows'] as const) {
      expect(summary).not.toHaveProperty(tensor)
      const damaged = [new Float32Array(7), Float32Array.from(multitask[tensor] ?? [], (x, i) => (i === 5 ? Infinity : x))]
      for (const values of damaged)
        await expect(library.save(prompt('x', { ...multitask, [tensor]: values }))).rejects.toThrow(new RegExp(`${tensor}: `))
    }
    const nameless = { ...multitask, multitask: { num_tasks: 2, num_ranks: 2, task_names: ['a'] } }
    await expect(library.save(prompt('x', nameless))).rejects.toThrow(/multitask: Expected a name for every task/)
    const plain = { prefix_task_cols: new Float32Array(4) }
    await expect(library.save(prompt('x', plain))).rejects.toThrow(/prefix_task_cols: /)
    await expect(library.save(prompt('x', { output_model_types: [] }))).rejects.toThrow(/output_model_types: /)
  })

  test('a record made before there were encoders, tasks and more measures is read as what it was', async () => {
    const store = new MemoryStore()
    const measured = { loss: 0.5, exact_match: 1, label_accuracy: null }
    const evaluation = { metrics: measured, predictions: [{ input: 'a', expected: 'b', predicted: 'b', exact: true }] }
    const { output_model_types, multitask, prefix_task_cols, prefix_task_rows, ...old } = prompt('a')
    const { text_prompt, few_shot, ...oldReport } = report
    await store.set('a', { ...old, report: { ...oldReport, baseline: evaluation } })
    const metrics = { ...measured, perplexity: Math.exp(0.5), macro_f1: null, rouge_l: null, token_f1: null }
    const baseline = { metrics, predictions: [{ ...evaluation.predictions[0], task: null }], tasks: [] }
    expect(await new PromptLibrary(store, () => undefined).get('a')).toEqual({
      ...old,
      ...{ output_model_types, multitask, prefix_task_cols, prefix_task_rows },
      report: { ...oldReport, baseline, text_prompt, few_shot },
    })
  })

  test('whatever lies in the store, the good records are listed and the rest noticed once', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(fc.anything({ withTypedArray: true }), fc.json()), { maxLength: 5 }),
        async (rubbish) => {
          const store = new MemoryStore()
          const notices: string[] = []
          const library = new PromptLibrary(store, (text) => notices.push(text))
          await library.save(prompt('good'))
          let stored = 0
          for (const [index, value] of rubbish.entries()) {
            await store.set(`bad-${index}`, value).then(
              () => (stored += value === undefined ? 0 : 1),
              () => undefined, // what structured clone refuses can't get in
            )
          }
          expect((await library.list()).map((one) => one.id)).toEqual(['good'])
          await library.list()
          expect(notices).toHaveLength(stored)
        },
      ),
    )
  })

  test('a record under another id is not taken for it', async () => {
    const store = new MemoryStore()
    await store.set('b', prompt('a'))
    expect(await new PromptLibrary(store, () => undefined).list()).toEqual([])
  })

  test('a job of an older version gets the defaults of what it lacks', async () => {
    const store = new MemoryStore()
    const old: Record<string, unknown> = { ...aJob() }
    delete old.seed
    await store.set('a', { ...prompt('a'), job: old })
    expect((await new PromptLibrary(store, () => undefined).get('a')).job).toEqual(aJob())
  })

  test('ids differ and sort by time', () => {
    const ids = Array.from({ length: 100 }, (_, i) => newId(1_800_000_000_000 + i * 1000))
    expect(new Set(ids).size).toBe(100)
    expect([...ids].sort()).toEqual(ids)
  })
})

describe('interrupted runs', () => {
  const run = (id: string) => ({ id, name: id, job: aJob(), train: [{ input: 'a', output: 'b' }], validation: null })
  const at = (id: string, step: number, saved: string) => ({
    run: id,
    saved,
    step,
    total_steps: 9,
    checkpoint: { rows: Float32Array.of(1) },
  })

  test('count once they have a checkpoint, and come back as they were', async () => {
    const runs = new RunStore(new MemoryStore(), () => undefined)
    await runs.begin(run('a'))
    expect(await runs.list()).toEqual([])
    await runs.checkpoint(at('a', 1, '2026-01-01'))
    await runs.checkpoint(at('a', 2, '2026-01-02'))
    await runs.begin(run('b'))
    await runs.checkpoint(at('b', 7, '2026-01-03'))
    expect((await runs.list()).map((one) => [one.run.id, one.at.step])).toEqual([
      ['b', 7],
      ['a', 2],
    ])
    expect(await runs.get('a')).toEqual({ run: run('a'), at: at('a', 2, '2026-01-02') })
    await runs.discard('a')
    expect(await runs.get('a')).toBeNull()
    expect(await runs.list()).toHaveLength(1)
  })

  test('mangled ones are passed over with a notice', async () => {
    const store = new MemoryStore()
    const notices: string[] = []
    const runs = new RunStore(store, (text) => notices.push(text))
    await store.set('run:x', { id: 'x' })
    await store.set('checkpoint:x', 'nothing')
    await store.set('checkpoint:lonely', at('lonely', 1, ''))
    expect(await runs.list()).toEqual([])
    expect(await runs.list()).toEqual([])
    expect(notices).toHaveLength(1)
  })
})

describe('a store that refuses', () => {
  test('everything still works in memory, and the reason is told once', async () => {
    const broken = {
      get: () => Promise.reject(new DOMException('x', 'UnknownError')),
      set: () => Promise.reject(new DOMException('x', 'QuotaExceededError')),
      delete: () => Promise.reject(new DOMException('x', 'UnknownError')),
      keys: () => Promise.reject(new DOMException('x', 'UnknownError')),
      clear: () => Promise.reject(new DOMException('x', 'UnknownError')),
    }
    const told: string[] = []
    const store = new FallbackStore(broken, (reason) => told.push(reason))
    await store.set('a', 1)
    await store.set('b', 2)
    await store.delete('b')
    expect([await store.get('a'), await store.get('b'), await store.keys()]).toEqual([1, undefined, ['a']])
    expect(told).toHaveLength(1)
    expect(told[0]).toContain('no storage left')
  })

  test('agrees with a plain map whenever the first store fails', async () => {
    const step = fc.tuple(fc.constantFrom('set', 'delete', 'get', 'keys'), fc.constantFrom('a', 'b', 'c'), fc.boolean())
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const first = new MemoryStore()
        let failing = false
        const flaky = {
          get: (key: string) => (failing ? Promise.reject(new Error('no')) : first.get(key)),
          set: (key: string, value: unknown) => (failing ? Promise.reject(new Error('no')) : first.set(key, value)),
          delete: (key: string) => (failing ? Promise.reject(new Error('no')) : first.delete(key)),
          keys: () => first.keys(),
          clear: () => first.clear(),
        }
        const store = new FallbackStore(flaky, () => undefined)
        const model = new Map<string, number>()
        for (const [index, [what, key, fails]] of steps.entries()) {
          // Reads never fail here: a value only the broken store has can't be known.
          failing = fails && (what === 'set' || what === 'delete')
          if (what === 'set') await store.set(key, (model.set(key, index), index))
          else if (what === 'delete') await store.delete(key).then(() => model.delete(key))
          else if (what === 'get') expect(await store.get(key)).toBe(model.get(key))
          else expect([...(await store.keys())].sort()).toEqual([...model.keys()].sort())
        }
      }),
    )
  })
})
