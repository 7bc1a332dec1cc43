/** Which rows go through the model together, and in what order: buckets, the epoch's shuffle, accumulation groups. Indices only, no tokens. */
import { Random } from './random'
import { largerNeed, NO_NEED } from './shapes'
import type { Need, Shape, Shapes } from './shapes'

export interface Batch {
  readonly shape: Shape
  /** Indices of rows; at most batch_size, fewer only in the last batch. */
  readonly rows: readonly number[]
}

/**
 * Batches of one shape each. A bucket's rows that don't fill a batch move up to the next longer bucket, so that at most one batch is
 * short and there are exactly ceil(rows / batch_size).
 */
export function bucketBatches(order: readonly number[], needs: readonly Need[], shapes: Shapes, batch_size: number): Batch[] {
  const buckets = new Map<Shape, number[]>(shapes.all().map((shape) => [shape, []]))
  for (const row of order) {
    const need = needs[row]
    if (!need) throw new RangeError(`row ${row} of ${needs.length}`)
    const shape = shapes.fit(need)
    const bucket = buckets.get(shape)
    if (bucket) bucket.push(row)
    else buckets.set(shape, [row])
  }
  const batches: Batch[] = []
  let carried: number[] = []
  let last: Shape | null = null
  for (const [shape, own] of buckets) {
    if (own.length === 0) continue
    const rows = [...carried, ...own]
    const full = rows.length - (rows.length % batch_size)
    for (let start = 0; start < full; start += batch_size) batches.push({ shape, rows: rows.slice(start, start + batch_size) })
    carried = rows.slice(full)
    last = shape
  }
  if (carried.length > 0 && last) batches.push({ shape: last, rows: carried })
  return batches
}

/** Batches in plain order, each as long as its longest row needs: upstream's, for the caikit preset. */
export function plainBatches(order: readonly number[], needs: readonly Need[], shapes: Shapes, batch_size: number): Batch[] {
  const batches: Batch[] = []
  for (let start = 0; start < order.length; start += batch_size) {
    const rows = order.slice(start, start + batch_size)
    const need = rows.reduce<Need>((most, row) => largerNeed(most, needs[row] ?? most), NO_NEED)
    batches.push({ shape: shapes.fit(need), rows })
  }
  return batches
}

export interface EpochPlan {
  readonly seed: number
  /** From 1. The order depends on seed and epoch alone, so a run can go on in the middle of any epoch. */
  readonly epoch: number
  readonly batch_size: number
  readonly accumulate_steps: number
  /** false: upstream's plain batches. */
  readonly bucketed: boolean
}

/** The epoch's optimizer steps: each a group of up to accumulate_steps batches, in seeded random order; the last may be shorter. */
export function epochGroups(needs: readonly Need[], shapes: Shapes, plan: EpochPlan): Batch[][] {
  const random = new Random(plan.seed, `epoch ${plan.epoch}`)
  const order = random.shuffled(needs.map((_, row) => row))
  const batches = plan.bucketed
    ? random.shuffled(bucketBatches(order, needs, shapes, plan.batch_size))
    : plainBatches(order, needs, shapes, plan.batch_size)
  const groups: Batch[][] = []
  for (let start = 0; start < batches.length; start += plan.accumulate_steps)
    groups.push(batches.slice(start, start + plan.accumulate_steps))
  return groups
}
