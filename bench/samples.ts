/**
 * `npm run cards [-- --seeds 3] [--device D] [NAME ...]`: tunes the sample tasks on the embedded models through the same worker as the
 * page, with the settings each sample suggests and the rows it holds out: exact match (of texts ROUGE-L, too) untuned, with words, and tuned (mean
 * and range over the seeds; of each task where there are several), steps and seconds. A sample that starts from another's prompt is also tuned from
 * RANDOM, for comparison. Each card is written as soon as it is there, in place of the one that sample had, to bench/results/samples.json, to
 * the table samples.md beside it, and to public/samples/cards.json, which the page shows. `--missing` measures those that have no card, or one of another
 * model file or other rows: what an interrupted run left.
 */
import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import * as v from 'valibot'
import { Headless } from '../cli/headless'
import { ROOT } from '../cli/serve'
import type { Evaluation, Metrics, PromptSummary, TuneReport } from '../src/library/prompt-record'
import { percent } from '../src/ui/logic/format'
import { fromRandomName, type Compared, type Measured } from '../src/ui/logic/measured'
import { mean, modelHash, readCards, sampleHash, spreadOf, writeCards, type Cards } from './sample-table'

const IndexSchema = v.array(v.object({ name: v.string() }))
const rows = v.array(v.object({ input: v.string(), output: v.string(), task: v.exactOptional(v.string()) }))
const SampleSchema = v.object({
  title: v.string(),
  job: v.looseObject({
    base_model: v.optional(v.string(), 'promptlathe/tiny-causal'),
    tuning_config: v.optional(v.looseObject({ prompt_tuning_init_source_model: v.optional(v.string()) })),
  }),
  examples: rows,
  validation: rows,
})
type Sample = v.InferOutput<typeof SampleSchema>
const FIRST_SEED = 73

const readJson = (path: string): unknown => JSON.parse(readFileSync(join(ROOT, path), 'utf8'))
const NAMES = v.parse(IndexSchema, readJson('public/samples/index.json')).map(({ name }) => name)
const FILES = new Map(NAMES.map((name) => [name, readJson(`public/samples/${name}.json`)]))
const SAMPLES = new Map([...FILES].map(([name, json]) => [name, v.parse(SampleSchema, json)]))

const sourceOf = ({ job }: Sample): string | undefined => job.tuning_config?.prompt_tuning_init_source_model

/** The same sample, started from random numbers. */
const fromRandom = (sample: Sample): Sample => ({
  ...sample,
  title: `${sample.title}, from RANDOM`,
  job: { ...sample.job, tuning_config: {} },
})

/** A finished run, and what it ran on. */
interface Run {
  readonly report: TuneReport
  readonly base_model: PromptSummary['base_model']
}

/** Tunes samples in one library, which it leaves as it was. */
class Bench {
  /** Prompts made, by title and seed. */
  private readonly made = new Map<string, string>()

  constructor(
    private readonly headless: Headless,
    private readonly device: string,
  ) {}

  /** @param keep in the library under its title, for a sample that starts from it */
  private async tune(sample: Sample, seed: number, keep: boolean): Promise<Run> {
    const job = { ...sample.job, seed, device: this.device }
    const payload = { job, name: sample.title, train: sample.examples, validation: sample.validation }
    const { prompt, report } = await this.headless.request('tune', payload)
    if (keep) this.made.set(`${sample.title} ${seed}`, prompt.id)
    else await this.headless.request('delete_prompt', { prompt: prompt.id })
    return { report, base_model: prompt.base_model }
  }

  /** One run, from the source prompt of the same seed where the sample names one. */
  async run(sample: Sample, seed: number): Promise<Run> {
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

type Measure = 'exact_match' | 'label_accuracy' | 'rouge_l'
/** Of shorter answers ROUGE-L says little more than exact match. */
const WORDS_OF_A_TEXT = 3

/** One measure of all that is compared, over the runs; null when the tuned prompt has none of it. */
function comparedBy(measure: Measure, reports: readonly TuneReport[]): Compared | null {
  const valuesOf = (which: 'baseline' | 'text_prompt' | 'few_shot' | 'tuned'): number[] =>
    reports.flatMap((report) => {
      const evaluation: Evaluation | null = report[which]
      const metrics: Metrics | undefined = evaluation?.metrics
      return metrics?.[measure] ?? []
    })
  const meanOf = (values: readonly number[]): number | null => (values.length === 0 ? null : mean(values))
  const tuned = valuesOf('tuned')
  if (tuned.length === 0) return null
  return {
    untuned: meanOf(valuesOf('baseline')),
    text_prompt: meanOf(valuesOf('text_prompt')),
    few_shot: meanOf(valuesOf('few_shot')),
    tuned: spreadOf(tuned),
  }
}

const isText = ({ output }: { readonly output: string }): boolean => output.trim().split(/\s+/).length >= WORDS_OF_A_TEXT

/** The sample a sample starts from, as its file has it. */
function sourceFile(sample: Sample | undefined): unknown {
  const title = sample && sourceOf(sample)
  const [name] = [...SAMPLES].find(([, one]) => title !== undefined && one.title === title) ?? []
  return name === undefined ? null : (FILES.get(name) ?? null)
}

/** @param name of the sample that `sample` is, or is a variant of */
function cardOf(name: string, sample: Sample, runs: readonly Run[]): Measured {
  const reports = runs.map(({ report }) => report)
  const [first] = runs
  const exact = comparedBy('exact_match', reports)
  if (!first || !exact) throw new Error(`${name}: nothing was measured`)
  const { report, base_model } = first
  if (base_model.file_sha256 !== modelHash(base_model.id, base_model.model_dtype))
    throw new Error(
      `${name}: the run was on another ${base_model.id} than the one in public/models; build again, and clear the profile`,
    )
  const ofTask = (task: string): number[] =>
    reports.flatMap(({ tuned }) => tuned?.tasks.find((one) => one.task === task)?.metrics.exact_match ?? [])
  return {
    title: sample.title,
    base_model: base_model.id,
    model_dtype: base_model.model_dtype,
    model_sha256: base_model.file_sha256,
    sample_sha256: sampleHash(FILES.get(name), sourceFile(SAMPLES.get(name))),
    rows: sample.examples.length,
    held_out: sample.validation.length,
    seeds: runs.length,
    ...exact,
    label_accuracy: comparedBy('label_accuracy', reports),
    rouge_l: sample.validation.some(isText) ? comparedBy('rouge_l', reports) : null,
    tasks: Object.fromEntries((report.tuned?.tasks ?? []).map(({ task }) => [task, spreadOf(ofTask(task))])),
    steps: report.steps.length,
    seconds: mean(reports.map(({ seconds }) => seconds)),
    cores: cpus().length,
    device: report.device,
    machine: `${cpus().length} cores, ${cpus()[0]?.model ?? 'unknown CPU'}, ${report.device}`,
    measured: new Date().toISOString().slice(0, 10),
  }
}

/** Whether a sample's card is of the model file and the rows there are. */
function isFresh(name: string, cards: Cards): boolean {
  const [card, sample] = [cards[name], SAMPLES.get(name)]
  if (!card || !sample) return false
  const { base_model, model_dtype, model_sha256, sample_sha256 } = card
  return model_sha256 === modelHash(base_model, model_dtype) && sample_sha256 === sampleHash(FILES.get(name), sourceFile(sample))
}

function options(): { readonly seeds: number; readonly device: string; readonly names: readonly string[] } {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seeds: { type: 'string', default: '3' },
      device: { type: 'string', default: 'auto' },
      missing: { type: 'boolean', default: false },
    },
  })
  const unknown = positionals.filter((name) => !SAMPLES.has(name))
  if (unknown.length > 0) throw new Error(`no such sample: ${unknown.join(', ')}; there are ${NAMES.join(', ')}`)
  const seeds = Number(values.seeds)
  if (!Number.isInteger(seeds) || seeds < 1) throw new Error(`--seeds ${values.seeds}: give a whole number from 1`)
  const wanted = positionals.length > 0 ? positionals : NAMES
  const cards = readCards()
  return { seeds, device: values.device, names: values.missing ? wanted.filter((name) => !isFresh(name, cards)) : wanted }
}

async function main(): Promise<void> {
  const { seeds, device, names } = options()
  const headless = await Headless.open((line) => console.error(line))
  const bench = new Bench(headless, device)
  try {
    for (const name of names) {
      const sample = SAMPLES.get(name)
      if (!sample) continue
      const variants: [string, Sample][] = [[name, sample]]
      if (sourceOf(sample) !== undefined) variants.push([fromRandomName(name), fromRandom(sample)])
      const made: [string, Measured][] = []
      for (const [key, variant] of variants) {
        const runs = []
        for (let k = 0; k < seeds; k += 1) runs.push(await bench.run(variant, FIRST_SEED + k))
        const card = cardOf(name, variant, runs)
        made.push([key, card])
        console.log(`${card.title}: tuned ${percent(card.tuned.mean)} in ${card.seconds.toFixed(0)} s`)
      }
      // Read anew: another run of this command may have written meanwhile.
      writeCards({ ...readCards(), ...Object.fromEntries(made) }, NAMES)
    }
    await bench.end()
  } finally {
    await headless.close()
  }
  console.log(`\n${writeCards(readCards(), NAMES)}`)
}

await main()
