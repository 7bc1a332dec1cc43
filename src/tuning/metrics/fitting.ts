/** Which measures suit a data set, told by its outputs alone. */

/** More distinct outputs than this are not labels. */
export const MOST_LABELS = 16
/** Labels have at least this many rows each, on average. */
export const ROWS_PER_LABEL = 3

/** `labels`: accuracy and macro-F1 say most. `text`: ROUGE-L and token F1 do. Exact match, loss and perplexity suit both. */
export type MetricKind = 'labels' | 'text'

/** Labels are two to sixteen distinct outputs, each seen about three times. Blanks around an output don't tell outputs apart. */
export function metricsFitting(outputs: readonly string[]): MetricKind {
  const distinct = new Set<string>()
  for (const output of outputs) {
    distinct.add(output.trim())
    if (distinct.size > MOST_LABELS) return 'text'
  }
  return distinct.size >= 2 && distinct.size * ROWS_PER_LABEL <= outputs.length ? 'labels' : 'text'
}
