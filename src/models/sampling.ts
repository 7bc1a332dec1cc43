/**
 * What transformers.js accepts as settings of generate() but does not do, as logits processors that go into its own generate(): nucleus and
 * typical sampling, the exponential length penalty, and a forced first token behind a decoder's prompt. Temperature, top_k by itself,
 * repetition_penalty and min_new_tokens it does.
 */
import { LogitsProcessor, LogitsProcessorList, type Tensor } from '@huggingface/transformers'
import type { GenerationParameters } from './generation/parameters'

/** Token ids, likeliest first; equals in their own order. */
const byLikelihood = (logits: Float32Array): Uint32Array =>
  Uint32Array.from(logits.keys()).sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0) || a - b)

/**
 * Keeps the smallest set of likeliest tokens whose probabilities sum to at least `top_p`, among the `top_k` likeliest (0: all), and sets
 * every other logit to -Infinity (Holtzman et al. 2020, https://arxiv.org/abs/1904.09751). Changes `logits` in place. At least one is kept.
 */
export function keepNucleus(logits: Float32Array, top_k: number, top_p: number): void {
  const order = byLikelihood(logits)
  const candidates = top_k > 0 ? Math.min(top_k, order.length) : order.length
  const largest = logits[order[0] ?? 0] ?? 0
  const weight = (rank: number): number => Math.exp((logits[order[rank] ?? 0] ?? -Infinity) - largest)
  let total = 0
  for (let rank = 0; rank < candidates; rank++) total += weight(rank)
  let kept = 0
  for (let sum = 0; kept < candidates && (kept === 0 || sum < top_p * total); kept++) sum += weight(kept)
  for (let rank = kept; rank < order.length; rank++) logits[order[rank] ?? 0] = -Infinity
}

/**
 * Keeps the tokens whose information is nearest to the distribution's entropy, as many as it takes for their probabilities to sum to at least
 * `typical_p`, with all that are as near as the last of them (Meister et al. 2023, https://arxiv.org/abs/2202.00666; HF's
 * TypicalLogitsWarper). Changes `logits` in place. Tokens at -Infinity are out already; at least one of the others is kept.
 */
export function keepTypical(logits: Float32Array, typical_p: number): void {
  const largest = logits.reduce((most, logit) => Math.max(most, logit), -Infinity)
  const total = logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0)
  const information = Float64Array.from(logits, (logit) => Math.log(total) + largest - logit)
  const probability = information.map((bits) => Math.exp(-bits))
  const entropy = probability.reduce((sum, p, i) => (p > 0 ? sum + p * (information[i] ?? 0) : sum), 0)
  const distance = information.map((bits) => Math.abs(bits - entropy))
  const order = Uint32Array.from(distance.keys()).sort((a, b) => (distance[a] ?? 0) - (distance[b] ?? 0) || a - b)
  let last = 0
  for (let sum = probability[order[0] ?? 0] ?? 0; sum < typical_p && last + 1 < order.length;) {
    sum += probability[order[++last] ?? 0] ?? 0
  }
  const farthest = distance[order[last] ?? 0] ?? 0
  for (const i of logits.keys()) if ((distance[i] ?? 0) > farthest) logits[i] = -Infinity
}

/**
 * Makes ending likelier: adds |logit| * (decay_factor ^ over - 1) to the logits of `eos_ids`, where `over` counts the tokens said beyond
 * `start_index` (HF's ExponentialDecayLengthPenalty). Linear in the logits, so it may come before or after the temperature.
 */
export function favourEnd(
  logits: Float32Array,
  said: number,
  eos_ids: readonly number[],
  { start_index, decay_factor }: { readonly start_index: number; readonly decay_factor: number },
): void {
  if (said <= start_index) return
  const growth = decay_factor ** (said - start_index) - 1
  for (const id of eos_ids) {
    const logit = logits[id]
    // Forbidden stays forbidden.
    if (logit !== undefined && logit !== -Infinity) logits[id] = logit + Math.abs(logit) * growth
  }
}

/** Leaves only token `id`. */
export function forceToken(logits: Float32Array, id: number): void {
  logits.fill(-Infinity)
  logits[id] = 0
}

/** A change of one sequence's logits in place; `fed` is how many tokens the sequence has, virtual ones included. */
export type LogitsChange = (logits: Float32Array, fed: number) => void

/** A LogitsChange as generate() calls it. */
class ChangeProcessor extends LogitsProcessor {
  constructor(private readonly change: LogitsChange) {
    super()
  }

  /** `logits` is [batch, vocabulary]. */
  override _call(input_ids: bigint[][], logits: Tensor): Tensor {
    const vocab_size = logits.dims.at(-1) ?? 0
    const data: unknown = logits.data
    if (data instanceof Float32Array) {
      input_ids.forEach((ids, row) => this.change(data.subarray(row * vocab_size, (row + 1) * vocab_size), ids.length))
    }
    return logits
  }
}

export interface Decoding {
  readonly parameters: GenerationParameters
  readonly eos_ids: readonly number[]
  /** Tokens the sequence that is continued has before anything is said, virtual ones included. */
  readonly fed: number
  /** The token that comes first whatever the logits say (forced_bos_token_id of translation models); null for none. */
  readonly forced_first: number | null
}

/** What is to be changed beyond transformers.js' own processors, which come before these. */
export function logitsChanges({ parameters, eos_ids, fed, forced_first }: Decoding): LogitsChange[] {
  const { decoding_method, top_k, top_p, typical_p, exponential_decay_length_penalty: penalty } = parameters
  const changes: LogitsChange[] = []
  if (penalty !== null) changes.push((logits, length) => favourEnd(logits, length - fed, eos_ids, penalty))
  if (decoding_method === 'SAMPLING') {
    // transformers.js draws among the top_k by itself, but typical_p is a share of what top_k leaves.
    if (top_p < 1 || (typical_p < 1 && top_k > 0)) changes.push((logits) => keepNucleus(logits, top_k, top_p))
    if (typical_p < 1) changes.push((logits) => keepTypical(logits, typical_p))
  }
  if (forced_first !== null) {
    changes.push((logits, length) => {
      if (length === fed) forceToken(logits, forced_first)
    })
  }
  return changes
}

export function processors(changes: readonly LogitsChange[]): LogitsProcessorList {
  const list = new LogitsProcessorList()
  for (const change of changes) list.push(new ChangeProcessor(change))
  return list
}
