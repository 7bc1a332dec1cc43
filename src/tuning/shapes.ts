/**
 * Batch shapes. Every distinct (sequence length, label slots) costs a compiled program and its buffers, every padded position costs
 * arithmetic, so rows are sorted into a few length buckets whose bounds waste the least.
 */

export interface Shape {
  /** S: positions of the stack that makes the logits, virtual tokens included. */
  readonly sequence_length: number
  /** L: label slots. */
  readonly label_length: number
  /** E: positions of the encoder, virtual tokens included; 0 on a causal model. */
  readonly encoder_length: number
}

/** What a row needs of a shape. */
export type Need = Shape

const MAX_BUCKETS = 4
const MULTIPLE = 8
/** One bucket fewer is better as long as it pads at most this much more than the best with four. */
const SLACK = 1.05

/** The next multiple of 8, but not more positions than the model has. */
export const roundLength = (length: number, max_positions: number | null): number =>
  Math.max(length, Math.min(Math.ceil(length / MULTIPLE) * MULTIPLE, max_positions ?? Infinity))

/**
 * The fewest bucket bounds, at most four, that pad little. `lengths` are already rounded; exact by dynamic programming over the distinct
 * ones. Returned ascending; the last is the longest length.
 */
export function bucketBounds(lengths: readonly number[], most = MAX_BUCKETS): number[] {
  const counts = new Map<number, number>()
  for (const length of lengths) counts.set(length, (counts.get(length) ?? 0) + 1)
  const distinct = [...counts.keys()].sort((a, b) => a - b)
  const rowsUpTo = [0]
  for (const length of distinct) rowsUpTo.push((rowsUpTo.at(-1) ?? 0) + (counts.get(length) ?? 0))

  // best[j]: the cheapest way to hold the first j distinct lengths in the current number of buckets, in padded positions.
  let best: readonly { readonly cost: number; readonly bounds: readonly number[] }[] = distinct.map(() => ({
    cost: Infinity,
    bounds: [],
  }))
  best = [{ cost: 0, bounds: [] }, ...best]
  const totals: { cost: number; bounds: readonly number[] }[] = []
  for (let buckets = 1; buckets <= Math.min(most, distinct.length); buckets++) {
    const previous = best
    best = [
      { cost: Infinity, bounds: [] },
      ...distinct.map((bound, end) => {
        let least: { cost: number; bounds: readonly number[] } = { cost: Infinity, bounds: [] }
        for (let start = 0; start <= end; start++) {
          const before = previous[start]
          if (!before || before.cost === Infinity) continue
          const cost = before.cost + ((rowsUpTo[end + 1] ?? 0) - (rowsUpTo[start] ?? 0)) * bound
          if (cost < least.cost) least = { cost, bounds: [...before.bounds, bound] }
        }
        return least
      }),
    ]
    const total = best.at(-1)
    if (total) totals.push(total)
  }
  const cheapest = Math.min(...totals.map(({ cost }) => cost))
  return [...(totals.find(({ cost }) => cost <= cheapest * SLACK)?.bounds ?? [])]
}

const SIZES = ['sequence_length', 'label_length', 'encoder_length'] as const

export const largerNeed = (a: Need, b: Need): Need => ({
  sequence_length: Math.max(a.sequence_length, b.sequence_length),
  label_length: Math.max(a.label_length, b.label_length),
  encoder_length: Math.max(a.encoder_length, b.encoder_length),
})

export const NO_NEED: Need = { sequence_length: 1, label_length: 1, encoder_length: 0 }

/**
 * The shapes of a run, ascending. Buckets are of the longer stack's length (the encoder's, where there is one); a larger shape is at least as
 * large in everything, so that rows can always move up.
 */
export class Shapes {
  private readonly shapes: Shape[]

  constructor(
    needs: readonly Need[],
    private readonly max_positions: number | null,
    /** Label slots beyond what rows need, for what is asked of a row besides its labels. */
    extra_slots = 0,
    /** Buckets at most. */
    most = MAX_BUCKETS,
  ) {
    const main = needs.some(({ encoder_length }) => encoder_length > 0) ? 'encoder_length' : 'sequence_length'
    const bounds = bucketBounds(
      needs.map((need) => roundLength(need[main], max_positions)),
      most,
    )
    this.shapes = bounds.map((bound) => {
      const most = needs.filter((need) => need[main] <= bound).reduce(largerNeed, NO_NEED)
      const rounded = this.rounded(most)
      return { ...rounded, [main]: bound, label_length: most.label_length + extra_slots }
    })
  }

  all(): readonly Shape[] {
    return this.shapes
  }

  /** The smallest shape that holds the row. Makes one, with as many positions as `longest`, where none does. */
  fit(need: Need, longest = need.sequence_length): Shape {
    const found = this.shapes.find((shape) => SIZES.every((size) => shape[size] >= need[size]))
    if (found) return found
    const most = largerNeed(this.shapes.at(-1) ?? NO_NEED, need)
    const made = this.rounded({ ...most, sequence_length: Math.max(longest, most.sequence_length) })
    this.shapes.push(made)
    return made
  }

  private rounded({ sequence_length, label_length, encoder_length }: Need): Shape {
    return {
      sequence_length: roundLength(sequence_length, this.max_positions),
      label_length,
      encoder_length: encoder_length === 0 ? 0 : roundLength(encoder_length, this.max_positions),
    }
  }
}
