/**
 * Whether a prompt of the library can be what a run starts from: the same base model, as many virtual tokens in the same places, ranks and
 * tasks as the init method needs. Each reason against it is a problem of its own. Decided from summaries alone, so that a picker can say it
 * too.
 */
import { outputModelTypes } from '../job/check-model'
import type { Problem } from '../job/problem'
import { SOURCE_METHODS } from '../job/parameters'
import type { Job } from '../job/parameters'
import type { PromptSummary } from './prompt-record'

const SOURCE = 'tuning_config.prompt_tuning_init_source_model'

/** Whether a job starts from another prompt. */
export const startsFromSource = ({ tuning_config }: Pick<Job, 'tuning_config'>): boolean =>
  SOURCE_METHODS.some((method) => method === tuning_config.prompt_tuning_init_method)

/** What the run is for. */
export interface SourceTarget {
  readonly base_model: string
  readonly kind: 'causal-lm' | 'seq2seq'
  /** null: not known yet. */
  readonly hidden_size: number | null
}

/** Why `source` does not fit, with what is accepted; empty when it does. */
export function sourceProblems(job: Job, source: PromptSummary, target: SourceTarget): Problem[] {
  const config = job.tuning_config
  const method = config.prompt_tuning_init_method
  const problems: Problem[] = []
  const say = (field: string, message: string): void => void problems.push({ field, message })
  const { base_model, multitask } = source
  const named = `"${source.name}"`

  if (base_model.id !== target.base_model) {
    say(SOURCE, `${named} was tuned for ${base_model.id}, not for ${target.base_model}; give a prompt of the same base model`)
  } else if (target.hidden_size !== null && base_model.hidden_size !== target.hidden_size) {
    say(SOURCE, `${named} has rows of ${base_model.hidden_size} numbers, the model's embeddings have ${target.hidden_size}`)
  }
  if (source.num_virtual_tokens !== config.num_virtual_tokens) {
    say(
      'tuning_config.num_virtual_tokens',
      `${config.num_virtual_tokens}, but the source prompt ${named} has ${source.num_virtual_tokens}; give ${source.num_virtual_tokens}`,
    )
  }
  const wanted = outputModelTypes(job, target.kind)
  if (wanted.join() !== source.output_model_types.join()) {
    const own = JSON.stringify(source.output_model_types)
    say(
      'tuning_config.output_model_types',
      `${JSON.stringify(wanted)}, but the source prompt ${named} is for ${own}; give ${own}`,
    )
  }
  const readsFactors = method === 'AVERAGE_SOURCE' || method === 'EXACT_SOURCE_TASK'
  if (readsFactors && multitask === null) {
    say(SOURCE, `${named} is a prompt of one task, but ${method} needs a multitask prompt; ONLY_SOURCE_SHARED takes any`)
  } else if (readsFactors && multitask && multitask.num_ranks !== config.num_ranks) {
    say(
      'tuning_config.num_ranks',
      `${config.num_ranks}, but the source prompt ${named} has rank ${multitask.num_ranks}; give ${multitask.num_ranks}`,
    )
  }
  const readsTask = method === 'EXACT_SOURCE_TASK' || method === 'SOURCE_PROMPT'
  if (readsTask && multitask && config.prompt_tuning_init_task >= multitask.num_tasks) {
    say(
      'tuning_config.prompt_tuning_init_task',
      `${config.prompt_tuning_init_task}, but the source prompt ${named} has ${multitask.num_tasks} tasks; give 0 to ${multitask.num_tasks - 1}`,
    )
  }
  return problems
}

/** The prompt that `prompt_tuning_init_source_model` names: by id, else by name (behind source_prompt_base); the newest of several. */
export function findSource(job: Job, prompts: readonly PromptSummary[]): PromptSummary | null {
  const wanted = job.tuning_config.prompt_tuning_init_source_model
  const base = job.source_prompt_base.replace(/\/+$/, '')
  const path = base === '' ? wanted : `${base}/${wanted}`
  return prompts.find(({ id }) => id === wanted) ?? prompts.find(({ name }) => name === path) ?? null
}
