/**
 * training_logs.jsonl, as caikit-nlp writes it beside a tuned prompt: one line for every step with its loss
 * (peft_prompt_tuning.py, training_metadata and save).
 */

export interface LoggedStep {
  /** From 1, counted over the whole run. */
  readonly step: number
  /** From 1. */
  readonly epoch: number
  /** Mean cross-entropy per label token, nats. */
  readonly loss: number
}

/**
 * @param epoch_ends ISO 8601 time at which each epoch ended, the first epoch's first; steps of an epoch that never ended get the
 *   last time there is, and null without any
 * @returns JSON lines with spaces as Python's json.dump puts them; epochs count from 0, as upstream
 */
export function trainingLogs(steps: readonly LoggedStep[], epoch_ends: readonly string[]): string {
  const last = epoch_ends.at(-1) ?? null
  return steps
    .map(({ step, epoch, loss }) => {
      const timestamp = JSON.stringify(epoch_ends[epoch - 1] ?? last)
      // JSON has no NaN; a loss that ran away is null.
      const value = Number.isFinite(loss) ? String(loss) : 'null'
      return `{"name": "loss", "data": {"epoch": ${epoch - 1}, "step": ${step}, "value": ${value}, "timestamp": ${timestamp}}}\n`
    })
    .join('')
}
