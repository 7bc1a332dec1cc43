/** Which examples are held out for validation. */
import type { Example } from '../job/records'
import { Random } from './random'

export interface Split {
  readonly train: readonly Example[]
  readonly validation: readonly Example[]
}

/**
 * Holds out about `fraction` of the examples, and as much of each task where they name tasks, drawn by seed; both parts keep the file's order.
 * Examples with the same input (and task) stay on the same side, so that nothing is measured on a row it was trained on. With a fraction above 0
 * and two distinct inputs of one task alone, neither part is empty; a task of one input stays for training.
 */
export function splitExamples(examples: readonly Example[], fraction: number, seed: number): Split {
  const tasks = new Map<string, Map<string, number[]>>()
  examples.forEach(({ input, task = '' }, index) => {
    const groups = tasks.get(task) ?? new Map<string, number[]>()
    tasks.set(task, groups)
    const group = groups.get(input)
    if (group) group.push(index)
    else groups.set(input, [index])
  })
  const distinct = [...tasks.values()].reduce((sum, groups) => sum + groups.size, 0)
  if (fraction <= 0 || distinct < 2) return { train: examples, validation: [] }
  const wanted = Math.max(1, Math.round(examples.length * fraction))
  const held = new Set<number>()
  const names = [...tasks.keys()].sort()
  const sizes = names.map((name) => [...(tasks.get(name)?.values() ?? [])].reduce((sum, { length }) => sum + length, 0))
  shares(sizes, wanted).forEach((share, t) => {
    const name = names[t] ?? ''
    const groups = [...(tasks.get(name)?.values() ?? [])]
    const shuffled = new Random(seed, name === '' ? 'validation split' : `validation split ${name}`).shuffled(groups)
    let own = 0
    // The last group of a task always stays for training.
    for (const group of shuffled.slice(0, -1)) {
      if (own >= share) break
      if (own > 0 && own + group.length > share) continue
      for (const index of group) held.add(index)
      own += group.length
    }
  })
  return { train: examples.filter((_, index) => !held.has(index)), validation: examples.filter((_, index) => held.has(index)) }
}

/** `total` divided in proportion to `sizes`, in whole numbers (largest remainders). */
function shares(sizes: readonly number[], total: number): number[] {
  const all = sizes.reduce((sum, size) => sum + size, 0)
  const exact = sizes.map((size) => (total * size) / all)
  const whole = exact.map(Math.floor)
  const rest = total - whole.reduce((sum, share) => sum + share, 0)
  const order = exact.map((share, i) => ({ i, remainder: share - Math.floor(share) }))
  order.sort((a, b) => b.remainder - a.remainder || a.i - b.i)
  for (const { i } of order.slice(0, rest)) whole[i] = (whole[i] ?? 0) + 1
  return whole
}
