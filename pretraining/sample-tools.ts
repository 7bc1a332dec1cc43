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
  /** Learned from. */
  readonly examples: readonly SampleExample[]
  /** Held out: measured on, never learned from. */
  readonly validation: readonly SampleExample[]
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

/** The same with three: `input/one output/another`. */
export const triples = (text: string): readonly (readonly [input: string, one: string, another: string])[] =>
  text
    .trim()
    .split(/\s*[\n,]\s*/)
    .map((line) => {
      const [input, one, another] = line.split('/')
      if (!input || !one || !another) throw new Error(`"${line}" is not input/one/another`)
      return [input, one, another]
    })

export const words = (text: string): string[] => text.trim().split(/\s+/)

/** What a causal model writes after "->" starts with a space; an encoder-decoder's answer stands alone. */
export const after = (separator: ' ' | '', rows: Pairs, task?: string): SampleExample[] =>
  rows.map(([input, output]) => ({ input, output: separator + output, ...(task === undefined ? {} : { task }) }))

/** Rows by label: every line of each text is an input with that label. */
export const labelled = (texts: Readonly<Record<string, string>>): Pairs =>
  Object.entries(texts).flatMap(([label, text]) => lines(text).map((line): [string, string] => [line, label]))

/** Lines with a part in [brackets]: the line without the brackets, and the part. */
export const bracketed = (text: string): Pairs =>
  lines(text).map((line) => {
    const found = /^([^[\]]*)\[([^[\]]+)\]([^[\]]*)$/.exec(line)
    if (!found) throw new Error(`"${line}" has not one part in brackets`)
    const [, before = '', part = '', after = ''] = found
    return [before + part + after, part]
  })

/** Lines of `input / output`. */
export const rewritten = (text: string): Pairs =>
  lines(text).map((line) => {
    const [input, output, more] = line.split(' / ')
    if (!input || !output || more !== undefined) throw new Error(`"${line}" is not input / output`)
    return [input, output]
  })

export const lines = (text: string): string[] => text.trim().split('\n')

/**
 * Shuffles rows and holds a share of them out: of every group (by label or task) as much, so that both parts have all of them.
 * @param groupOf rows of one group are split alike
 */
export function split(
  rows: readonly SampleExample[],
  share: number,
  seed: number,
  groupOf: (row: SampleExample) => string = ({ task = '' }) => task,
): Pick<Sample, 'examples' | 'validation'> {
  const groups = new Map<string, SampleExample[]>()
  for (const row of shuffled(rows, randomFrom(seed))) groups.set(groupOf(row), [...(groups.get(groupOf(row)) ?? []), row])
  const parts = [...groups.values()].map((group) => {
    const held = Math.round(group.length * share)
    return { examples: group.slice(held), validation: group.slice(0, held) }
  })
  return {
    examples: shuffled(
      parts.flatMap((part) => part.examples),
      randomFrom(seed + 1),
    ),
    validation: shuffled(
      parts.flatMap((part) => part.validation),
      randomFrom(seed + 2),
    ),
  }
}

const LEAST = 40
const MOST = 400

/** @throws Error for a sample too small or too large, or with an input twice in a task, be it held out or not */
export function checked(sample: Sample): Sample {
  const { name, examples, validation } = sample
  const rows = [...examples, ...validation]
  if (rows.length < LEAST || rows.length > MOST) throw new Error(`${name}: ${rows.length} examples`)
  const inputs = new Set(rows.map(({ input, task }) => JSON.stringify([task, input])))
  if (inputs.size !== rows.length) throw new Error(`${name}: an input occurs twice`)
  return sample
}
