/**
 * Words of a text as the text metrics count them, in any script. It knows nothing of model tokens.
 *
 * Scripts that put no spaces between words count by characters, as multilingual benchmarks do (MLQA's mixed segmentation): otherwise a
 * whole Chinese sentence would be one word, right or wrong.
 */

const UNSPACED =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]\p{M}*/gu

/** Lowercase, with letters and their accents in one form however they were typed. */
export const folded = (text: string): string => text.normalize('NFC').toLowerCase()

/** A run of letters and digits cut further where its script writes no spaces: "iphone手机" is "iphone", "手", "机". */
export function* segments(run: string): Generator<string> {
  let from = 0
  for (const { 0: character, index } of run.matchAll(UNSPACED)) {
    if (index > from) yield run.slice(from, index)
    yield character
    from = index + character.length
  }
  if (from < run.length) yield run.slice(from)
}

/** At most `most` elements of `words`. */
export function take(words: Iterable<string>, most: number): string[] {
  const taken: string[] = []
  for (const word of words) {
    if (taken.length === most) break
    taken.push(word)
  }
  return taken
}

/** F1 of `common` words out of `predicted` and `expected` many. */
export const f1 = (common: number, predicted: number, expected: number): number =>
  common === 0 ? 0 : (2 * common) / (predicted + expected)
