/** What the examples become under a job's settings, before anything is trained. */
import { checkJob } from '../../src/job/check-job'
import type { Commands, Preview } from '../../src/protocol'
import { previewTuning } from '../../src/tuning/preview'
import { invalidJob } from './failures'
import { maxPositions, tokenizerOf, type Models } from './models'
import type { Report } from './services'

/** @throws CommandError with the job's problems; ModelError; TuningError as the run itself would */
export async function preview({ job, examples }: Commands['preview'], models: Models, report: Report): Promise<Preview> {
  const checked = checkJob(job)
  if (!checked.ok) throw invalidJob(checked.problems)
  const model = await models.prepare(checked.job, report)
  const { kind, hidden_size } = model.cut
  return previewTuning(
    checked.job,
    { kind, hidden_size, max_positions: maxPositions(model) },
    tokenizerOf(model.loaded),
    examples,
    null,
    (shape) => models.memory(checked.job, shape),
  )
}
