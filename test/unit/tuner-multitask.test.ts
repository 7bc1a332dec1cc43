/**
 * Several tasks through the whole worker: source training, adapting to one task from the library, taking prompts away task by task and back in,
 * and what is refused before anything is trained.
 */
import { describe, expect, test } from 'vitest'
import type { TunerClient } from '../../src/client'
import type { Example } from '../../src/job/records'
import { failure, startWorker } from '../support/worker-session'

const MULTITASK = 'MULTITASK_PROMPT_TUNING'
const TOKENS = 3
const words = ['walk', 'jump', 'play', 'open', 'call', 'help', 'look', 'talk']
const examples: Example[] = words.flatMap((word) => [
  { input: word, output: `${word}ed`, task: 'past tense' },
  { input: word, output: `${word}s`, task: 'past/tense' },
])
const ofOneTask: Example[] = words.map((input) => ({ input, output: `${input}ing` }))

const jobOf = (base_model: string, tuning_config: object, more: object = {}): object => ({
  base_model,
  allow_downloads: false,
  device: 'wasm',
  num_epochs: 1,
  batch_size: 4,
  validation: 0.25,
  baselines: [],
  ...more,
  tuning_config: { num_virtual_tokens: TOKENS, ...tuning_config },
})

const tune = (
  client: TunerClient,
  name: string,
  job: object,
  train: readonly Example[],
  validation: readonly Example[] | null = null,
) => client.request('tune', { job, name, train, validation })
const problemsOf = async (client: TunerClient, job: object): Promise<string[]> =>
  (await failure(tune(client, 'x', job, ofOneTask))).problems.map(({ field }) => field.replace('tuning_config.', ''))

describe.each([
  ['promptlathe/tiny-causal', null],
  ['promptlathe/tiny-seq2seq', ['ENCODER', 'DECODER']],
] as const)('%s, several tasks', (MODEL, output_model_types) => {
  const config = { output_model_types }

  test('are trained, measured one by one, taken away and adapted from', { timeout: 300_000 }, async () => {
    const client = startWorker(new Map())
    const sources = jobOf(MODEL, { ...config, num_tasks: 2, num_ranks: 2 }, { tuning_type: MULTITASK })
    const { prompt, report } = await tune(client, 'sources', sources, examples)
    expect(prompt.multitask).toEqual({ num_tasks: 2, num_ranks: 2, task_names: ['past tense', 'past/tense'] })
    expect(report.tuned?.tasks.map(({ task, rows }) => [task, rows])).toEqual([
      ['past tense', 2],
      ['past/tense', 2],
    ])

    const take = (format: 'peft' | 'peft_flat' | 'caikit' | 'baked', task: string | null) =>
      client.request('export_prompt', { prompt: prompt.id, format, task })
    for (const format of ['peft_flat', 'caikit', 'baked'] as const) {
      expect((await take(format, 'past/tense')).files.length).toBeGreaterThan(1)
      expect(await failure(take(format, null))).toMatchObject({
        code: 'invalid',
        message: expect.stringContaining('several tasks') as unknown,
      })
      expect(await failure(take(format, 'plural'))).toMatchObject({ code: 'invalid' })
    }
    const { files } = await take('peft', null)
    const back = await client.request('import_prompt', { name: 'back', base_model: MODEL, files })
    expect(back).toMatchObject({ multitask: prompt.multitask, output_model_types: prompt.output_model_types })

    const from = (prompt_tuning_init_method: string, more: object = {}) => ({
      ...config,
      num_ranks: 2,
      prompt_tuning_init_method,
      prompt_tuning_init_source_model: back.name,
      ...more,
    })
    const adapt = (tuning_config: object): object => jobOf(MODEL, tuning_config, { tuning_type: MULTITASK })
    for (const method of ['AVERAGE_SOURCE', 'EXACT_SOURCE_TASK', 'ONLY_SOURCE_SHARED']) {
      const made = await tune(client, method, adapt(from(method, { prompt_tuning_init_task: 1 })), ofOneTask)
      expect(made.prompt.multitask).toMatchObject({ num_tasks: 1, num_ranks: 2 })
      expect(made.report.steps.every(({ loss }) => Number.isFinite(loss))).toBe(true)
    }
    const plain = jobOf(MODEL, from('SOURCE_PROMPT', { prompt_tuning_init_task: 1 }))
    expect((await tune(client, 'plain', plain, ofOneTask)).prompt.multitask).toBeNull()

    expect(await problemsOf(client, adapt(from('AVERAGE_SOURCE', { num_ranks: 1, num_virtual_tokens: TOKENS + 1 })))).toEqual([
      'num_virtual_tokens',
      'num_ranks',
    ])
    expect(await problemsOf(client, adapt(from('EXACT_SOURCE_TASK', { prompt_tuning_init_task: 2 })))).toEqual([
      'prompt_tuning_init_task',
    ])
    const gone = adapt(from('AVERAGE_SOURCE', { prompt_tuning_init_source_model: 'gone' }))
    expect(await problemsOf(client, gone)).toEqual(['prompt_tuning_init_source_model'])
  })
})

test('rows that contradict num_tasks are named', { timeout: 120_000 }, async () => {
  const client = startWorker(new Map())
  const job = (num_tasks: number): object => jobOf('promptlathe/tiny-causal', { num_tasks }, { tuning_type: MULTITASK })
  const message = async (num_tasks: number, train: readonly Example[], held: readonly Example[] | null): Promise<string> => {
    const failed = await failure(tune(client, 'x', job(num_tasks), train, held))
    expect(failed.code).toBe('invalid')
    return failed.message
  }
  expect(await message(3, examples, null)).toMatch(/num_tasks is 3, but .* of 2 tasks: "past tense", "past\/tense"/)
  expect(await message(2, [...examples, ...ofOneTask], null)).toMatch(/8 examples do not say/)
  expect(await message(2, examples, [{ input: 'a', output: 'b', task: 'plural' }])).toMatch(/also of "plural"/)
})
