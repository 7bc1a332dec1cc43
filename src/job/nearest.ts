/** The known name nearest to a mistyped one. */

/** Levenshtein distance: the fewest single-character edits from `a` to `b`. */
function distance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitute = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      row.push(Math.min(substitute, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1))
    }
    previous = row
  }
  return previous[b.length] ?? 0
}

/** Longer names are cut: no field is longer, and a hostile key must not cost time. */
const LONGEST = 64

/** The nearest of `known` (at least one) by edit distance, case and separators ignored; the first of equals. */
export function nearest(name: string, known: readonly string[]): string {
  const plain = (text: string): string => text.slice(0, LONGEST).toLowerCase().replaceAll(/[-_ ]/g, '')
  const target = plain(name)
  let best = known[0] ?? ''
  let least = Infinity
  for (const candidate of known) {
    const d = distance(target, plain(candidate))
    if (d < least) [best, least] = [candidate, d]
  }
  return best
}
