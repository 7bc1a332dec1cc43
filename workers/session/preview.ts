/** What the examples become under a job's settings, before anything is trained. */
import { checkJob } from '../../src/job/check-job'
import type { Commands, Preview } from '../../src/protocol'
import { previewTuning } from '../../src/tuning/preview'
import { invalidJob } from './failures'
import type { Models } from './models'
import type { Report } from './services'

/** @throws CommandError with the job's problems; ModelError; TuningError as the run itself would */
export async function preview({ job, examples }: Commands['preview'], models: Models, report: Report): Promise<Preview> {
  const checked = checkJob(job)
  if (!checked.ok) throw invalidJob(checked.problems)
  const { loaded, cut } = await models.prepare(checked.job, report)
  const limits = [cut.max_positions, loaded.max_positions].filter((limit) => limit !== null)
  const max_positions = limits.length === 0 ? null : Math.min(...limits)
  return previewTuning(checked.job, max_positions, loaded.tokenizer, examples, null)
}
