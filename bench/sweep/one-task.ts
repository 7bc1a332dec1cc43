/** The sweep of one task: one setting at a time, the best changes together, and the best and the defaults again on fresh seeds. */
import type { RunRecord } from './records'
import { choosingScore, settingsIn } from './scores'
import { bestOf, oneAtATime, secondRound, type Levels, type Setting } from './settings'
import type { Task } from './tasks'

export interface SweepOptions {
  readonly levels: Levels
  /** Seeds to choose on, and to score what was chosen on: see scores.ts. */
  readonly choosing: readonly number[]
  readonly fresh: readonly number[]
}

/** What can be varied on this task: no words to start from without an instruction, and what starts from a prompt keeps to it. */
export function levelsFor(task: Pick<Task, 'suggested_epochs' | 'instruction' | 'source'>, levels: Levels): Levels {
  const { init, num_epochs = [], ...rest } = levels
  const epochs = task.suggested_epochs === null ? [] : [task.suggested_epochs]
  const inits = (init ?? []).filter((method) => method !== 'TEXT' || task.instruction !== '')
  const all = { ...rest, num_epochs: [...new Set([...num_epochs, ...epochs])].sort((a, b) => a - b) }
  return task.source || inits.length === 0 ? all : { ...all, init: inits }
}

/** @param run makes a run, or finds it. Returns all runs. */
export async function sweepTask(
  standard: Setting,
  { levels, choosing, fresh }: SweepOptions,
  run: (setting: Setting, seed: number) => Promise<RunRecord>,
): Promise<readonly RunRecord[]> {
  const records: RunRecord[] = []
  const measure = async (settings: readonly Setting[], seeds: readonly number[]): Promise<void> => {
    for (const seed of seeds) for (const setting of settings) records.push(await run(setting, seed))
  }
  await measure(oneAtATime(standard, levels), choosing)
  await measure(secondRound(standard, levels, choosingScore(records)), choosing)
  const best = bestOf([standard, ...settingsIn(records)], choosingScore(records)) ?? standard
  await measure(best === standard ? [standard] : [standard, best], fresh)
  return records
}
