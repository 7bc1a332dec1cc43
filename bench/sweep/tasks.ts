/** The sample tasks of public/samples as a sweep wants them: their data and template, without the settings that are swept. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { ROOT } from '../../cli/serve'
import { hashOf } from './records'

const IndexSchema = v.array(v.object({ name: v.string() }))
const ExampleSchema = v.object({ input: v.string(), output: v.string(), task: v.exactOptional(v.string()) })
const SampleSchema = v.object({
  title: v.string(),
  job: v.looseObject({
    base_model: v.optional(v.string(), 'promptlathe/tiny-causal'),
    num_epochs: v.optional(v.number()),
    baseline_text_prompt: v.optional(v.string(), ''),
    tuning_config: v.optional(v.looseObject({ prompt_tuning_init_source_model: v.optional(v.string()) })),
  }),
  examples: v.array(ExampleSchema),
  validation: v.optional(v.nullable(v.array(ExampleSchema))),
})

/** Set by the sweep, so left out of the job. */
const SWEPT = ['num_epochs', 'learning_rate', 'batch_size', 'baselines', 'baseline_text_prompt', 'few_shot_examples']
const SWEPT_IN_CONFIG = [
  'num_virtual_tokens',
  'prompt_tuning_init_method',
  'prompt_tuning_init_text',
  'prompt_tuning_init_source_model',
]

export interface Task {
  readonly name: string
  readonly title: string
  readonly base_model: string
  /** The job without what is swept. */
  readonly job: Readonly<Record<string, unknown>>
  readonly tuning_config: Readonly<Record<string, unknown>>
  /** The epochs its sample suggests; null: the default. */
  readonly suggested_epochs: number | null
  /** For init TEXT; empty: the sample names no instruction. */
  readonly instruction: string
  /** The sample whose prompt it starts from, by title; null: none. With how it starts from it. */
  readonly source: { readonly title: string; readonly method: string } | null
  readonly train: readonly v.InferOutput<typeof ExampleSchema>[]
  readonly validation: readonly v.InferOutput<typeof ExampleSchema>[] | null
  readonly data: string
}

const without = (record: Readonly<Record<string, unknown>>, keys: readonly string[]): Record<string, unknown> =>
  Object.fromEntries(Object.entries(record).filter(([key]) => !keys.includes(key)))

function toTask(name: string, { title, job, examples, validation = null }: v.InferOutput<typeof SampleSchema>): Task {
  const { base_model, num_epochs = null, baseline_text_prompt: instruction, tuning_config = {} } = job
  const source = tuning_config.prompt_tuning_init_source_model
  const method = v.parse(v.optional(v.string(), ''), tuning_config['prompt_tuning_init_method'])
  const fixed = { job: without(job, [...SWEPT, 'tuning_config']), tuning_config: without(tuning_config, SWEPT_IN_CONFIG) }
  return {
    name,
    title,
    base_model,
    ...fixed,
    suggested_epochs: num_epochs,
    instruction,
    source: source === undefined ? null : { title: source, method },
    train: examples,
    validation,
    data: hashOf([fixed, instruction, examples, validation]),
  }
}

const readJson = (path: string): unknown => JSON.parse(readFileSync(join(ROOT, 'public', 'samples', path), 'utf8'))

/** All of them, in the order of the page. @throws ValiError when a file is not a sample */
export function readTasks(): Task[] {
  const names = v.parse(IndexSchema, readJson('index.json')).map(({ name }) => name)
  const tasks = names.map((name) => toTask(name, v.parse(SampleSchema, readJson(`${name}.json`))))
  // Where a prompt starts from another's, a change of that sample is a change of the data.
  return tasks.map((task) => {
    const source = tasks.find(({ title }) => title === task.source?.title)
    return source ? { ...task, data: hashOf([task.data, source.data]) } : task
  })
}
