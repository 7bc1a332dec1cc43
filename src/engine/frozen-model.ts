/**
 * The one interface the tuning loop needs of a model: embed, loss and gradient, score. A batch goes down once, a loss
 * and a gradient come back once. The weights never change. It knows nothing of optimizers, records or verbalizers.
 */
import type { Counters, Device } from './engine'

/**
 * A right-padded batch for a causal language model, `P text PAD` already assembled. B rows, S positions, H hidden size, L label
 * slots a row. All arrays row-major.
 */
export interface CausalBatch {
  readonly batch_size: number
  readonly sequence_length: number
  readonly label_length: number
  /** [B,S,H]: virtual tokens, then the text's embeddings, then anything at all over the padding. */
  readonly inputs_embeds: Float32Array
  /** [B,S]: 1 over virtual tokens and text, 0 over padding. */
  readonly attention_mask: Int32Array
  /** [B,L]: the position whose logits predict the label, i.e. one before the label's own position. 0 in unused slots. */
  readonly label_positions: Int32Array
  /** [B,L]: the token to predict. 0 in unused slots. */
  readonly label_ids: Int32Array
  /** [B,L]: weight of each label in the loss (1 / labels in the step for a token mean); 0 in unused slots. */
  readonly label_weights: Float32Array
}

export interface LossAndGradient {
  /** sum of label_weights * cross-entropy. */
  readonly loss: number
  /** [B, gradient_length, H]: d loss / d inputs_embeds over the first positions of every row. */
  readonly d_inputs_embeds: Float32Array
}

export interface Scores {
  /** [B,L]: log probability of each label. */
  readonly log_probabilities: Float32Array
  /** [B,L]: the most likely token there (teacher forced: equal to the labels in all slots exactly where greedy decoding gives them). */
  readonly greedy_ids: Int32Array
}

export interface FrozenModel {
  readonly device: Device
  readonly hidden_size: number
  /** Rows of the embedding table. */
  readonly vocab_size: number
  /** Positions the model has, where its file or config says; virtual tokens count. */
  readonly max_positions: number | null
  /** Standard deviation of the embedding table's entries. */
  readonly embedding_std: number
  /** Rows of the embedding table as the graph looks them up (before any scaling inside the model). [ids.length, H]. */
  embed(ids: ArrayLike<number>): Float32Array
  /** Gradient over the first `gradient_length` positions (the virtual tokens). */
  lossAndGradient(batch: CausalBatch, gradient_length: number): Promise<LossAndGradient>
  score(batch: CausalBatch): Promise<Scores>
  counters(): Counters
  dispose(): Promise<void>
}
