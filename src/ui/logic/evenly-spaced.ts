/** At most `most` elements, spread evenly over the list and in its order; the first and the last are among them. Pure. */
export function evenlySpaced<T>(list: readonly T[], most: number): readonly T[] {
  if (list.length <= most) return list
  if (most < 2) return list.slice(0, most)
  const chosen: T[] = []
  for (let i = 0; i < most; i++) {
    const element = list[Math.round((i * (list.length - 1)) / (most - 1))]
    if (element !== undefined) chosen.push(element)
  }
  return chosen
}
