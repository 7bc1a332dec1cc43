/**
 * |a - b| / |b| as vectors: how far a gradient is from another, over all of it. NaN where they differ in length or b is 0, which no bound lets pass.
 */
export function relativeDistance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return NaN
  let difference = 0
  let norm = 0
  for (let i = 0; i < b.length; i++) {
    const value = b[i] ?? NaN
    difference += ((a[i] ?? NaN) - value) ** 2
    norm += value ** 2
  }
  return Math.sqrt(difference / norm)
}
