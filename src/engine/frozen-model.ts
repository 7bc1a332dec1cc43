/**
 * The one interface the tuning loop needs of a model: embed, encode, loss and gradient, score. A batch goes down once, a loss
 * and gradients come back once. The weights never change. It knows nothing of optimizers, records or verbalizers.
 *
 * A model has a stack that makes the logits (all of a causal model; the decoder of an encoder-decoder) and may have an encoder in front,
 * whose states that stack reads. Batches are right-padded: B rows, S positions of the stack, E of the encoder, H hidden size, W width of
 * the encoder's states, L label slots a row. All arrays row-major.
 */
import type { Counters, Device } from './engine'
import type { MemoryEstimate, StepShape } from './memory'

/** Which of a model's token embeddings. */
export type Stack = 'encoder' | 'decoder'

/** What an encoder reads. */
export interface EncoderEmbeds {
  readonly kind: 'embeds'
  readonly sequence_length: number
  /** [B,E]: 1 over virtual tokens and text, 0 over padding. */
  readonly attention_mask: Int32Array
  /** [B,E,H]: virtual tokens, then the text's embeddings, then anything at all over the padding. */
  readonly inputs_embeds: Float32Array
}

/** What an encoder computed of it, kept for when it is asked again. */
export interface EncoderStates {
  readonly kind: 'states'
  readonly sequence_length: number
  readonly attention_mask: Int32Array
  /** [B,E,W]. */
  readonly hidden_states: Float32Array
}

export interface TokenBatch {
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
  /** null: a causal model, which has none. */
  readonly encoder: EncoderEmbeds | EncoderStates | null
}

/** First positions of every row whose gradient is wanted (the virtual tokens); 0: none. The encoder's needs its embeddings, not its states. */
export interface GradientLengths {
  readonly decoder: number
  readonly encoder: number
}

export interface LossAndGradient {
  /** sum of label_weights * cross-entropy. */
  readonly loss: number
  /** [B, lengths.decoder, H]: d loss / d inputs_embeds over the first positions of every row. */
  readonly d_inputs_embeds: Float32Array
  /** [B, lengths.encoder, H]: d loss / d encoder.inputs_embeds likewise. */
  readonly d_encoder_inputs_embeds: Float32Array
}

export interface Scores {
  /** [B,L]: log probability of each label. */
  readonly log_probabilities: Float32Array
  /** [B,L]: the most likely token there (teacher forced: equal to the labels in all slots exactly where greedy decoding gives them). */
  readonly greedy_ids: Int32Array
}

export interface FrozenModel {
  readonly kind: 'causal-lm' | 'seq2seq'
  readonly device: Device
  readonly hidden_size: number
  /** Rows of the embedding table; the least of both where encoder and decoder have their own. */
  readonly vocab_size: number
  /** Positions the model has, where its file or config says; virtual tokens count. Of an encoder-decoder: in either stack. */
  readonly max_positions: number | null
  /** Whether activations are rounded to 8 bits with one scale for a whole batch: then rows of a batch, and its padding, touch each other. */
  readonly rounds_activations: boolean
  /** Whether every shape of batch costs a copy of large weights: then one shape for all is best. */
  readonly single_shape: boolean
  /** Standard deviation of the embedding table's entries (an encoder-decoder's: of the encoder's). */
  readonly embedding_std: number
  /** Rows of a stack's embedding table as the graph looks them up (before any scaling inside the model). [ids.length, H]. */
  embed(ids: ArrayLike<number>, stack: Stack): Float32Array
  /** The encoder's states, [B,E,W]. @throws EngineError on a causal model */
  encode(input: EncoderEmbeds, batch_size: number): Promise<Float32Array>
  /** At least one of the lengths is above 0. */
  lossAndGradient(batch: TokenBatch, lengths: GradientLengths): Promise<LossAndGradient>
  score(batch: TokenBatch): Promise<Scores>
  /**
   * What a training step of this shape needs, and whether the device has it; runs nothing. null: a model that does not know.
   * @throws EngineError, GraphError for a shape the model can't have
   */
  memory(shape: StepShape): MemoryEstimate | null
  counters(): Counters
  dispose(): Promise<void>
}
