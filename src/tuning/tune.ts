/**
 * Prompt tuning (Lester et al. 2021, https://arxiv.org/abs/2104.08691): the language model's weights stay as they are; the rows put in front of its
 * text are moved by gradient until it says the target. P is one prompt, or one shared by tasks that scale it (soft-prompt.ts).
 *
 *     P <- initial rows                                          initialize.ts
 *     for each epoch, for each group of batches:                 batches.ts
 *         loss <- cross-entropy of the targets behind [P; source]   assemble.ts, step.ts
 *         P    <- AdamW(P, d loss / d P)                         optimizer.ts, schedule.ts
 *     keep the P with the lowest validation loss                 evaluate.ts, run.ts
 *
 * It knows prompts; it knows nothing of pages, workers or devices.
 */
import { TuningCancelled } from './errors'
import { Session } from './session'
import type { TuneOptions } from './session'
import type { TuneResult } from './result'

export type { TuneResult } from './result'
export type { TuneOptions } from './session'

/**
 * Tunes a prompt. Cancelled through `control`, it returns the best prompt so far.
 * @throws TuningError for unusable data, or for numbers that are no longer finite (the best prompt so far is then in `kept`); TuningCancelled
 * when cancelled before the first step. What the engine throws passes through: go on from the last checkpoint with a new model.
 */
export async function tune(options: TuneOptions): Promise<TuneResult> {
  const session = new Session(options)
  const { run } = session
  await session.announce()

  let going = await session.measureBaselines()
  while (going && !run.stopped && run.epoch <= options.job.num_epochs) {
    for (const group of session.remainingGroups()) {
      going = await session.step(group)
      if (!going) break
    }
    going = going && (await session.closeEpoch())
  }

  if (!going && run.step === 0) throw new TuningCancelled()
  return session.finish(!going ? 'cancelled' : run.stopped ? 'early_stopped' : 'completed')
}
