/**
 * The prompts of the library as sources of a job: those that fit, and what speaks against each of the others. It says no more than
 * src/library/source-fit.ts, which the worker goes by as well. Pure.
 */
import type { Job } from '../../job/parameters'
import type { Problem } from '../../job/problem'
import { findSource, sourceProblems, startsFromSource, type SourceTarget } from '../../library/source-fit'
import type { PromptSummary } from '../../library/prompt-record'
import { omit, type Values } from './job-values'

/** Settings that can be set to a source's own, so that it fits. */
const SIZES = ['tuning_config.num_virtual_tokens', 'tuning_config.output_model_types', 'tuning_config.num_ranks'] as const

export interface Unfitting {
  readonly prompt: PromptSummary
  readonly problems: readonly Problem[]
  /** The settings under which it fits; null when no setting helps. */
  readonly matching: Values | null
}

export interface SourceChoices {
  readonly fitting: readonly PromptSummary[]
  readonly others: readonly Unfitting[]
}

const sizeOf = (prompt: PromptSummary, path: (typeof SIZES)[number]): unknown => {
  switch (path) {
    case 'tuning_config.num_virtual_tokens':
      return prompt.num_virtual_tokens
    case 'tuning_config.output_model_types':
      return [...prompt.output_model_types]
    case 'tuning_config.num_ranks':
      return prompt.multitask?.num_ranks
  }
}

/** A source's task is chosen after the source, so a task it does not have is no reason against it. */
const TASK = 'tuning_config.prompt_tuning_init_task'

function against(job: Job, prompt: PromptSummary, target: SourceTarget): Unfitting {
  const problems = sourceProblems(job, prompt, target).filter(({ field }) => field !== TASK)
  const sizes = problems.flatMap(({ field }) => SIZES.filter((path) => path === field))
  const matching = sizes.length === problems.length ? Object.fromEntries(sizes.map((path) => [path, sizeOf(prompt, path)])) : null
  return { prompt, problems, matching }
}

/** Those that some setting would make fit come first among the others. */
export function sourceChoices(job: Job, prompts: readonly PromptSummary[], target: SourceTarget): SourceChoices {
  const judged = prompts.map((prompt) => against(job, prompt, target))
  const others = judged.filter(({ problems }) => problems.length > 0)
  return {
    fitting: judged.filter(({ problems }) => problems.length === 0).map(({ prompt }) => prompt),
    others: [...others.filter(({ matching }) => matching !== null), ...others.filter(({ matching }) => matching === null)],
  }
}

const SOURCE = 'tuning_config.prompt_tuning_init_source_model'

/** What the library has against a job's source, as the worker will say it; nothing while none is named (checkJob says that). */
export function problemsOfSource(job: Job, prompts: readonly PromptSummary[], target: SourceTarget): readonly Problem[] {
  const { prompt_tuning_init_source_model: wanted } = job.tuning_config
  if (!startsFromSource(job) || wanted.trim() === '') return []
  const found = findSource(job, prompts)
  if (found) return sourceProblems(job, found, target)
  return [{ field: SOURCE, message: `“${wanted}” is no prompt of this library; choose one that is` }]
}

/** The table with a source chosen: sizes it asks for included. */
export const choosing = ({ prompt, matching }: Pick<Unfitting, 'prompt' | 'matching'>): Values => ({
  ...omit(matching ?? {}, SOURCE),
  [SOURCE]: prompt.id,
})
