/**
 * Optimizer steps of a whole job, for when the worker was asked about a sample of the rows only. The worker's own count is
 * src/tuning/schedule.ts; rows with the same input, which are held out together, can make a small difference. Pure.
 */
import type { Job } from '../../job/parameters'

type Counted = Pick<Job, 'batch_size' | 'accumulate_steps' | 'num_epochs' | 'validation'>

/** How many of `rows` a share of them holds out. */
export const heldOutOf = (rows: number, share: number): number =>
  share <= 0 || rows < 2 ? 0 : Math.min(rows - 1, Math.max(1, Math.round(rows * share)))

/** @param ownValidation rows for validation are given apart: none of `rows` are held out. */
export function totalSteps(job: Counted, rows: number, ownValidation: boolean): number {
  const trained = rows - (ownValidation ? 0 : heldOutOf(rows, job.validation))
  return Math.ceil(Math.ceil(trained / job.batch_size) / job.accumulate_steps) * job.num_epochs
}
