/** bench/results/learning-rate.md: the same learning rates, as ratios to the embedding table's spread, over models and tasks. Pure. */
import { AUTO_RATIO } from '../../src/tuning/learning-rate'
import type { RunRecord } from './records'
import { mean, standardError } from './scores'
import { schemaDefaults } from './settings'
import type { Task } from './tasks'

/** Of the best ratio, in exact match: as good. */
const AS_GOOD = 0.03

interface ModelRuns {
  readonly name: string
  readonly records: readonly RunRecord[]
}

/** The runs of each model that are of its newest file and the samples as they are, in the order they were first made in. */
function byModel(records: readonly RunRecord[], tasks: readonly Task[]): ModelRuns[] {
  const now = records.filter(({ task, data }) => tasks.some((one) => one.name === task && one.data === data))
  return [...new Set(now.map(({ model }) => model))].map((name) => {
    const own = now.filter(({ model }) => model === name)
    return { name, records: own.filter(({ model_sha256 }) => model_sha256 === own.at(-1)?.model_sha256) }
  })
}

const ratiosOf = (records: readonly RunRecord[]): number[] =>
  [...new Set(records.map(({ setting }) => setting.ratio))].sort((a, b) => a - b)

type Measure = (record: RunRecord) => number
const exact: Measure = ({ exact_match }) => exact_match
/** A run that diverged has none; it counts as guessing among e^10 tokens. */
const lossOf: Measure = ({ loss }) => Math.min(10, loss ?? 10)

/** Mean over tasks of the mean over seeds. */
function overTasks(records: readonly RunRecord[], ratio: number, measure: Measure): number {
  const tasks = [...new Set(records.map(({ task }) => task))]
  return mean(tasks.map((task) => mean(records.filter((one) => one.task === task && one.setting.ratio === ratio).map(measure))))
}

function best(ratios: readonly number[], value: (ratio: number) => number): number {
  return ratios.reduce((one, other) => (value(other) > value(one) ? other : one))
}

const percent = (value: number): string => (Number.isFinite(value) ? (100 * value).toFixed(0) : '–')
const number = (value: number): string => String(Number(value.toPrecision(2)))

function cells(records: readonly RunRecord[], ratios: readonly number[]): string[] {
  const value = (ratio: number): number => overTasks(records, ratio, exact)
  const measured = ratios.filter((ratio) => Number.isFinite(value(ratio)))
  if (measured.length === 0) return ratios.map(() => '–')
  const top = value(best(measured, value))
  return ratios.map((ratio) => (value(ratio) === top ? `**${percent(top)}**` : percent(value(ratio))))
}

function modelLine({ name, records }: ModelRuns, ratios: readonly number[]): string {
  const [first] = records
  if (!first) return ''
  const { embedding_std, hidden_size } = first
  const measured = ratios.filter((ratio) => Number.isFinite(overTasks(records, ratio, exact)))
  const value = (ratio: number): number => overTasks(records, ratio, exact)
  const top = best(measured, value)
  const good = measured.filter((ratio) => value(ratio) >= value(top) - AS_GOOD)
  const lowest = best(measured, (ratio) => -overTasks(records, ratio, lossOf))
  const facts = [name, hidden_size, number(embedding_std)]
  const ends = [top, number(top * embedding_std), `${good[0] ?? '–'} to ${good.at(-1) ?? '–'}`, lowest]
  return `| ${[...facts, ...cells(records, ratios), ...ends].join(' | ')} |`
}

/** One line a task and number of steps. */
function taskLines({ name, records }: ModelRuns, ratios: readonly number[]): string[] {
  const kinds = new Map(
    records.map(({ task, setting }) => [`${task} ${setting.num_epochs}`, { task, epochs: setting.num_epochs }]),
  )
  return [...kinds.values()].map(({ task, epochs }) => {
    const those = records.filter((record) => record.task === task && record.setting.num_epochs === epochs)
    const lowest = best(ratiosOf(those), (ratio) => -overTasks(those, ratio, lossOf))
    return `| ${[name, task, those[0]?.steps ?? 0, ...cells(those, ratios), lowest].join(' | ')} |`
  })
}

/** @param records those of any models and samples; those of samples that are no longer so are left out */
export function learningRateTable(records: readonly RunRecord[], tasks: readonly Task[]): string {
  const models = byModel(records, tasks)
  const runs = models.flatMap((model) => model.records)
  const ratios = ratiosOf(runs)
  const seeds = new Set(runs.map(({ seed }) => seed)).size
  const line = ratios.map(() => '---').join('|')
  const perTask = models.flatMap((model) => taskLines(model, ratios))
  // Runs of other lengths are only in the second table.
  const { num_epochs } = schemaDefaults()
  const usual = models.map(({ name, records: own }) => ({
    name,
    records: own.filter(({ setting }) => setting.num_epochs === num_epochs),
  }))
  return `# One learning rate for every model: a ratio to the spread of its embeddings

Exact match on held-out rows (%, mean over tasks and ${seeds} seeds) by learning rate / standard deviation of the embedding table, everything else as by
default; \`auto\` is ${AUTO_RATIO}. The models "spread", "rotated" and "width" are the embedded causal one (float32) with the same logits and other
embeddings: its residual stream times a number, in randomly rotated coordinates, or with every unit twice. Those without a note are as
they come. "as good": the ratios within ${(100 * AS_GOOD).toFixed(0)} points of the best.

| model | width | std | ${ratios.join(' | ')} | best ratio | as a learning rate | as good | lowest loss at |
|---|---|---|${line}|---|---|---|---|
${usual.map((model) => modelLine(model, ratios)).join('\n')}

## By task and length of the run

| model | task | steps | ${ratios.join(' | ')} | lowest loss at |
|---|---|---|${line}|---|
${perTask.join('\n')}

## Loss

Mean validation loss (nats a label token) ± its standard error over tasks and seeds.

| model | ${ratios.join(' | ')} |
|---|${line}|
${usual.map(({ name, records: own }) => `| ${name} | ${ratios.map((ratio) => lossCell(own, ratio)).join(' | ')} |`).join('\n')}

Made by \`npm run sweep -- --learning-rate\`; every run is in learning-rate.jsonl.
`
}

function lossCell(records: readonly RunRecord[], ratio: number): string {
  const losses = records.filter(({ setting }) => setting.ratio === ratio).map(lossOf)
  if (losses.length === 0) return '–'
  const error = standardError(losses)
  return mean(losses).toFixed(2) + (error === null ? '' : ` ± ${error.toFixed(2)}`)
}
