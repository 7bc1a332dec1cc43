/**
 * Accuracy, macro-averaged F1 and per-label numbers, as sklearn.metrics computes them (f1_score with average="macro", zero_division=0).
 * Labels are texts or indices; they are compared as they are, so trim texts first.
 */

export interface LabelReport<Label> {
  readonly label: Label
  readonly precision: number
  readonly recall: number
  readonly f1: number
  /** Rows whose expected label this is. */
  readonly support: number
}

/** All rates 0..1. */
export interface ClassificationReport<Label> {
  readonly accuracy: number
  /** Unweighted mean of the labels' F1: a rare label counts as much as a frequent one. */
  readonly macro_f1: number
  /** In order of first appearance (or as given). */
  readonly labels: readonly LabelReport<Label>[]
}

interface Counts {
  right: number
  expected: number
  predicted: number
}

const rate = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole)

/**
 * @param expected, predicted one label per row, in the same order; at least one row.
 * @param labels what to average over, sklearn's `labels`: give the labels there are when predictions are free text, or every
 * slip of the model counts as a label of its own. Default: whatever occurs in `expected` or `predicted`.
 * @throws RangeError when the two are not equally long, or empty.
 */
export function classificationReport<Label extends string | number>(
  expected: readonly Label[],
  predicted: readonly Label[],
  labels: readonly Label[] = [...new Set([...expected, ...predicted])],
): ClassificationReport<Label> {
  if (expected.length !== predicted.length)
    throw new RangeError(`${expected.length} expected labels, but ${predicted.length} predicted ones`)
  if (expected.length === 0 || labels.length === 0) throw new RangeError('no rows, or no labels, to report on')
  const counts = new Map<Label, Counts>(labels.map((label) => [label, { right: 0, expected: 0, predicted: 0 }]))
  let right = 0
  predicted.forEach((guess, row) => {
    const truth = expected[row]
    const guessed = counts.get(guess)
    const meant = truth === undefined ? undefined : counts.get(truth)
    if (guessed) guessed.predicted++
    if (meant) meant.expected++
    if (guess !== truth) return
    right++
    if (meant) meant.right++
  })
  const reports = [...counts].map(([label, count]) => ({
    label,
    precision: rate(count.right, count.predicted),
    recall: rate(count.right, count.expected),
    f1: rate(2 * count.right, count.predicted + count.expected),
    support: count.expected,
  }))
  const macro_f1 = reports.reduce((sum, { f1 }) => sum + f1, 0) / reports.length
  return { accuracy: right / expected.length, macro_f1, labels: reports }
}
