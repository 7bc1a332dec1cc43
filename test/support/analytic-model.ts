/**
 * A language model small enough to differentiate by hand, in float64: the state at a position is tanh(mean of all embeddings up to it + twice
 * its own embedding), the logits are state times a random matrix. It stands in for FrozenModel in tests of the loop, where what matters is
 * that loss and gradient are those of the same function; it says nothing about real engines.
 */
import type { FrozenModel, GradientLengths, LossAndGradient, Scores, TokenBatch } from '../../src/engine/frozen-model'
import { Random } from '../../src/tuning/random'

export interface AnalyticOptions {
  readonly vocab_size: number
  readonly hidden_size: number
  readonly max_positions?: number | null
  readonly embedding_std?: number
  readonly seed?: number
}

export class AnalyticModel implements FrozenModel {
  readonly kind = 'causal-lm'
  readonly device = 'cpu'
  readonly hidden_size: number
  readonly vocab_size: number
  readonly max_positions: number | null
  readonly embedding_std: number
  /** Shapes asked for, "what B,S,L", in order. */
  readonly calls: string[] = []
  private readonly table: Float32Array
  private readonly head: Float64Array

  constructor({ vocab_size, hidden_size, max_positions = null, embedding_std = 0.1, seed = 1 }: AnalyticOptions) {
    this.vocab_size = vocab_size
    this.hidden_size = hidden_size
    this.max_positions = max_positions
    this.embedding_std = embedding_std
    const random = new Random(seed, 'analytic')
    this.table = Float32Array.from({ length: vocab_size * hidden_size }, () => embedding_std * random.normal())
    this.head = Float64Array.from({ length: vocab_size * hidden_size }, () => random.normal())
  }

  embed(ids: ArrayLike<number>): Float32Array {
    const H = this.hidden_size
    const rows = new Float32Array(ids.length * H)
    Array.from(ids).forEach((id, i) => {
      if (id < 0 || id >= this.vocab_size) throw new RangeError(`id ${id}`)
      rows.set(this.table.subarray(id * H, (id + 1) * H), i * H)
    })
    return rows
  }

  encode(): Promise<Float32Array> {
    return Promise.reject(new RangeError('no encoder'))
  }

  lossAndGradient(batch: TokenBatch, { decoder: gradient_length }: GradientLengths): Promise<LossAndGradient> {
    const { batch_size: B, label_length: L, sequence_length: S } = batch
    const H = this.hidden_size
    this.calls.push(`gradient ${B},${S},${L}`)
    const d = new Float64Array(B * gradient_length * H)
    let loss = 0
    for (let slot = 0; slot < B * L; slot++) {
      const weight = batch.label_weights[slot] ?? 0
      if (weight === 0) continue
      const b = Math.floor(slot / L)
      const p = batch.label_positions[slot] ?? 0
      const id = batch.label_ids[slot] ?? 0
      const { state, logp } = this.at(batch, b, p)
      loss -= weight * (logp[id] ?? NaN)
      const dPre = new Float64Array(H)
      for (let t = 0; t < this.vocab_size; t++) {
        const dLogit = weight * (Math.exp(logp[t] ?? NaN) - (t === id ? 1 : 0))
        for (let h = 0; h < H; h++) dPre[h] = (dPre[h] ?? 0) + dLogit * (this.head[t * H + h] ?? 0)
      }
      for (let h = 0; h < H; h++) dPre[h] = (dPre[h] ?? 0) * (1 - (state[h] ?? 0) ** 2)
      for (let q = 0; q <= Math.min(p, gradient_length - 1); q++) {
        const factor = 1 / (p + 1) + (q === p ? 2 : 0)
        const row = (b * gradient_length + q) * H
        for (let h = 0; h < H; h++) d[row + h] = (d[row + h] ?? 0) + factor * (dPre[h] ?? 0)
      }
    }
    return Promise.resolve({ loss, d_inputs_embeds: Float32Array.from(d), d_encoder_inputs_embeds: new Float32Array(0) })
  }

  score(batch: TokenBatch): Promise<Scores> {
    const { batch_size: B, label_length: L, sequence_length: S } = batch
    this.calls.push(`score ${B},${S},${L}`)
    const log_probabilities = new Float32Array(B * L)
    const greedy_ids = new Int32Array(B * L)
    for (let slot = 0; slot < B * L; slot++) {
      const { logp } = this.at(batch, Math.floor(slot / L), batch.label_positions[slot] ?? 0)
      log_probabilities[slot] = logp[batch.label_ids[slot] ?? 0] ?? NaN
      greedy_ids[slot] = logp.reduce((best, value, id) => (value > (logp[best] ?? 0) ? id : best), 0)
    }
    return Promise.resolve({ log_probabilities, greedy_ids })
  }

  counters() {
    const runs = this.calls.length
    return { dispatches: runs * 10, submits: runs, buffers_created: 0, live_tensors: 7, bytes: 1000 + runs }
  }

  dispose(): Promise<void> {
    return Promise.resolve()
  }

  private at({ inputs_embeds, attention_mask, sequence_length: S }: TokenBatch, b: number, p: number) {
    const H = this.hidden_size
    const pre = new Float64Array(H)
    for (let q = 0; q <= p; q++) {
      if (attention_mask[b * S + q] !== 1) throw new RangeError(`row ${b} looks at the masked position ${q}`)
      const factor = 1 / (p + 1) + (q === p ? 2 : 0)
      for (let h = 0; h < H; h++) pre[h] = (pre[h] ?? 0) + factor * (inputs_embeds[(b * S + q) * H + h] ?? NaN)
    }
    const state = pre.map(Math.tanh)
    const logits = Float64Array.from({ length: this.vocab_size }, (_, t) =>
      state.reduce((sum, x, h) => sum + x * (this.head[t * H + h] ?? 0), 0),
    )
    const most = logits.reduce((a, x) => Math.max(a, x), -Infinity)
    const log = most + Math.log(logits.reduce((sum, x) => sum + Math.exp(x - most), 0))
    return { state, logp: logits.map((x) => x - log) }
  }
}
