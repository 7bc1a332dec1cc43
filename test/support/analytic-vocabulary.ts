/** What the hand-differentiable models share: a table of embeddings, and a random matrix from states to logits with its softmax, in float64. */
import { Random } from '../../src/tuning/random'

export interface AnalyticOptions {
  readonly vocab_size: number
  readonly hidden_size: number
  readonly max_positions?: number | null
  readonly embedding_std?: number
  readonly seed?: number
}

export class AnalyticVocabulary {
  readonly vocab_size: number
  readonly hidden_size: number
  readonly embedding_std: number
  private readonly table: Float32Array
  private readonly head: Float64Array

  constructor({ vocab_size, hidden_size, embedding_std = 0.1, seed = 1 }: AnalyticOptions, stream: string) {
    this.vocab_size = vocab_size
    this.hidden_size = hidden_size
    this.embedding_std = embedding_std
    const random = new Random(seed, stream)
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

  /** log softmax of the logits, [V]. */
  logProbabilities(state: Float64Array): Float64Array {
    const logits = Float64Array.from({ length: this.vocab_size }, (_, t) =>
      state.reduce((sum, x, h) => sum + x * (this.head[t * this.hidden_size + h] ?? 0), 0),
    )
    const most = logits.reduce((a, x) => Math.max(a, x), -Infinity)
    const log = most + Math.log(logits.reduce((sum, x) => sum + Math.exp(x - most), 0))
    return logits.map((x) => x - log)
  }

  /** d (-weight log p[id]) / d state, [H]. */
  gradient(logp: Float64Array, id: number, weight: number): Float64Array {
    const H = this.hidden_size
    const d = new Float64Array(H)
    for (let t = 0; t < this.vocab_size; t++) {
      const dLogit = weight * (Math.exp(logp[t] ?? NaN) - (t === id ? 1 : 0))
      for (let h = 0; h < H; h++) d[h] = (d[h] ?? 0) + dLogit * (this.head[t * H + h] ?? 0)
    }
    return d
  }
}

/** The likeliest of them. */
export const likeliest = (logp: Float64Array): number =>
  logp.reduce((best, value, id) => (value > (logp[best] ?? 0) ? id : best), 0)

/** into[at ..] += factor * values. */
export function addScaled(into: Float64Array, at: number, factor: number, values: ArrayLike<number>): void {
  for (let h = 0; h < values.length; h++) into[at + h] = (into[at + h] ?? 0) + factor * (values[h] ?? NaN)
}
