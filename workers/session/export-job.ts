/** A job as a folder for a larger machine. It needs the model's config.json, not its weights. */
import { exportPythonJob } from '../../src/formats/python-job'
import { checkJob } from '../../src/job/check-job'
import { isEmbedded } from '../../src/models/catalogue'
import type { Commands, ExportedFiles } from '../../src/protocol'
import { splitExamples } from '../../src/tuning/split'
import { zipped, slug } from './exports'
import { invalidJob } from './failures'
import type { Models } from './models'
import { promptTensors } from './prompt-tensors'
import type { Services } from './services'
import { checkBeforeDownload, sourceRecord } from './source'

/** @throws CommandError with all problems of the job; ModelError; FormatError */
export async function exportJob(command: Commands['export_job'], services: Services, models: Models): Promise<ExportedFiles> {
  const checked = checkJob(command.job)
  if (!checked.ok) throw invalidJob(checked.problems)
  const { job } = checked
  const { kind, max_positions } = await checkBeforeDownload(job, services)
  const { train, validation } =
    command.validation === null
      ? splitExamples(command.train, job.validation, job.seed)
      : { train: command.train, validation: command.validation }
  const source = await sourceRecord(job, services)
  const { files, notices } = exportPythonJob({
    job,
    name: command.name,
    kind,
    train,
    validation,
    // Known once the model is open here; train.py finds it out otherwise.
    resolved_learning_rate: models.autoLearningRate(job.base_model),
    max_positions,
    source: source && promptTensors(source),
    on_hub: !isEmbedded(job.base_model) && services.cache.virtualFiles(job.base_model) === undefined,
  })
  const chunks = files.map(({ path, bytes }) => ({ path, chunks: [bytes] }))
  return zipped(`${slug(command.name)}-job`, { files: chunks, notices: [...checked.notices, ...notices] })
}
