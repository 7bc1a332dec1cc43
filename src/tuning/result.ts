/** What a run gives: the prompt to keep, with how it came about. */
import type { TuneReport } from '../library/prompt-record'
import type { PromptLayout } from './soft-prompt'

export interface TuneResult {
  readonly layout: PromptLayout
  /** In the order of the tensors. */
  readonly task_names: readonly string[]
  /** The prompt's tensors one after the other, fp32 (soft-prompt.ts). */
  readonly parameters: Float32Array
  readonly report: TuneReport
}
