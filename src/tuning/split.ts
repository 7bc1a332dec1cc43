/** Which examples are held out for validation. */
import type { Example } from '../job/records'
import { Random } from './random'

export interface Split {
  readonly train: readonly Example[]
  readonly validation: readonly Example[]
}

/**
 * Holds out about `fraction` of the examples, drawn by seed; both parts keep the file's order. Examples with the same input stay on the same
 * side, so that nothing is measured on a row it was trained on. With a fraction above 0 and two distinct inputs, neither part is empty.
 */
export function splitExamples(examples: readonly Example[], fraction: number, seed: number): Split {
  const groups = new Map<string, number[]>()
  examples.forEach(({ input }, index) => {
    const group = groups.get(input)
    if (group) group.push(index)
    else groups.set(input, [index])
  })
  if (fraction <= 0 || groups.size < 2) return { train: examples, validation: [] }
  const wanted = Math.max(1, Math.round(examples.length * fraction))
  const shuffled = new Random(seed, 'validation split').shuffled([...groups.values()])
  const held = new Set<number>()
  // The last group always stays for training.
  for (const group of shuffled.slice(0, -1)) {
    if (held.size >= wanted) break
    if (held.size > 0 && held.size + group.length > wanted) continue
    for (const index of group) held.add(index)
  }
  return { train: examples.filter((_, index) => !held.has(index)), validation: examples.filter((_, index) => held.has(index)) }
}
