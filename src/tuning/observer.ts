/** What a run tells whoever watches it. Every call is optional; a promise returned is awaited. */
import type { BaselineName, EpochRecord, Evaluation, Metrics, StepRecord } from '../library/prompt-record'
import type { TuneCheckpoint } from './checkpoint'

type Done = void | Promise<void>

export interface TuneStart {
  readonly learning_rate: number
  /** For people: where the learning rate comes from. */
  readonly learning_rate_reason: string
  readonly total_steps: number
  readonly train_rows: number
  readonly validation_rows: number
  /** Rows with something cut off. */
  readonly truncated: number
  readonly notices: readonly string[]
}

export interface TuneObserver {
  started?(start: TuneStart): Done
  /** What is being done when it isn't training: a sentence for people. */
  stage?(text: string): Done
  evaluated?(which: BaselineName | 'tuned', evaluation: Evaluation): Done
  step?(step: StepRecord, memory_bytes: number): Done
  /** `best`: this epoch's prompt is the one to keep so far; `best_metrics`: of the one to keep. */
  epoch?(epoch: EpochRecord, best: boolean, best_metrics: Metrics | null): Done
  /** The state to go on from, should everything end now. Plain data, the receiver's own copy. */
  checkpoint?(checkpoint: TuneCheckpoint): Done
  paused?(paused: boolean): Done
}
