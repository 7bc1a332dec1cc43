/**
 * ROUGE-L (Lin 2004, section 3.1): F1 of the longest common subsequence of words, as google-research's rouge_score computes it without
 * stemming (lowercase, everything else than letters and digits separates words), with three differences, all of which leave English
 * prose as it is: letters and digits of every script count, where rouge_score keeps [a-z0-9] only and so erases other scripts; texts
 * without any word score 1 when they are equal, where rouge_score says 0; only the first 2,048 words of each text are compared.
 */
import { exactMatch } from './exact-match'
import { f1, folded, segments, take } from './words'

/** Keeps the time of one pair to 4 million comparisons, a few hundredths of a second, whatever a row holds. */
export const MOST_WORDS = 2048

const RUN = /[\p{L}\p{M}\p{N}]+/gu

function* words(text: string): Generator<string> {
  for (const [run] of folded(text).matchAll(RUN)) yield* segments(run)
}

/** Length of the longest common subsequence: O(n m) time, one row of the table in memory. */
function commonSubsequence(a: readonly string[], b: readonly string[]): number {
  const row = new Uint16Array(b.length + 1)
  for (const word of a) {
    // Of the row above: the entry to the left, before it was overwritten.
    let diagonal = 0
    for (let j = 0; j < b.length; j++) {
      const above = row[j + 1] ?? 0
      row[j + 1] = word === b[j] ? diagonal + 1 : Math.max(above, row[j] ?? 0)
      diagonal = above
    }
  }
  return row[b.length] ?? 0
}

/** @returns F1 in 0..1; symmetric in its arguments. */
export function rougeL(prediction: string, reference: string): number {
  const predicted = take(words(prediction), MOST_WORDS)
  const expected = take(words(reference), MOST_WORDS)
  if (predicted.length === 0 && expected.length === 0) return exactMatch(prediction, reference) ? 1 : 0
  return f1(commonSubsequence(predicted, expected), predicted.length, expected.length)
}
