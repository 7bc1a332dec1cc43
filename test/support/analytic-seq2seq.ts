/**
 * An encoder-decoder small enough to differentiate by hand, in float64, beside analytic-model.ts: an encoder state is tanh(twice its own
 * embedding + the mean of all embeddings that are not masked); the decoder's state at a position is tanh(mean of its embeddings up to it + its
 * own + three times the mean of the encoder's states), the logits are that times a random matrix. It counts what it is asked to encode.
 */
import type {
  EncoderEmbeds,
  FrozenModel,
  GradientLengths,
  LossAndGradient,
  Scores,
  Stack,
  TokenBatch,
} from '../../src/engine/frozen-model'
import { addScaled, AnalyticVocabulary, likeliest, type AnalyticOptions } from './analytic-vocabulary'

/** How much the decoder listens to the encoder. */
const READ = 3

type Encoded = Omit<EncoderEmbeds, 'kind' | 'inputs_embeds'> & { readonly states: ArrayLike<number> }

export class AnalyticSeq2Seq implements FrozenModel {
  readonly kind = 'seq2seq'
  readonly device = 'cpu'
  readonly rounds_activations: boolean = false
  readonly single_shape = false
  readonly hidden_size: number
  readonly vocab_size: number
  readonly max_positions: number | null
  readonly embedding_std: number
  /** Shapes asked for, "what B,S,L,E", in order. */
  readonly calls: string[] = []
  /** How often each row (its embeddings, as text) was encoded; a row twice in a batch counts once. */
  readonly encoded = new Map<string, number>()
  private readonly halves: Readonly<Record<Stack, AnalyticVocabulary>>

  constructor(options: AnalyticOptions) {
    this.halves = { encoder: new AnalyticVocabulary(options, 'encoder'), decoder: new AnalyticVocabulary(options, 'decoder') }
    this.vocab_size = options.vocab_size
    this.hidden_size = options.hidden_size
    this.max_positions = options.max_positions ?? null
    this.embedding_std = this.halves.encoder.embedding_std
  }

  embed(ids: ArrayLike<number>, stack: Stack): Float32Array {
    return this.halves[stack].embed(ids)
  }

  encode(input: EncoderEmbeds, batch_size: number): Promise<Float32Array> {
    const { sequence_length: E, attention_mask, inputs_embeds } = input
    const H = this.hidden_size
    this.calls.push(`encode ${batch_size},${E}`)
    const rows = Array.from({ length: batch_size }, (_, b) => {
      const length = attention_mask.subarray(b * E, (b + 1) * E).reduce((sum, one) => sum + one, 0)
      return inputs_embeds.subarray(b * E * H, (b * E + length) * H).join()
    })
    for (const row of new Set(rows)) this.encoded.set(row, (this.encoded.get(row) ?? 0) + 1)
    return Promise.resolve(Float32Array.from(this.statesOf(input, batch_size)))
  }

  lossAndGradient(batch: TokenBatch, lengths: GradientLengths): Promise<LossAndGradient> {
    const { batch_size: B, label_length: L, encoder } = batch
    const H = this.hidden_size
    this.record('gradient', batch)
    const encoded = this.read(batch)
    const d = new Float64Array(B * lengths.decoder * H)
    const dMean = new Float64Array(B * H)
    let loss = 0
    for (let slot = 0; slot < B * L; slot++) {
      const weight = batch.label_weights[slot] ?? 0
      if (weight === 0) continue
      const [b, p, id] = [Math.floor(slot / L), batch.label_positions[slot] ?? 0, batch.label_ids[slot] ?? 0]
      const { state, logp } = this.at(batch, encoded, b, p)
      loss -= weight * (logp[id] ?? NaN)
      const dPre = this.halves.decoder.gradient(logp, id, weight).map((x, h) => x * (1 - (state[h] ?? 0) ** 2))
      for (let q = 0; q <= Math.min(p, lengths.decoder - 1); q++) {
        addScaled(d, (b * lengths.decoder + q) * H, 1 / (p + 1) + (q === p ? 1 : 0), dPre)
      }
      addScaled(dMean, b * H, READ, dPre)
    }
    if (lengths.encoder > 0 && encoder?.kind !== 'embeds') throw new RangeError('no embeddings to give the gradient of')
    const d_encoder = this.encoderGradient(encoded, dMean, B, lengths.encoder)
    return Promise.resolve({
      loss,
      d_inputs_embeds: Float32Array.from(d),
      d_encoder_inputs_embeds: Float32Array.from(d_encoder),
    })
  }

  score(batch: TokenBatch): Promise<Scores> {
    const { batch_size: B, label_length: L } = batch
    this.record('score', batch)
    const encoded = this.read(batch)
    const log_probabilities = new Float32Array(B * L)
    const greedy_ids = new Int32Array(B * L)
    for (let slot = 0; slot < B * L; slot++) {
      const { logp } = this.at(batch, encoded, Math.floor(slot / L), batch.label_positions[slot] ?? 0)
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

  private record(what: string, { batch_size, sequence_length, label_length, encoder }: TokenBatch): void {
    const E = encoder?.sequence_length ?? 0
    this.calls.push(`${what} ${batch_size},${sequence_length},${label_length},${E}`)
    if (Math.max(sequence_length, E) > (this.max_positions ?? Infinity))
      throw new RangeError(`${sequence_length}, ${E} positions`)
  }

  /** What the decoder reads, wherever it comes from. */
  private read({ batch_size, encoder }: TokenBatch): Encoded {
    if (encoder === null) throw new RangeError('no encoder')
    return { ...encoder, states: encoder.kind === 'states' ? encoder.hidden_states : this.statesOf(encoder, batch_size) }
  }

  private statesOf({ sequence_length: E, attention_mask, inputs_embeds }: EncoderEmbeds, B: number): Float64Array {
    const H = this.hidden_size
    const states = new Float64Array(B * E * H)
    for (let b = 0; b < B; b++) {
      const mean = this.mean(inputs_embeds, attention_mask, b, E)
      for (let q = 0; q < E; q++) {
        for (let h = 0; h < H; h++) {
          const i = (b * E + q) * H + h
          states[i] = Math.tanh(2 * (inputs_embeds[i] ?? NaN) + (mean[h] ?? NaN))
        }
      }
    }
    return states
  }

  /** Over the positions of row b that are not masked, [H]. */
  private mean(values: ArrayLike<number>, mask: Int32Array, b: number, E: number): Float64Array {
    const H = this.hidden_size
    const positions = Array.from({ length: E }, (_, q) => q).filter((q) => mask[b * E + q] === 1)
    if (positions.length === 0) throw new RangeError(`row ${b} of the encoder is masked all over`)
    const mean = new Float64Array(H)
    for (const q of positions) {
      for (let h = 0; h < H; h++) mean[h] = (mean[h] ?? 0) + (values[(b * E + q) * H + h] ?? NaN) / positions.length
    }
    return mean
  }

  private at(batch: TokenBatch, { states, attention_mask, sequence_length: E }: Encoded, b: number, p: number) {
    const H = this.hidden_size
    const S = batch.sequence_length
    const pre = this.mean(states, attention_mask, b, E).map((x) => READ * x)
    for (let q = 0; q <= p; q++) {
      if (batch.attention_mask[b * S + q] !== 1) throw new RangeError(`row ${b} looks at the masked position ${q}`)
      const row = (b * S + q) * H
      addScaled(pre, 0, 1 / (p + 1) + (q === p ? 1 : 0), batch.inputs_embeds.subarray(row, row + H))
    }
    const state = pre.map(Math.tanh)
    return { state, logp: this.halves.decoder.logProbabilities(state) }
  }

  /** From d loss / d mean state [B,H] to d loss / d embeddings of the first P positions, [B,P,H]. */
  private encoderGradient(encoded: Encoded, dMean: Float64Array, B: number, P: number): Float64Array {
    const { states, attention_mask: mask, sequence_length: E } = encoded
    const H = this.hidden_size
    const d = new Float64Array(B * P * H)
    for (let b = 0; b < B; b++) {
      const length = mask.subarray(b * E, (b + 1) * E).reduce((sum, one) => sum + one, 0)
      const shared = new Float64Array(H)
      for (let q = 0; q < E; q++) {
        if (mask[b * E + q] !== 1) continue
        const dPre = Float64Array.from({ length: H }, (_, h) => {
          return ((dMean[b * H + h] ?? NaN) / length) * (1 - (states[(b * E + q) * H + h] ?? NaN) ** 2)
        })
        addScaled(shared, 0, 1 / length, dPre)
        if (q < P) addScaled(d, (b * P + q) * H, 2, dPre)
      }
      for (let q = 0; q < P; q++) if (mask[b * E + q] === 1) addScaled(d, (b * P + q) * H, 1, shared)
    }
    return d
  }
}
