/** bench/results/learning-rate.md: the same learning rates, as ratios to the embedding table's spread, over models and tasks. Pure. */
import { AUTO_RATIO } from '../../src/tuning/learning-rate'
import type { RunRecord } from './records'
import { mean } from './scores'

/** Runs of one model, all of one length (epochs). */
interface Runs {
  readonly model: string
  readonly epochs: number
  readonly records: readonly RunRecord[]
}

/** The runs of each model's newest file on each task's newest data (samples come and go; what a run said stays so); in the order they were first made in. */
function grouped(records: readonly RunRecord[]): Runs[] {
  const data = new Map(records.map((record) => [record.task, record.data]))
  const now = records.filter((record) => data.get(record.task) === record.data)
  return [...new Set(now.map(({ model }) => model))].flatMap((model) => {
    const own = now.filter((record) => record.model === model)
    const newest = own.filter(({ model_sha256 }) => model_sha256 === own.at(-1)?.model_sha256)
    const lengths = [...new Set(newest.map(({ setting }) => setting.num_epochs))].sort((a, b) => b - a)
    return lengths.map((epochs) => ({ model, epochs, records: newest.filter(({ setting }) => setting.num_epochs === epochs) }))
  })
}

interface Point {
  readonly ratio: number
  readonly exact_match: number
  readonly loss: number
}

/** A run that diverged has no loss; it counts as guessing among e^10 tokens. */
const NO_LOSS = 10

/** By ratio, those measured on every task: means over tasks of the means over seeds. */
function pointsOf(records: readonly RunRecord[]): Point[] {
  const tasks = [...new Set(records.map(({ task }) => task))]
  const ratios = [...new Set(records.map(({ setting }) => setting.ratio))].sort((a, b) => a - b)
  return ratios.flatMap((ratio) => {
    const runs = tasks.map((task) => records.filter((one) => one.task === task && one.setting.ratio === ratio))
    if (runs.some((own) => own.length === 0)) return []
    const over = (of: (record: RunRecord) => number): number => mean(runs.map((own) => mean(own.map(of))))
    return {
      ratio,
      exact_match: over(({ exact_match }) => exact_match),
      loss: over(({ loss }) => Math.min(NO_LOSS, loss ?? NO_LOSS)),
    }
  })
}

const number = (value: number): string => String(Number(value.toPrecision(2)))

/** One row: its points under all ratios, then where the best are and how far auto is from them. */
function line(facts: readonly (string | number)[], records: readonly RunRecord[], ratios: readonly number[]): string {
  const points = pointsOf(records)
  const [first] = points
  if (!first) return ''
  const lowest = points.reduce((one, other) => (other.loss < one.loss ? other : one), first)
  const most = Math.max(...points.map(({ exact_match }) => exact_match))
  const auto = points.find(({ ratio }) => ratio === AUTO_RATIO)
  const cells = ratios.map((ratio) => {
    const point = points.find((one) => one.ratio === ratio)
    if (!point) return '–'
    const loss = point.loss.toFixed(2)
    return `${(100 * point.exact_match).toFixed(0)} / ${point === lowest ? `**${loss}**` : loss}`
  })
  const behind = auto ? `${(100 * (most - auto.exact_match)).toFixed(0)} / ${(auto.loss - lowest.loss).toFixed(2)}` : '–'
  return `| ${[...facts, ...cells, lowest.ratio, behind].join(' | ')} |`
}

/** @param records of any models and samples */
export function learningRateTable(records: readonly RunRecord[]): string {
  const groups = grouped(records)
  const runs = groups.flatMap((group) => group.records)
  const ratios = [...new Set(runs.map(({ setting }) => setting.ratio))].sort((a, b) => a - b)
  const ends = 'lowest loss at | auto behind |'
  const rule = `${ratios.map(() => '---').join('|')}|---|---|`
  const models = groups.map(({ model, epochs, records: own }) => {
    const { hidden_size = 0, embedding_std = NaN } = own[0] ?? {}
    return line([model, hidden_size, number(embedding_std), epochs, new Set(own.map(({ seed }) => seed)).size], own, ratios)
  })
  const single = groups.flatMap(({ model, records: own }) =>
    [...new Set(own.map(({ task }) => task))].map((task) => {
      const those = own.filter((record) => record.task === task)
      return line([model, task, those[0]?.steps ?? 0], those, ratios)
    }),
  )
  return `# One learning rate for every model: a ratio to the spread of its embeddings

Exact match (%) / loss (nats a label token) on held-out rows, mean over ${new Set(runs.map(({ task }) => task)).size} tasks and the seeds, by learning rate / standard deviation of the
embedding table; everything else as by default. \`auto\` is ${AUTO_RATIO}; "auto behind": how many points and nats it is from the best of the row, each by itself (the best
of several noisy numbers is a little too good). The models "spread", "rotated" and "width" are the embedded causal one with the same logits
(checked against onnxruntime) and other embeddings: its residual stream times a number, in randomly rotated coordinates, or with every unit twice.

| model | width | std | epochs | seeds | ${ratios.join(' | ')} | ${ends}
|---|---|---|---|---|${rule}
${models.join('\n')}

## Task by task

| model | task | steps | ${ratios.join(' | ')} | ${ends}
|---|---|---|${rule}
${single.join('\n')}

Made by \`npm run sweep -- --learning-rate\`; every run is in learning-rate.jsonl.
`
}
