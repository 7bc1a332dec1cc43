/** Scoring many rows of different lengths through the frozen model: the one way evaluation and greedy decoding ask it anything. */
import type { FrozenModel } from '../engine/frozen-model'
import type { Assembler, RowQuery } from './assemble'
import { bucketBatches } from './batches'
import type { Gate } from './control'
import type { Shapes } from './shapes'

export interface Scorer {
  readonly model: FrozenModel
  readonly assembler: Assembler
  readonly shapes: Shapes
  readonly batch_size: number
  readonly gate: Gate
  /** Called after every batch, for the counters. */
  readonly onBatch: () => void
}

/** What the model says of one row, slot by slot. */
export interface RowScores {
  readonly log_probabilities: Float32Array
  readonly greedy_ids: Int32Array
}

/**
 * Scores all rows, each behind its prompt, in batches of their own lengths.
 * @param longest sequence length to make a new shape with, should a row outgrow all of them.
 * @returns in the rows' order, or null when the gate closed on the way.
 */
export async function scoreRows(scorer: Scorer, queries: readonly RowQuery[], longest = 1): Promise<RowScores[] | null> {
  const { model, assembler, shapes, batch_size, gate } = scorer
  const rowsIn = (prompt: Float32Array): number => prompt.length / model.hidden_size
  const needs = queries.map(({ prompt, encoder, fed, slots }) => ({
    sequence_length: rowsIn(prompt.decoder) + fed.length,
    label_length: slots.length,
    encoder_length: encoder === null ? 0 : rowsIn(prompt.encoder) + encoder.length,
  }))
  for (const need of needs) shapes.fit(need, longest)
  const results: RowScores[] = []
  const order = queries.map((_, row) => row)
  for (const { shape, rows } of bucketBatches(order, needs, shapes, batch_size)) {
    if (!(await gate())) return null
    const asked = rows.flatMap((row) => queries[row] ?? [])
    const weights = asked.map(() => 0)
    const { log_probabilities, greedy_ids } = await model.score(await assembler.assemble(shape, asked, weights, 'states'))
    scorer.onBatch()
    rows.forEach((row, b) => {
      const start = b * shape.label_length
      const end = start + (asked[b]?.slots.length ?? 0)
      results[row] = { log_probabilities: log_probabilities.slice(start, end), greedy_ids: greedy_ids.slice(start, end) }
    })
  }
  return results
}
