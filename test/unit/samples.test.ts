/** The sample tasks in public/samples and the job files in examples/: jobs that hold, for the models they name, with rows that can be read. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { InvalidJob, readWork } from '../../cli/read-job'
import { modelHash, readCards, sampleHash, tableOf } from '../../bench/sample-table'
import { exampleFiles } from '../../pretraining/example-rows'
import { sampleFiles } from '../../pretraining/sample-files'
import { checkJob } from '../../src/job/check-job'
import { checkAgainstModel } from '../../src/job/check-model'
import type { Job } from '../../src/job/parameters'
import { recordsFromObjects, type Example } from '../../src/job/records'
import { CATALOGUE } from '../../src/models/catalogue'
import { describeConfig } from '../../src/models/config'
import { CardsSchema, fromRandomName } from '../../src/ui/logic/measured'
import { tasksOf } from '../../src/tuning/tasks'

const folderOf = (path: string): string => fileURLToPath(new URL(`../../${path}/`, import.meta.url))
const SAMPLES = folderOf('public/samples')
const EXAMPLES = folderOf('examples')

const Head = {
  name: v.string(),
  group: v.picklist(['causal', 'seq2seq', 'multitask']),
  title: v.string(),
  explanation: v.string(),
}
const Sample = v.strictObject({
  ...Head,
  job: v.record(v.string(), v.unknown()),
  examples: v.array(v.unknown()),
  validation: v.array(v.unknown()),
})
const Index = v.array(v.strictObject({ ...Head, examples: v.number(), validation: v.number() }))
/** Written by `npm run cards`, not by samples.ts. */
const CARDS = 'cards.json'

const read = (name: string): string => readFileSync(SAMPLES + name, 'utf8')
const index = v.parse(Index, JSON.parse(read('index.json')))
const samples = index.map(({ name }) => v.parse(Sample, JSON.parse(read(`${name}.json`))))

/** The sample's job on the model it names, or else the page's first. */
function jobOf({ job: json }: v.InferOutput<typeof Sample>): Job {
  const checked = checkJob({ base_model: CATALOGUE.find((model) => model.embedded)?.id, ...json })
  expect(checked).toMatchObject({ ok: true, notices: [] })
  if (!checked.ok) throw new Error('unreachable: expected above')
  return checked.job
}

function rowsOf(values: readonly unknown[]): readonly Example[] {
  const parsed = recordsFromObjects(values)
  expect(parsed).toMatchObject({ skipped: [], duplicates: [], converted: 0 })
  return parsed.examples
}

test('the files are what pretraining/samples.ts makes, and no others', () => {
  const made = sampleFiles()
  expect(readdirSync(SAMPLES).sort()).toEqual([...made.keys(), CARDS].sort())
  for (const [name, text] of made) expect(read(name), `${name}: run npx tsx pretraining/samples.ts`).toBe(text)
  for (const [name, text] of exampleFiles()) expect(readFileSync(EXAMPLES + name, 'utf8'), name).toBe(text)
})

describe.each(samples.map((sample) => [sample.name, sample] as const))('%s', (_, sample) => {
  test('has a job that is accepted, also by its model, which comes with the page', () => {
    const job = jobOf(sample)
    expect(CATALOGUE.find(({ id }) => id === job.base_model)?.embedded).toBe(true)
    const config: unknown = JSON.parse(readFileSync(`${folderOf(`public/models/${job.base_model}`)}config.json`, 'utf8'))
    const facts = describeConfig(job.base_model, config)
    expect(checkAgainstModel(job, facts).problems).toEqual([])
    expect(facts.kind).toBe(job.base_model === 'promptlathe/tiny-seq2seq' ? 'seq2seq' : 'causal-lm')
    if (sample.group !== 'multitask') expect(facts.kind).toBe(sample.group === 'seq2seq' ? 'seq2seq' : 'causal-lm')
    expect(job.tuning_type).toBe(sample.group === 'multitask' ? 'MULTITASK_PROMPT_TUNING' : 'PROMPT_TUNING')
  })

  test('has rows, all usable, of as many tasks as the job says, spaced as the model writes', () => {
    const [examples, validation] = [rowsOf(sample.examples), rowsOf(sample.validation)]
    expect(index.find(({ name }) => name === sample.name)).toMatchObject({
      examples: examples.length,
      validation: validation.length,
    })
    expect(examples.length + validation.length).toBeGreaterThanOrEqual(40)
    expect(examples.length + validation.length).toBeLessThanOrEqual(400)
    expect(tasksOf(jobOf(sample), examples, validation).names).toHaveLength(jobOf(sample).tuning_config.num_tasks)
    const spaced = jobOf(sample).base_model !== 'promptlathe/tiny-seq2seq'
    expect([...examples, ...validation].filter(({ output }) => output.startsWith(' ') !== spaced)).toEqual([])
  })

  test('holds out rows that are new: no input is learned, too, and where outputs are labels each is on both sides', () => {
    const [examples, validation] = [rowsOf(sample.examples), rowsOf(sample.validation)]
    const key = ({ input, task }: Example): string => JSON.stringify([task, input.toLowerCase().replace(/[^a-z0-9]+/g, ' ')])
    const learned = new Set(examples.map(key))
    expect(validation.filter((row) => learned.has(key(row)))).toEqual([])
    expect(validation.length).toBeGreaterThanOrEqual(20)
    const labels = new Set(examples.map(({ output }) => output))
    if (labels.size < 10) expect(new Set(validation.map(({ output }) => output))).toEqual(labels)
  })

  test('starts from nothing, or from the prompt of another sample under the name the page gives it', () => {
    const { prompt_tuning_init_source_model: source, num_virtual_tokens, num_ranks } = jobOf(sample).tuning_config
    if (source === '') return
    const origin = samples.find(({ title }) => title === source)
    if (!origin) throw new Error(`no sample is called "${source}"`)
    const { base_model, tuning_type, tuning_config } = jobOf(origin)
    expect({ base_model, tuning_type }).toEqual({ base_model: jobOf(sample).base_model, tuning_type: 'MULTITASK_PROMPT_TUNING' })
    expect(tuning_config).toMatchObject({ num_virtual_tokens, num_ranks })
    expect(tuning_config.num_tasks).toBeGreaterThan(1)
  })
})

describe('the cards', () => {
  const cards = readCards()
  const names = index.map(({ name }) => name)
  const jsonOf = (name: string): unknown => JSON.parse(read(`${name}.json`))

  test.each(names)('%s: measured on the model file and the rows that are there', (name) => {
    const sample = samples.find((one) => one.name === name)
    if (!sample) throw new Error('unreachable: the index names the files')
    const source = jobOf(sample).tuning_config.prompt_tuning_init_source_model
    const origin = samples.find(({ title }) => title === source)
    for (const key of source === '' ? [name] : [name, fromRandomName(name)]) {
      const card = cards[key]
      const command = `run: npm run cards -- ${name}`
      expect(card, `${key} has no card; ${command}`).toBeDefined()
      if (!card) return
      const { base_model, model_dtype, model_sha256, sample_sha256 } = card
      expect(base_model, `${key}'s card is of another model; ${command}`).toBe(jobOf(sample).base_model)
      expect(model_sha256, `${key}'s card is of another file of ${base_model}; ${command}`).toBe(
        modelHash(base_model, model_dtype),
      )
      expect(sample_sha256, `${key}'s card is of other rows or settings; ${command}`).toBe(
        sampleHash(jsonOf(name), origin ? jsonOf(origin.name) : null),
      )
    }
  })

  test('the page has the same, and the table is of them', () => {
    expect(v.parse(CardsSchema, jsonOf('cards'))).toEqual(cards)
    expect(readFileSync(`${folderOf('bench/results')}samples.md`, 'utf8')).toBe(tableOf(cards, names))
  })
})

describe('examples/', () => {
  const jobs = readdirSync(EXAMPLES).filter((name) => name.endsWith('.json'))

  test.each(jobs)('%s is accepted; one that starts from a prompt says where that is looked for', (name) => {
    const starts = /"prompt_tuning_init_source_model": "([^"]+)"/.exec(readFileSync(EXAMPLES + name, 'utf8'))?.[1]
    try {
      const { train, validation } = readWork(EXAMPLES + name, undefined)
      expect(train.length).toBeGreaterThan(20)
      expect(validation).toBeNull()
    } catch (error) {
      // The source's own run has to come first.
      if (starts === undefined || !(error instanceof InvalidJob)) throw error
      expect(error.problems.map(({ field }) => field)).toEqual(['tuning_config.prompt_tuning_init_source_model'])
      expect(error.message).toContain(`examples/out/${starts}`)
      expect(jobs).toContain(`${starts}.json`)
    }
  })
})
