/** What `npm run cards` (samples.ts) keeps of each sample task, in bench/results/samples.json, and the table of all of them. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { ROOT } from '../cli/serve'

const FOLDER = join(ROOT, 'bench', 'results')

/** Rates 0..1 over the seeds. */
const SpreadSchema = v.object({ mean: v.number(), min: v.number(), max: v.number() })
export type Spread = v.InferOutput<typeof SpreadSchema>

const rate = v.nullable(v.number())
const ResultSchema = v.object({
  title: v.string(),
  base_model: v.string(),
  rows: v.number(),
  seeds: v.number(),
  /** Exact match on the held-out rows, the mean over seeds; null: not measured. */
  untuned: rate,
  text_prompt: rate,
  few_shot: rate,
  tuned: SpreadSchema,
  /** By task; empty where there is one. */
  tasks: v.record(v.string(), SpreadSchema),
  steps: v.number(),
  seconds: v.number(),
  /** Where it was measured. */
  machine: v.string(),
})
export type Result = v.InferOutput<typeof ResultSchema>
const ResultsSchema = v.record(v.string(), ResultSchema)
export type Results = v.InferOutput<typeof ResultsSchema>

export const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

export const spreadOf = (values: readonly number[]): Spread => ({
  mean: mean(values),
  min: Math.min(...values),
  max: Math.max(...values),
})

export const percent = (value: number | null): string => (value === null ? '–' : `${(100 * value).toFixed(0)} %`)

const range = ({ mean, min, max }: Spread): string =>
  min === max ? percent(mean) : `${percent(mean)} (${percent(min)} to ${percent(max)})`

/** Of all samples measured so far. @throws ValiError when the file is not what this command writes */
export function readResults(): Results {
  const path = join(FOLDER, 'samples.json')
  return existsSync(path) ? v.parse(ResultsSchema, JSON.parse(readFileSync(path, 'utf8'))) : {}
}

/** Writes the numbers and the table of them. @param order names in the order of the table */
export function writeResults(results: Results, order: readonly string[]): string {
  const known = order.flatMap((name) => results[name] ?? [])
  const lines = known.map((one) => {
    const tasks = Object.entries(one.tasks).map(([task, spread]) => `${task} ${range(spread)}`)
    const tuned = [range(one.tuned), ...tasks].join('; ')
    const { title, rows, seeds, steps, seconds } = one
    return `| ${title} | ${rows} | ${percent(one.untuned)} | ${percent(one.text_prompt)} | ${percent(one.few_shot)} | ${tuned} | ${seeds} | ${steps} | ${seconds.toFixed(0)} |`
  })
  const text = `| sample | rows | untuned | instruction | solved examples | tuned: mean (range) | seeds | steps | seconds |
|---|---|---|---|---|---|---|---|---|
${lines.join('\n')}

Exact match on the held-out rows. Measured on ${[...new Set(known.map((one) => one.machine))].join('; ')}. Made by \`npm run cards\`.
`
  mkdirSync(FOLDER, { recursive: true })
  writeFileSync(join(FOLDER, 'samples.json'), `${JSON.stringify(results, null, 1)}\n`)
  writeFileSync(join(FOLDER, 'samples.md'), text)
  return text
}
