/** Which examples are held out for validation. */
import type { Example } from '../job/records'
import { Random } from './random'

export interface Split {
  readonly train: readonly Example[]
  readonly validation: readonly Example[]
}

/** A task's rows, and how many of them are held out. */
interface Share {
  rows: number
  held: number
}

/**
 * Holds out about `fraction` of the examples, of each task where they name tasks, drawn by seed; both parts keep the file's order. Examples
 * with the same input stay on the same side, so that nothing is measured on a row it was trained on. No task loses its last training row;
 * with a fraction above 0 and two distinct inputs of one task, neither part is empty.
 */
export function splitExamples(examples: readonly Example[], fraction: number, seed: number): Split {
  const groups = new Map<string, number[]>()
  examples.forEach(({ input }, index) => {
    const group = groups.get(input)
    if (group) group.push(index)
    else groups.set(input, [index])
  })
  if (fraction <= 0 || groups.size < 2) return { train: examples, validation: [] }
  const shares = new Map<string, Share>()
  for (const { task = '' } of examples) {
    const share = shares.get(task) ?? { rows: 0, held: 0 }
    share.rows += 1
    shares.set(task, share)
  }
  const fits = (share: Share, more: number): boolean =>
    share.held + more < share.rows && (share.held === 0 || share.held + more <= Math.max(1, Math.round(share.rows * fraction)))
  const shuffled = new Random(seed, 'validation split').shuffled([...groups.values()])
  const held = new Set<number>()
  // The last group always stays for training.
  for (const group of shuffled.slice(0, -1)) {
    const parts = new Map<Share, number>()
    for (const index of group) {
      const share = shares.get(examples[index]?.task ?? '')
      if (share) parts.set(share, (parts.get(share) ?? 0) + 1)
    }
    if (![...parts].every(([share, more]) => fits(share, more))) continue
    for (const [share, more] of parts) share.held += more
    for (const index of group) held.add(index)
  }
  return { train: examples.filter((_, index) => !held.has(index)), validation: examples.filter((_, index) => held.has(index)) }
}
