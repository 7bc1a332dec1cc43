/** bench/results/sweep.md: how far the defaults are from the best settings found, and what each setting does by itself. Pure. */
import type { RunRecord } from './records'
import { effectOf, mean, standardError, verdictOf, type Verdict } from './scores'
import { FACTORS, keyOf, type Factor, type Setting } from './settings'

export interface TaskResult {
  readonly name: string
  readonly title: string
  readonly model: string
  readonly standard: Setting
  readonly records: readonly RunRecord[]
}

/** How far the defaults may be from the best. */
export const ALLOWED = 0.03

const NAMES: Readonly<Record<Factor, string>> = {
  ratio: 'learning rate / std',
  num_virtual_tokens: 'virtual tokens',
  num_epochs: 'epochs',
  init: 'start',
  batch_size: 'batch',
}

const points = (value: number): string => (100 * value).toFixed(1)
const signed = (value: number): string => `${value > 0 ? '+' : ''}${points(value)}`
const plusMinus = (error: number | null): string => (error === null ? '' : ` ± ${points(error)}`)

/** What a setting changes: "epochs 40, learning rate / std 0.5". */
export function changesOf(setting: Setting, standard: Setting): string {
  if (keyOf(setting) === keyOf(standard)) return 'the defaults'
  return FACTORS.filter((factor) => setting[factor] !== standard[factor])
    .map((factor) => `${NAMES[factor]} ${setting[factor]}`)
    .join(', ')
}

function within({ gap, gap_error }: Verdict): string {
  // A difference of rates that is 3 points is not always 0.03.
  if (gap <= ALLOWED + 1e-9) return 'yes'
  return gap_error !== null && gap - 2 * gap_error <= ALLOWED ? 'not shown' : '**no**'
}

function taskLine({ name, model, standard, records }: TaskResult): string {
  const settings = new Set(records.map(({ setting }) => keyOf(setting))).size
  const verdict = verdictOf(records, standard)
  if (!verdict) return `| ${name} | ${model} | ${settings} | – | – | – | – | – | – |`
  const { best, default_score, best_score, gap, gap_error, seeds, held_out } = verdict
  const cells = [
    name,
    model,
    settings,
    `${held_out} x ${seeds}`,
    `${points(default_score)} %`,
    changesOf(best, standard),
    `${points(best_score)} %`,
    `${signed(gap)}${plusMinus(gap_error)}`,
    within(verdict),
  ]
  return `| ${cells.join(' | ')} |`
}

function factorTable(tasks: readonly TaskResult[], factor: Factor): string {
  const effects = effectOf(tasks, factor)
  if (effects.size < 2) return ''
  const levels = [...effects].sort(([a], [b]) => (typeof a === 'number' && typeof b === 'number' ? a - b : 0))
  const lines = levels.map(([level, differences]) => {
    const cells = [level, signed(mean(differences)) + plusMinus(standardError(differences)), differences.length]
    const ends = [signed(Math.min(...differences)), signed(Math.max(...differences))]
    return `| ${[...cells, ...ends].join(' | ')} |`
  })
  return `| ${NAMES[factor]} | points against the default: mean over tasks ± its standard error | tasks | worst | best |
|---|---|---|---|---|
${lines.join('\n')}
`
}

export function markdown(tasks: readonly TaskResult[], machine: string): string {
  const runs = tasks.flatMap(({ records }) => records)
  const [{ standard }] = tasks.length > 0 ? tasks : [{ standard: null }]
  const defaults = standard ? FACTORS.map((factor) => `${NAMES[factor]} ${standard[factor]}`).join(', ') : ''
  const seconds = runs.reduce((sum, run) => sum + run.seconds, 0)
  return `# The defaults against the best settings found

Defaults: ${defaults}. Each sample task is tuned with the defaults, with each setting varied by itself, and then with the best changes
together (${runs.length} runs, ${(seconds / 60).toFixed(0)} minutes of tuning on ${machine}). The best setting is the one with the highest exact match on held-out rows, mean over the
choosing seeds. Both it and the defaults are then run with other seeds (another start, another order, and other held-out rows where the sample leaves them
to its held-out share): only these are in the first table, because the best of many noisy scores is too good on the seeds it was chosen on. "gap" is
the mean difference over those seeds ± its standard error; "within 3": the gap is at most 3 points ("not shown": it is more, but by less than two standard errors).

| task | model | settings tried | held-out rows x seeds | defaults | best setting found | its score | gap | within 3 |
|---|---|---|---|---|---|---|---|---|
${tasks.map(taskLine).join('\n')}

## One setting at a time

On the choosing seeds, everything else as by default.

${FACTORS.map((factor) => factorTable(tasks, factor))
  .filter((text) => text !== '')
  .join('\n')}
Made by \`npm run sweep\`; every run is in sweep.jsonl.
`
}
