/** What the tuning loop needs of a tokenizer. The worker adapts transformers.js' own to it; nothing here knows how text becomes tokens. */
export interface Tokenizer {
  /** `add_special_tokens` true: with whatever the model expects around a text (a BOS in front for Llama-like models, nothing for GPT-2). */
  encode(text: string, options: { readonly add_special_tokens: boolean }): readonly number[]
  decode(ids: readonly number[], options: { readonly skip_special_tokens: boolean }): string
  /** Ends every target. A model without one can't be tuned (it would never stop). */
  readonly eos_token_id: number
  readonly bos_token_id: number | null
  readonly pad_token_id: number | null
  /** What the decoder of an encoder-decoder reads before its first token; null for others. */
  readonly decoder_start_token_id: number | null
}
