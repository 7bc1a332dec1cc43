/** What the sample tasks are made with: seeded chance, word lists as pairs, and the check every sample passes. See samples.ts. */

/** For which the page lists it: a model, or several tasks at once. */
export type SampleGroup = 'causal' | 'seq2seq' | 'multitask'

export interface SampleExample {
  readonly input: string
  readonly output: string
  readonly task?: string
}

export interface Sample {
  readonly name: string
  readonly group: SampleGroup
  readonly title: string
  readonly explanation: string
  readonly job: Readonly<Record<string, unknown>>
  readonly examples: readonly SampleExample[]
}

export type Pairs = readonly (readonly [input: string, output: string])[]

/** mulberry32: a small seeded generator, uniform in [0, 1). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

export function shuffled<Item>(items: readonly Item[], random: () => number): Item[] {
  const result = [...items]
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    const [a, b] = [result[i], result[j]]
    if (a !== undefined && b !== undefined) [result[i], result[j]] = [b, a]
  }
  return result
}

export const pick = <Item>(items: readonly Item[], random: () => number): Item => {
  const item = items[Math.floor(random() * items.length)]
  if (item === undefined) throw new Error('pick: an empty list')
  return item
}

/** Comma or line separated `input/output`. */
export const pairs = (text: string): Pairs =>
  text
    .trim()
    .split(/\s*[\n,]\s*/)
    .map((line) => {
      const [input, output] = line.split('/')
      if (!input || !output) throw new Error(`"${line}" is not input/output`)
      return [input, output]
    })

export const words = (text: string): string[] => text.trim().split(/\s+/)

/** What a causal model writes after "->" starts with a space; an encoder-decoder's answer stands alone. */
export const after = (separator: ' ' | '', rows: Pairs, task?: string): SampleExample[] =>
  rows.map(([input, output]) => ({ input, output: separator + output, ...(task === undefined ? {} : { task }) }))

const LEAST = 60
const MOST = 240

/** @throws Error for a sample too small or too large, or with an input twice in a task */
export function checked(sample: Sample): Sample {
  const { name, examples } = sample
  if (examples.length < LEAST || examples.length > MOST) throw new Error(`${name}: ${examples.length} examples`)
  const inputs = new Set(examples.map(({ input, task }) => JSON.stringify([task, input])))
  if (inputs.size !== examples.length) throw new Error(`${name}: an input occurs twice`)
  return sample
}
