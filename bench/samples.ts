/**
 * `npm run cards [-- --seeds 3] [--device D] [NAME ...]`: tunes the sample tasks on the embedded models through the same worker as the
 * page, with the settings each sample suggests: held-out exact match untuned, with words, and tuned (mean and range over the seeds; of each task
 * where there are several), steps and seconds. A sample that starts from another's prompt is also tuned from RANDOM, for comparison. The
 * numbers go to bench/results/samples.json, in place of those the named samples had, and the table of all to samples.md.
 */
import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import * as v from 'valibot'
import { Headless } from '../cli/headless'
import { ROOT } from '../cli/serve'
import type { Evaluation, TuneReport } from '../src/library/prompt-record'
import { mean, percent, readResults, spreadOf, writeResults, type Result, type Results } from './sample-table'

const IndexSchema = v.array(v.object({ name: v.string() }))
const SampleSchema = v.object({
  title: v.string(),
  job: v.looseObject({
    base_model: v.optional(v.string(), 'promptlathe/tiny-causal'),
    tuning_config: v.optional(v.looseObject({ prompt_tuning_init_source_model: v.optional(v.string()) })),
  }),
  examples: v.array(v.object({ input: v.string(), output: v.string(), task: v.exactOptional(v.string()) })),
})
type Sample = v.InferOutput<typeof SampleSchema>
const FIRST_SEED = 73
const FROM_RANDOM = '-from-random'

const readJson = (path: string): unknown => JSON.parse(readFileSync(join(ROOT, path), 'utf8'))
const NAMES = v.parse(IndexSchema, readJson('public/samples/index.json')).map(({ name }) => name)
const SAMPLES = new Map(NAMES.map((name) => [name, v.parse(SampleSchema, readJson(`public/samples/${name}.json`))]))

const sourceOf = ({ job }: Sample): string | undefined => job.tuning_config?.prompt_tuning_init_source_model

/** The same sample, started from random numbers. */
const fromRandom = (sample: Sample): Sample => ({
  ...sample,
  title: `${sample.title}, from RANDOM`,
  job: { ...sample.job, tuning_config: {} },
})

/** Tunes samples in one library, which it leaves as it was. */
class Bench {
  /** Prompts made, by title and seed. */
  private readonly made = new Map<string, string>()

  constructor(
    private readonly headless: Headless,
    private readonly device: string,
  ) {}

  /** @param keep in the library under its title, for a sample that starts from it */
  private async tune(sample: Sample, seed: number, keep: boolean): Promise<TuneReport> {
    const job = { ...sample.job, seed, device: this.device }
    const payload = { job, name: sample.title, train: sample.examples, validation: null }
    const { prompt, report } = await this.headless.request('tune', payload)
    if (keep) this.made.set(`${sample.title} ${seed}`, prompt.id)
    else await this.headless.request('delete_prompt', { prompt: prompt.id })
    return report
  }

  /** One run, from the source prompt of the same seed where the sample names one. */
  async run(sample: Sample, seed: number): Promise<TuneReport> {
    const title = sourceOf(sample)
    if (title === undefined) return this.tune(sample, seed, false)
    if (!this.made.has(`${title} ${seed}`)) {
      const source = [...SAMPLES.values()].find((one) => one.title === title)
      if (!source) throw new Error(`${sample.title} starts from "${title}", which is no sample`)
      await this.tune(source, seed, true)
    }
    const { job } = sample
    const prompt_tuning_init_source_model = this.made.get(`${title} ${seed}`)
    return this.tune(
      { ...sample, job: { ...job, tuning_config: { ...job.tuning_config, prompt_tuning_init_source_model } } },
      seed,
      false,
    )
  }

  async end(): Promise<void> {
    for (const prompt of this.made.values()) await this.headless.request('delete_prompt', { prompt })
  }
}

const exact = (evaluation: Evaluation | null): number | null => evaluation?.metrics.exact_match ?? null

function resultOf(sample: Sample, reports: readonly TuneReport[]): Result {
  const [first] = reports
  if (!first) throw new Error('at least one seed')
  const of = (which: 'baseline' | 'text_prompt' | 'few_shot'): number | null => {
    const rates = reports.flatMap((report) => exact(report[which]) ?? [])
    return rates.length === 0 ? null : mean(rates)
  }
  const taskNames = (first.tuned?.tasks ?? []).map(({ task }) => task)
  const ofTask = (name: string): number[] =>
    reports.flatMap((report) => report.tuned?.tasks.find(({ task }) => task === name)?.metrics.exact_match ?? [])
  return {
    title: sample.title,
    base_model: sample.job.base_model,
    rows: sample.examples.length,
    seeds: reports.length,
    untuned: of('baseline'),
    text_prompt: of('text_prompt'),
    few_shot: of('few_shot'),
    tuned: spreadOf(reports.flatMap((report) => exact(report.tuned) ?? [])),
    tasks: Object.fromEntries(taskNames.map((name) => [name, spreadOf(ofTask(name))])),
    steps: first.steps.length,
    seconds: mean(reports.map((report) => report.seconds)),
    machine: `${cpus().length} cores, ${cpus()[0]?.model ?? 'unknown CPU'}, ${first.device}`,
  }
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { seeds: { type: 'string', default: '3' }, device: { type: 'string', default: 'auto' } },
  })
  const unknown = positionals.filter((name) => !SAMPLES.has(name))
  if (unknown.length > 0) throw new Error(`no such sample: ${unknown.join(', ')}; there are ${NAMES.join(', ')}`)
  const results: Results = readResults()
  const headless = await Headless.open((line) => console.error(line))
  const bench = new Bench(headless, values.device)
  try {
    for (const name of positionals.length > 0 ? positionals : NAMES) {
      const sample = SAMPLES.get(name)
      if (!sample) continue
      const variants: [string, Sample][] = [[name, sample]]
      if (sourceOf(sample) !== undefined) variants.push([name + FROM_RANDOM, fromRandom(sample)])
      for (const [key, variant] of variants) {
        const reports = []
        for (let k = 0; k < Number(values.seeds); k += 1) reports.push(await bench.run(variant, FIRST_SEED + k))
        const result = resultOf(variant, reports)
        results[key] = result
        console.log(`${result.title}: tuned ${percent(result.tuned.mean)} in ${result.seconds.toFixed(0)} s`)
      }
    }
    await bench.end()
  } finally {
    await headless.close()
  }
  const order = NAMES.flatMap((name) => [name, name + FROM_RANDOM])
  console.log(`\n${writeResults(results, order)}`)
}

await main()
