/** The measures of predictions, as pure functions of texts and numbers. Which of them a run reports is decided elsewhere. */
import { exactMatch } from './exact-match'
import { rougeL } from './rouge'
import { tokenF1 } from './token-f1'

export { classificationReport, type ClassificationReport, type LabelReport } from './classification'
export { exactMatch } from './exact-match'
export { metricsFitting, type MetricKind } from './fitting'
export { perplexity } from './perplexity'
export { rougeL } from './rouge'
export { tokenF1 } from './token-f1'

/** Means over rows, each 0..1. */
export interface TextMetrics {
  readonly exact_match: number
  readonly rouge_l: number
  readonly token_f1: number
}

/** @param predictions at least one. @throws RangeError without any: a mean over nothing is no number. */
export function textMetrics(predictions: readonly { readonly predicted: string; readonly expected: string }[]): TextMetrics {
  if (predictions.length === 0) throw new RangeError('no predictions to measure')
  const mean = (measure: (predicted: string, expected: string) => number): number =>
    predictions.reduce((sum, { predicted, expected }) => sum + measure(predicted, expected), 0) / predictions.length
  return { exact_match: mean((a, b) => Number(exactMatch(a, b))), rouge_l: mean(rougeL), token_f1: mean(tokenF1) }
}
