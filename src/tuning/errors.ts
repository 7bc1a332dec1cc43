/** What can go wrong in tuning that a person can do something about. Device errors pass through as the engine threw them. */
import type { TuneResult } from './result'

/** The message says what happened; `hint` what to change. */
export class TuningError extends Error {
  override readonly name: string = 'TuningError'

  constructor(
    message: string,
    readonly hint: string,
    /** The best prompt before things went wrong; null when nothing had been learned yet. */
    readonly kept: TuneResult | null = null,
  ) {
    super(message)
  }
}

/** Cancelled before a single step was done: there is no prompt to keep. */
export class TuningCancelled extends TuningError {
  override readonly name = 'TuningCancelled'

  constructor() {
    super('The run was cancelled before its first step.', 'Start it again when you are ready.')
  }
}
