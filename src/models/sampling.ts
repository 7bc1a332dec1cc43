/** Sampling settings, and nucleus sampling, which transformers.js accepts as a setting but does not do: a processor that goes into its own generate(). */
import { LogitsProcessor, type Tensor } from '@huggingface/transformers'

/** How the next token is picked, and how many at most. */
export interface Sampling {
  readonly max_new_tokens: number
  /** false: greedy; the rest is then ignored but repetition_penalty. */
  readonly do_sample: boolean
  readonly temperature: number
  /** 0: all tokens. */
  readonly top_k: number
  readonly top_p: number
  readonly repetition_penalty: number
  readonly seed: number
}

/**
 * Keeps the smallest set of likeliest tokens whose probabilities sum to at least `top_p`, among the `top_k` likeliest (0: all), and sets
 * every other logit to -Infinity (Holtzman et al. 2020, https://arxiv.org/abs/1904.09751). Changes `logits` in place. At least one is kept.
 */
export function keepNucleus(logits: Float32Array, top_k: number, top_p: number): void {
  const order = Uint32Array.from(logits.keys()).sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0) || a - b)
  const candidates = top_k > 0 ? Math.min(top_k, order.length) : order.length
  const largest = logits[order[0] ?? 0] ?? 0
  const weight = (rank: number): number => Math.exp((logits[order[rank] ?? 0] ?? -Infinity) - largest)
  let total = 0
  for (let rank = 0; rank < candidates; rank++) total += weight(rank)
  let kept = 0
  for (let sum = 0; kept < candidates && (kept === 0 || sum < top_p * total); kept++) sum += weight(kept)
  for (let rank = kept; rank < order.length; rank++) logits[order[rank] ?? 0] = -Infinity
}

export class NucleusProcessor extends LogitsProcessor {
  constructor(
    private readonly top_k: number,
    private readonly top_p: number,
  ) {
    super()
  }

  /** Called by generate() through the list it is in; `logits` is [batch, vocabulary]. */
  override _call(_input_ids: bigint[][], logits: Tensor): Tensor {
    const vocab_size = logits.dims.at(-1) ?? 0
    const data: unknown = logits.data
    if (data instanceof Float32Array) {
      for (let at = 0; at < data.length; at += vocab_size) keepNucleus(data.subarray(at, at + vocab_size), this.top_k, this.top_p)
    }
    return logits
  }
}
