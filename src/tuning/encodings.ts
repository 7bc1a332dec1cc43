/**
 * Encoder states kept for rows that are asked again: while only the decoder's prompt is trained the encoder says the same in every epoch,
 * and while a row is decoded token by token it says the same for each. Kept by the prompt in front (its array) and the text's ids, up to a
 * number of bytes; the oldest go first.
 */
import type { EncoderEmbeds, FrozenModel } from '../engine/frozen-model'

const BUDGET_BYTES = 256 * 2 ** 20

/** What one row's encoder reads: virtual tokens ([n, H]; the same array for all rows that share them) and the text. */
export interface EncoderRow {
  readonly prompt: Float32Array
  readonly ids: readonly number[]
}

interface Kept {
  readonly prompt: Float32Array
  readonly key: string
  readonly states: Float32Array
}

export class Encodings {
  private readonly byPrompt = new WeakMap<Float32Array, Map<string, Kept>>()
  /** In the order they were made. */
  private readonly kept = new Set<Kept>()
  private bytes = 0

  constructor(
    private readonly model: FrozenModel,
    private readonly budget = BUDGET_BYTES,
  ) {}

  /**
   * Each row's states [length, W], length being that of prompt and text.
   * @param batch_size most rows encoded at once. A model that rounds activations gets one: it takes one scale from the whole batch, so a row's
   * states would depend on its neighbours, and on which of them met it first.
   * @param batch makes the encoder's input of some of the rows (see Assembler), right-padded.
   */
  async statesOf(
    rows: readonly EncoderRow[],
    batch_size: number,
    batch: (rows: readonly EncoderRow[], batch_size: number) => EncoderEmbeds,
  ): Promise<readonly Float32Array[]> {
    const found = rows.map((row) => this.find(row))
    const missing = rows.filter((_, i) => found[i] === undefined)
    const most = this.model.rounds_activations ? 1 : batch_size
    for (let start = 0; start < missing.length; start += most) {
      const some = missing.slice(start, start + most).filter((row) => this.find(row) === undefined)
      if (some.length === 0) continue
      const input = batch(some, most)
      this.keepAll(some, most, input, await this.model.encode(input, most))
    }
    const all = rows.map((row, i) => found[i] ?? this.find(row))
    this.trim()
    return all.map((states) => {
      if (!states) throw new RangeError('an encoding went missing')
      return states
    })
  }

  private keepAll(rows: readonly EncoderRow[], batch_size: number, input: EncoderEmbeds, states: Float32Array): void {
    const width = states.length / (batch_size * input.sequence_length)
    rows.forEach((row, b) => {
      const length = row.prompt.length / this.model.hidden_size + row.ids.length
      const start = b * input.sequence_length * width
      this.keep(row, states.slice(start, start + length * width))
    })
  }

  /** Drops what was encoded behind virtual tokens, which training moves on. */
  forgetPrompted(): void {
    for (const kept of this.kept) if (kept.prompt.length > 0) this.drop(kept)
  }

  private find({ prompt, ids }: EncoderRow): Float32Array | undefined {
    return this.byPrompt.get(prompt)?.get(ids.join())?.states
  }

  private keep({ prompt, ids }: EncoderRow, states: Float32Array): void {
    const key = ids.join()
    const known = this.byPrompt.get(prompt) ?? new Map<string, Kept>()
    this.byPrompt.set(prompt, known)
    if (known.has(key)) return
    const kept = { prompt, key, states }
    known.set(key, kept)
    this.kept.add(kept)
    this.bytes += states.byteLength
  }

  private trim(): void {
    for (const kept of this.kept) {
      if (this.bytes <= this.budget) return
      this.drop(kept)
    }
  }

  private drop(kept: Kept): void {
    this.kept.delete(kept)
    this.byPrompt.get(kept.prompt)?.delete(kept.key)
    this.bytes -= kept.states.byteLength
  }
}
