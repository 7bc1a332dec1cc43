/** What a job starts from and is checked against before anything large is fetched: config.json, and the prompt of the library it names. */
import { checkAgainstModel } from '../../src/job/check-model'
import type { Job } from '../../src/job/parameters'
import type { Problem } from '../../src/job/problem'
import type { PromptRecord } from '../../src/library/prompt-record'
import { findSource, sourceProblems, startsFromSource, type SourceTarget } from '../../src/library/source-fit'
import type { ConfigSummary } from '../../src/models/config'
import type { SourcePrompt } from '../../src/tuning/initialize'
import { invalidJob } from './failures'
import type { OpenModel } from './models'
import type { Services } from './services'

/** What can be said against a job with config.json and the library alone. @throws CommandError with all problems; ModelError; the signal's reason */
export async function checkBeforeDownload(job: Job, services: Services, signal?: AbortSignal): Promise<ConfigSummary> {
  const facts = await services.loader.describe(job.base_model, { ...job, signal })
  signal?.throwIfAborted()
  const { problems } = checkAgainstModel(job, facts)
  const source = await problemsOfSource(job, { base_model: job.base_model, kind: facts.kind, hidden_size: null }, services)
  if (problems.length + source.length > 0) throw invalidJob([...problems, ...source])
  return facts
}

async function problemsOfSource(job: Job, target: SourceTarget, { prompts }: Services): Promise<readonly Problem[]> {
  if (!startsFromSource(job)) return []
  const all = await prompts.list()
  const found = findSource(job, all)
  if (found) return sourceProblems(job, found, target)
  const { prompt_tuning_init_source_model: wanted } = job.tuning_config
  const names = all.slice(0, 5).map(({ name }) => `"${name}"`)
  const message = `"${wanted}" is no prompt of the library${names.length > 0 ? `; there are ${names.join(', ')}` : ', which is empty'}`
  return [{ field: 'tuning_config.prompt_tuning_init_source_model', message }]
}

/** The prompt a job names; null where it starts afresh or there is none of that name. */
export async function sourceRecord(job: Job, { prompts }: Services): Promise<PromptRecord | null> {
  const found = startsFromSource(job) ? findSource(job, await prompts.list()) : null
  return found && prompts.get(found.id)
}

/** The tensors a run starts from; null where it starts afresh. @throws CommandError when the source does not fit */
export async function sourceOf(job: Job, model: OpenModel, services: Services): Promise<SourcePrompt | null> {
  const { kind, hidden_size } = model.cut
  const problems = await problemsOfSource(job, { base_model: model.loaded.id, kind, hidden_size }, services)
  if (problems.length > 0) throw invalidJob(problems)
  const record = await sourceRecord(job, services)
  if (!record) return null
  if (record.base_model.file_sha256 !== model.loaded.sha256)
    services.warn(
      `The source prompt "${record.name}" was made for another version of ${model.loaded.id}; it may be a worse start.`,
    )
  const { num_tasks, num_ranks } = record.multitask ?? { num_tasks: 0, num_ranks: 1 }
  const { rows: prompt_embeddings, prefix_task_cols, prefix_task_rows } = record
  return { prompt_embeddings, prefix_task_cols, prefix_task_rows, num_tasks, num_ranks, hidden_size }
}
