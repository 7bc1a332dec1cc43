/**
 * A language model small enough to differentiate by hand, in float64: the state at a position is tanh(mean of all embeddings up to it + twice
 * its own embedding), the logits are state times a random matrix. It stands in for FrozenModel in tests of the loop, where what matters is
 * that loss and gradient are those of the same function; it says nothing about real engines.
 */
import type { FrozenModel, GradientLengths, LossAndGradient, Scores, TokenBatch } from '../../src/engine/frozen-model'
import { addScaled, AnalyticVocabulary, likeliest, type AnalyticOptions } from './analytic-vocabulary'

export class AnalyticModel implements FrozenModel {
  readonly kind = 'causal-lm'
  readonly device = 'cpu'
  readonly rounds_activations: boolean = false
  readonly single_shape = false
  readonly hidden_size: number
  readonly vocab_size: number
  readonly max_positions: number | null
  readonly embedding_std: number
  /** Shapes asked for, "what B,S,L", in order. */
  readonly calls: string[] = []
  private readonly vocabulary: AnalyticVocabulary

  constructor(options: AnalyticOptions) {
    this.vocabulary = new AnalyticVocabulary(options, 'analytic')
    this.vocab_size = options.vocab_size
    this.hidden_size = options.hidden_size
    this.max_positions = options.max_positions ?? null
    this.embedding_std = this.vocabulary.embedding_std
  }

  embed(ids: ArrayLike<number>): Float32Array {
    return this.vocabulary.embed(ids)
  }

  encode(): Promise<Float32Array> {
    return Promise.reject(new RangeError('no encoder'))
  }

  lossAndGradient(batch: TokenBatch, { decoder: gradient_length }: GradientLengths): Promise<LossAndGradient> {
    const { batch_size: B, label_length: L } = batch
    const H = this.hidden_size
    this.record('gradient', batch)
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
      const dPre = this.vocabulary.gradient(logp, id, weight).map((x, h) => x * (1 - (state[h] ?? 0) ** 2))
      for (let q = 0; q <= Math.min(p, gradient_length - 1); q++) {
        addScaled(d, (b * gradient_length + q) * H, 1 / (p + 1) + (q === p ? 2 : 0), dPre)
      }
    }
    return Promise.resolve({ loss, d_inputs_embeds: Float32Array.from(d), d_encoder_inputs_embeds: new Float32Array(0) })
  }

  score(batch: TokenBatch): Promise<Scores> {
    const { batch_size: B, label_length: L } = batch
    this.record('score', batch)
    const log_probabilities = new Float32Array(B * L)
    const greedy_ids = new Int32Array(B * L)
    for (let slot = 0; slot < B * L; slot++) {
      const { logp } = this.at(batch, Math.floor(slot / L), batch.label_positions[slot] ?? 0)
      log_probabilities[slot] = logp[batch.label_ids[slot] ?? 0] ?? NaN
      greedy_ids[slot] = likeliest(logp)
    }
    return Promise.resolve({ log_probabilities, greedy_ids })
  }

  memory(): null {
    return null
  }

  counters() {
    const runs = this.calls.length
    return { dispatches: runs * 10, submits: runs, buffers_created: 0, live_tensors: 7, bytes: 1000 + runs }
  }

  dispose(): Promise<void> {
    return Promise.resolve()
  }

  private record(what: string, { batch_size, sequence_length, label_length }: TokenBatch): void {
    this.calls.push(`${what} ${batch_size},${sequence_length},${label_length}`)
    if (sequence_length > (this.max_positions ?? Infinity)) throw new RangeError(`${sequence_length} positions`)
  }

  private at({ inputs_embeds, attention_mask, sequence_length: S }: TokenBatch, b: number, p: number) {
    const H = this.hidden_size
    const pre = new Float64Array(H)
    for (let q = 0; q <= p; q++) {
      if (attention_mask[b * S + q] !== 1) throw new RangeError(`row ${b} looks at the masked position ${q}`)
      const row = (b * S + q) * H
      addScaled(pre, 0, 1 / (p + 1) + (q === p ? 2 : 0), inputs_embeds.subarray(row, row + H))
    }
    const state = pre.map(Math.tanh)
    return { state, logp: this.vocabulary.logProbabilities(state) }
  }
}
