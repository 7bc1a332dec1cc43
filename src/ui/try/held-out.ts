/** Puts the untuned and the tuned predictions of the held-out rows side by side. Pure. */
import type { Prediction } from '../../library/prompt-record'

export interface HeldOutRow {
  readonly input: string
  /** null where examples name no tasks. */
  readonly task: string | null
  readonly expected: string
  /** null where the untuned model was not asked. */
  readonly untuned: string | null
  readonly untunedRight: boolean | null
  readonly tuned: string
  readonly tunedRight: boolean
}

/** Rows in the order of `tuned`. Both lists come from the same rows in the same order; should they not, rows are matched by input, expected output and task. */
export function heldOutRows(baseline: readonly Prediction[] | null, tuned: readonly Prediction[]): HeldOutRow[] {
  const key = (prediction: Prediction): string => JSON.stringify([prediction.input, prediction.expected, prediction.task])
  const byKey = new Map(baseline?.map((prediction) => [key(prediction), prediction]))
  return tuned.map((prediction, index) => {
    const beside = baseline?.[index]
    const before = beside && key(beside) === key(prediction) ? beside : byKey.get(key(prediction))
    return {
      input: prediction.input,
      task: prediction.task,
      expected: prediction.expected,
      untuned: before?.predicted ?? null,
      untunedRight: before?.exact ?? null,
      tuned: prediction.predicted,
      tunedRight: prediction.exact,
    }
  })
}
