/**
 * Puts rows of tokens into a CausalBatch, `P text PAD`, in buffers that are made once per shape and used again: a batch is only
 * valid until the next one of its shape.
 */
import type { CausalBatch, FrozenModel } from '../engine/frozen-model'
import { positionsOf } from './sequences'
import type { TokenSequence } from './sequences'
import type { Need, Shape } from './shapes'

/** Embedding rows kept at hand; beyond this many bytes they are looked up anew each time. */
const CACHE_BYTES = 64 * 2 ** 20

/** A row to be scored: its tokens are fed, its slots ask for the probability of a token at a position of the text. */
export interface RowQuery {
  readonly fed: readonly number[]
  /** `at`: index into `fed` of the token whose logits are asked. */
  readonly slots: readonly { readonly at: number; readonly id: number }[]
}

/** Teacher forcing: every target token is asked for where the one before it was fed. */
export function teacherForced({ source, target }: TokenSequence): RowQuery {
  return {
    fed: [...source, ...target.slice(0, -1)],
    slots: target.map((id, k) => ({ at: source.length - 1 + k, id })),
  }
}

/** What a sequence needs of a shape, behind `n` virtual tokens. */
export const needOf = (sequence: TokenSequence, n: number): Need => ({
  sequence_length: n + positionsOf(sequence),
  label_length: sequence.target.length,
})

type Buffers = {
  -readonly [Key in keyof CausalBatch]: CausalBatch[Key]
}

export class Assembler {
  private readonly buffers = new Map<string, Buffers>()
  private readonly rows = new Map<number, Float32Array>()

  constructor(
    private readonly model: FrozenModel,
    /** B of every batch; short ones are filled up with copies of a row that weigh nothing. */
    private readonly batch_size: number,
  ) {}

  /**
   * @param prompt [n, H], shared by all rows; empty for the untuned model.
   * @param weights weight of every slot of each row. Rows beyond `queries` weigh 0.
   * @throws RangeError when a row doesn't fit the shape.
   */
  assemble(shape: Shape, prompt: Float32Array, queries: readonly RowQuery[], weights: readonly number[]): CausalBatch {
    const batch = this.bufferFor(shape)
    const { sequence_length: S, label_length: L } = shape
    const H = this.model.hidden_size
    const n = prompt.length / H
    batch.attention_mask.fill(0)
    batch.label_positions.fill(0)
    batch.label_ids.fill(0)
    batch.label_weights.fill(0)
    for (let b = 0; b < this.batch_size; b++) {
      // A filler row must hold something: a row masked all over would have no softmax.
      const query = queries[b] ?? queries[0]
      if (!query) throw new RangeError('a batch of no rows')
      const length = n + query.fed.length
      if (length > S || query.slots.length > L) {
        throw new RangeError(`a row of ${length} positions and ${query.slots.length} labels in a batch of ${S} and ${L}`)
      }
      const row = b * S * H
      batch.inputs_embeds.set(prompt, row)
      this.embedInto(batch.inputs_embeds, row + n * H, query.fed)
      batch.inputs_embeds.fill(0, row + length * H, row + S * H)
      batch.attention_mask.fill(1, b * S, b * S + length)
      query.slots.forEach(({ at, id }, slot) => {
        batch.label_positions[b * L + slot] = n + at
        batch.label_ids[b * L + slot] = id
        batch.label_weights[b * L + slot] = b < queries.length ? (weights[b] ?? 0) : 0
      })
    }
    return batch
  }

  private bufferFor({ sequence_length: S, label_length: L }: Shape): Buffers {
    const key = `${S},${L}`
    const known = this.buffers.get(key)
    if (known) return known
    const B = this.batch_size
    const made = {
      batch_size: B,
      sequence_length: S,
      label_length: L,
      inputs_embeds: new Float32Array(B * S * this.model.hidden_size),
      attention_mask: new Int32Array(B * S),
      label_positions: new Int32Array(B * L),
      label_ids: new Int32Array(B * L),
      label_weights: new Float32Array(B * L),
    }
    this.buffers.set(key, made)
    return made
  }

  private embedInto(into: Float32Array, offset: number, ids: readonly number[]): void {
    const H = this.model.hidden_size
    const missing = [...new Set(ids)].filter((id) => !this.rows.has(id))
    if (missing.length > 0) {
      if ((this.rows.size + missing.length) * H * 4 > CACHE_BYTES) {
        into.set(this.model.embed(ids), offset)
        return
      }
      const found = this.model.embed(missing)
      missing.forEach((id, i) => this.rows.set(id, found.slice(i * H, (i + 1) * H)))
    }
    ids.forEach((id, i) => {
      const row = this.rows.get(id)
      if (row) into.set(row, offset + i * H)
    })
  }
}
