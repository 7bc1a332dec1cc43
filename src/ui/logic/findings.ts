/**
 * What can be said against a job before it is sent: with the model that is open (or known), the prompts of the library and the examples at
 * hand. The worker judges again, with the files themselves; this is so that the form says it while it is filled in. Pure.
 */
import { checkAgainstModel } from '../../job/check-model'
import type { Job } from '../../job/parameters'
import type { Problem } from '../../job/problem'
import type { PromptSummary } from '../../library/prompt-record'
import type { SourceTarget } from '../../library/source-fit'
import { CATALOGUE } from '../../models/catalogue'
import { problemsOfSource } from './source-choice'
import { problemsOfTasks } from './task-advice'

/** What is known of the model the settings name. */
export interface KnownModel {
  readonly id: string
  readonly kind: 'causal-lm' | 'seq2seq' | null
  readonly max_positions: number | null
  readonly hidden_size: number | null
}

interface Opened {
  readonly kind: 'causal-lm' | 'seq2seq'
  readonly max_positions: number | null
  readonly hidden_size: number
}

/** @param opened the model's summary when it is open; else the catalogue or a prompt tuned for it may tell its kind */
export function knownModel(id: string, opened: Opened | null, prompts: readonly PromptSummary[]): KnownModel {
  if (opened) return { id, kind: opened.kind, max_positions: opened.max_positions, hidden_size: opened.hidden_size }
  const kind =
    CATALOGUE.find((known) => known.id === id)?.kind ??
    prompts.find(({ base_model }) => base_model.id === id)?.base_model.kind ??
    null
  return { id, kind, max_positions: null, hidden_size: null }
}

/** What a source has to fit. Of a model of unknown kind no prompt is in the library either, so the kind says nothing then. */
export const targetOf = ({ id, kind, hidden_size }: KnownModel): SourceTarget => ({
  base_model: id,
  kind: kind ?? 'causal-lm',
  hidden_size,
})

export interface Surroundings {
  readonly model: KnownModel
  /** null: the library has not been read yet. */
  readonly prompts: readonly PromptSummary[] | null
  readonly rows: number
  readonly tasks: ReadonlyMap<string, number>
}

/** All problems, the first of each field. */
export function findings(job: Job, { model, prompts, rows, tasks }: Surroundings): readonly Problem[] {
  const all = [
    ...checkAgainstModel(job, model).problems,
    ...(prompts === null ? [] : problemsOfSource(job, prompts, targetOf(model))),
    ...problemsOfTasks(job, rows, tasks),
  ]
  return all.filter((problem, i) => all.findIndex(({ field }) => field === problem.field) === i)
}
