/**
 * Token F1: overlap of two texts as bags of words, as SQuAD's evaluate-v1.1.py scores answers: lowercase, punctuation removed (not replaced:
 * "it's" is "its"), the articles a, an and the removed, split at white space. Unlike SQuAD's it removes the punctuation of every script, not
 * only ASCII's, and counts by characters where a script writes no spaces, as MLQA does.
 */
import { f1, folded, segments } from './words'

/** Python's string.punctuation holds the ASCII signs of \p{P} and these nine symbols; other symbols (€, emoji) are content. */
const PUNCTUATION = /[\p{P}$+<=>^`|~]/gu
const ARTICLES = new Set(['a', 'an', 'the'])

function normalised(text: string): string[] {
  const runs = folded(text)
    .replaceAll(PUNCTUATION, '')
    .split(/\s+/)
    .filter((run) => run !== '' && !ARTICLES.has(run))
  return runs.flatMap((run) => [...segments(run)])
}

/** @returns F1 in 0..1; symmetric in its arguments. Two texts with nothing left of them are equal: 1, as in SQuAD 2.0. */
export function tokenF1(prediction: string, reference: string): number {
  const predicted = normalised(prediction)
  const expected = normalised(reference)
  if (predicted.length === 0 && expected.length === 0) return 1
  const left = new Map<string, number>()
  for (const word of expected) left.set(word, (left.get(word) ?? 0) + 1)
  let common = 0
  for (const word of predicted) {
    const times = left.get(word) ?? 0
    if (times === 0) continue
    left.set(word, times - 1)
    common++
  }
  return f1(common, predicted.length, expected.length)
}
