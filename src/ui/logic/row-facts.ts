/** What is counted over many rows: their tasks, and validation rows that are trained on as well. Pure. */
import type { Example } from '../../job/records'

/** Rows of each task, in order of first appearance; rows without one are under "". Empty while no row has a task. */
export function countTasks(rows: readonly Example[]): ReadonlyMap<string, number> {
  const tasks = new Map<string, number>()
  for (const { task = '' } of rows) tasks.set(task, (tasks.get(task) ?? 0) + 1)
  return tasks.size === 1 && tasks.has('') ? new Map() : tasks
}

/** How many of `validation` have an input that is among `train`, too. */
export function overlapOf(train: readonly Example[], validation: readonly Example[]): number {
  const inputs = new Set(train.map((row) => row.input))
  return validation.filter((row) => inputs.has(row.input)).length
}
