/** What the records of a task say: means over seeds, the best setting and its distance from the default, with their noise. Pure. */
import type { RunRecord } from './records'
import { bestOf, keyOf, type Factor, type Setting } from './settings'

/** The sweep chooses on these seeds ... */
export const CHOOSING_SEEDS = [73, 74, 75] as const
/** ... and says how good the chosen setting is on these: the best of many noisy scores is too good on its own seeds. */
export const FRESH_SEEDS = [173, 174, 175, 176, 177, 178] as const

export const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

/** Of the mean, from the spread of the values; null for fewer than two. */
export function standardError(values: readonly number[]): number | null {
  if (values.length < 2) return null
  const center = mean(values)
  const variance = values.reduce((sum, value) => sum + (value - center) ** 2, 0) / (values.length - 1)
  return Math.sqrt(variance / values.length)
}

/** The records of one setting, by seed. */
export function runsOf(records: readonly RunRecord[], setting: Setting, seeds: readonly number[]): RunRecord[] {
  const key = keyOf(setting)
  return records.filter((record) => keyOf(record.setting) === key && seeds.includes(record.seed))
}

/** Exact match over the choosing seeds, 0..1; undefined: not measured. */
export function exactOf(records: readonly RunRecord[], setting: Setting, seeds: readonly number[]): number | undefined {
  const runs = runsOf(records, setting, seeds)
  return runs.length === 0 ? undefined : mean(runs.map(({ exact_match }) => exact_match))
}

/** Less than any row is worth, more than nothing: of settings with as many rows right the one with the lower loss is better. */
const LOSS_WEIGHT = 1e-4
const WORST_LOSS = 20

/** What settings are chosen by. */
export function choosingScore(records: readonly RunRecord[]): (setting: Setting) => number | undefined {
  return (setting) => {
    const runs = runsOf(records, setting, CHOOSING_SEEDS)
    if (runs.length === 0) return undefined
    return mean(runs.map(({ exact_match, loss }) => exact_match - LOSS_WEIGHT * Math.min(WORST_LOSS, loss ?? WORST_LOSS)))
  }
}

export function settingsIn(records: readonly RunRecord[]): Setting[] {
  return [...new Map(records.map(({ setting }) => [keyOf(setting), setting])).values()]
}

export interface Verdict {
  readonly best: Setting
  /** Means on the fresh seeds both were measured on, 0..1. */
  readonly default_score: number
  readonly best_score: number
  readonly gap: number
  /** Of the gap, from its spread over those seeds (the same rows are held out for both). */
  readonly gap_error: number | null
  readonly seeds: number
  readonly held_out: number
}

/** null: not enough was measured. */
export function verdictOf(records: readonly RunRecord[], standard: Setting): Verdict | null {
  const best = bestOf([standard, ...settingsIn(records)], choosingScore(records))
  if (!best) return null
  const ours = runsOf(records, standard, FRESH_SEEDS)
  const pairs = runsOf(records, best, FRESH_SEEDS).flatMap((run) => {
    const other = ours.find(({ seed }) => seed === run.seed)
    return other ? [{ best: run, ours: other }] : []
  })
  if (pairs.length === 0) return null
  const gaps = pairs.map((pair) => pair.best.exact_match - pair.ours.exact_match)
  return {
    best,
    default_score: mean(pairs.map((pair) => pair.ours.exact_match)),
    best_score: mean(pairs.map((pair) => pair.best.exact_match)),
    gap: mean(gaps),
    gap_error: standardError(gaps),
    seeds: pairs.length,
    held_out: pairs[0]?.ours.held_out ?? 0,
  }
}

/** How settings that differ from the default in `factor` alone did, against it: by level, the difference of each task (0..1). */
export function effectOf(
  tasks: readonly { readonly records: readonly RunRecord[]; readonly standard: Setting }[],
  factor: Factor,
): Map<Setting[Factor], number[]> {
  const effects = new Map<Setting[Factor], number[]>()
  for (const { records, standard } of tasks) {
    for (const setting of settingsIn(records)) {
      if (keyOf({ ...setting, [factor]: standard[factor] }) !== keyOf(standard)) continue
      const seeds = runsOf(records, setting, CHOOSING_SEEDS).map(({ seed }) => seed)
      const [own, ours] = [exactOf(records, setting, seeds), exactOf(records, standard, seeds)]
      if (own === undefined || ours === undefined) continue
      effects.set(setting[factor], [...(effects.get(setting[factor]) ?? []), own - ours])
    }
  }
  return effects
}
