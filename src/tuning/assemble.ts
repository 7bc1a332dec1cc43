/**
 * Puts rows of tokens into a TokenBatch, `P text PAD` in every stack, in buffers that are made once per shape and used again: a batch is only
 * valid until the next one of its shape.
 */
import type { EncoderEmbeds, EncoderStates, FrozenModel, Stack, TokenBatch } from '../engine/frozen-model'
import { Encodings } from './encodings'
import type { EncoderRow } from './encodings'
import { positionsOf } from './sequences'
import type { TokenSequence } from './sequences'
import { roundLength } from './shapes'
import type { Need, Shape } from './shapes'
import type { Prompts, RowPrompt } from './soft-prompt'

/** Embedding rows kept at hand, of each stack; beyond this many bytes they are looked up anew each time. */
const CACHE_BYTES = 64 * 2 ** 20

/** A row to be scored: its tokens are fed, its slots ask for the probability of a token at a position of the text. */
export interface RowQuery {
  readonly prompt: RowPrompt
  /** What the encoder reads; null on a causal model. */
  readonly encoder: readonly number[] | null
  readonly fed: readonly number[]
  /** `at`: index into `fed` of the token whose logits are asked. */
  readonly slots: readonly { readonly at: number; readonly id: number }[]
}

/** Teacher forcing: every target token is asked for where the one before it was fed. */
export function teacherForced({ encoder, source, target, task }: TokenSequence, prompts: Prompts): RowQuery {
  return {
    prompt: prompts(task),
    encoder,
    fed: [...source, ...target.slice(0, -1)],
    slots: target.map((id, k) => ({ at: source.length - 1 + k, id })),
  }
}

/** Virtual tokens in front of each stack. */
export type VirtualTokens = Readonly<Record<Stack, number>>

/** What a sequence needs of a shape, behind so many virtual tokens. */
export const needOf = (sequence: TokenSequence, tokens: VirtualTokens): Need => ({
  sequence_length: tokens.decoder + positionsOf(sequence),
  label_length: sequence.target.length,
  encoder_length: sequence.encoder === null ? 0 : tokens.encoder + sequence.encoder.length,
})

type StackArrays = Pick<TokenBatch, 'inputs_embeds' | 'attention_mask'>
type LabelArrays = Pick<TokenBatch, 'label_positions' | 'label_ids' | 'label_weights'>

interface Buffers {
  readonly stack: StackArrays
  readonly labels: LabelArrays
}

export class Assembler {
  readonly encodings: Encodings
  private readonly buffers = new Map<string, Buffers>()
  /** Of the encoder, by rows and positions. */
  private readonly encoderBuffers = new Map<string, StackArrays>()
  private readonly rows: Readonly<Record<Stack, Map<number, Float32Array>>> = { encoder: new Map(), decoder: new Map() }

  constructor(
    private readonly model: FrozenModel,
    /** B of every batch; short ones are filled up with copies of a row that weigh nothing. */
    private readonly batch_size: number,
  ) {
    this.encodings = new Encodings(model)
  }

  /**
   * @param weights weight of every slot of each row. Rows beyond `queries` weigh 0.
   * @param encoder `embeds`: what the encoder reads goes into the batch, as its gradient needs; `states`: what it says, computed now or before.
   * @throws RangeError when a row doesn't fit the shape.
   */
  async assemble(
    shape: Shape,
    queries: readonly RowQuery[],
    weights: readonly number[],
    encoder: 'embeds' | 'states',
  ): Promise<TokenBatch> {
    const [first] = queries
    if (!first) throw new RangeError('a batch of no rows')
    // A filler row must hold something: a row masked all over would have no softmax.
    const filled = Array.from({ length: this.batch_size }, (_, b) => queries[b] ?? first)
    const { stack, labels } = this.bufferFor(shape)
    const { sequence_length, label_length } = shape
    filled.forEach(({ prompt, fed }, b) => this.fillRow('decoder', b, sequence_length, prompt.decoder, fed, stack))
    this.fillLabels(label_length, filled, weights, queries.length, labels)
    return {
      batch_size: this.batch_size,
      sequence_length,
      label_length,
      ...stack,
      ...labels,
      encoder: await this.encoderInput(shape, filled, encoder),
    }
  }

  private fillLabels(L: number, rows: readonly RowQuery[], weights: readonly number[], real: number, into: LabelArrays): void {
    into.label_positions.fill(0)
    into.label_ids.fill(0)
    into.label_weights.fill(0)
    rows.forEach(({ prompt, slots }, b) => {
      if (slots.length > L) throw new RangeError(`a row of ${slots.length} labels in a batch of ${L}`)
      const n = prompt.decoder.length / this.model.hidden_size
      slots.forEach(({ at, id }, slot) => {
        into.label_positions[b * L + slot] = n + at
        into.label_ids[b * L + slot] = id
        into.label_weights[b * L + slot] = b < real ? (weights[b] ?? 0) : 0
      })
    })
  }

  private async encoderInput(
    shape: Shape,
    rows: readonly RowQuery[],
    as: 'embeds' | 'states',
  ): Promise<EncoderEmbeds | EncoderStates | null> {
    if (this.model.kind === 'causal-lm') return null
    const read = rows.map(({ prompt, encoder }): EncoderRow => ({ prompt: prompt.encoder, ids: encoder ?? [] }))
    if (as === 'embeds') return this.encoderEmbeds(shape.encoder_length, read, this.batch_size)
    const found = await this.encodings.statesOf(read, this.batch_size, (some, batch_size) =>
      // One row alone is padded as little as can be: what it is padded to must not depend on the batch it is in.
      this.encoderEmbeds(batch_size === 1 ? this.alone(some[0]) : shape.encoder_length, some, batch_size),
    )
    const E = shape.encoder_length
    const width = (found[0]?.length ?? 0) / this.lengthOf(read[0])
    const hidden_states = new Float32Array(this.batch_size * E * width)
    const attention_mask = new Int32Array(this.batch_size * E)
    found.forEach((states, b) => {
      hidden_states.set(states, b * E * width)
      attention_mask.fill(1, b * E, b * E + states.length / width)
    })
    return { kind: 'states', sequence_length: E, attention_mask, hidden_states }
  }

  private encoderEmbeds(E: number, rows: readonly EncoderRow[], batch_size: number): EncoderEmbeds {
    const key = `${batch_size},${E}`
    const encoder = this.encoderBuffers.get(key) ?? this.stackOf(batch_size, E)
    this.encoderBuffers.set(key, encoder)
    for (let b = 0; b < batch_size; b++) {
      const row = rows[b] ?? rows[0]
      if (row) this.fillRow('encoder', b, E, row.prompt, row.ids, encoder)
    }
    return { kind: 'embeds', sequence_length: E, ...encoder }
  }

  /** Positions of a row encoded by itself. */
  private alone(row: EncoderRow | undefined): number {
    return roundLength(this.lengthOf(row), this.model.max_positions)
  }

  /** [B,length,H] and [B,length]. */
  private stackOf(batch_size: number, length: number): StackArrays {
    return {
      inputs_embeds: new Float32Array(batch_size * length * this.model.hidden_size),
      attention_mask: new Int32Array(batch_size * length),
    }
  }

  private lengthOf(row: EncoderRow | undefined): number {
    return row ? row.prompt.length / this.model.hidden_size + row.ids.length : 1
  }

  /** Row b of a stack of S positions: prompt, text, zeros; and its mask. */
  private fillRow(stack: Stack, b: number, S: number, prompt: Float32Array, ids: readonly number[], into: StackArrays): void {
    const H = this.model.hidden_size
    const n = prompt.length / H
    const length = n + ids.length
    if (length > S) throw new RangeError(`a row of ${length} positions in a batch of ${S}`)
    const row = b * S * H
    into.inputs_embeds.set(prompt, row)
    this.embedInto(stack, into.inputs_embeds, row + n * H, ids)
    into.inputs_embeds.fill(0, row + length * H, row + S * H)
    into.attention_mask.fill(1, b * S, b * S + length)
    into.attention_mask.fill(0, b * S + length, (b + 1) * S)
  }

  private bufferFor({ sequence_length: S, label_length: L }: Shape): Buffers {
    const key = `${S},${L}`
    const known = this.buffers.get(key)
    if (known) return known
    const B = this.batch_size
    const labels = {
      label_positions: new Int32Array(B * L),
      label_ids: new Int32Array(B * L),
      label_weights: new Float32Array(B * L),
    }
    const made = { stack: this.stackOf(B, S), labels }
    this.buffers.set(key, made)
    return made
  }

  private embedInto(stack: Stack, into: Float32Array, offset: number, ids: readonly number[]): void {
    const H = this.model.hidden_size
    const rows = this.rows[stack]
    const missing = [...new Set(ids)].filter((id) => !rows.has(id))
    if (missing.length > 0) {
      if ((rows.size + missing.length) * H * 4 > CACHE_BYTES) {
        into.set(this.model.embed(ids, stack), offset)
        return
      }
      const found = this.model.embed(missing, stack)
      missing.forEach((id, i) => rows.set(id, found.slice(i * H, (i + 1) * H)))
    }
    ids.forEach((id, i) => {
      const row = rows.get(id)
      if (row) into.set(row, offset + i * H)
    })
  }
}
