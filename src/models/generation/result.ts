/** What comes of generating: the answer, and how it ended. */

/** Names as TGIS has them. */
export const FINISH_REASONS = [
  /** The model ended its answer. */
  'EOS_TOKEN',
  /** max_new_tokens were said. */
  'MAX_TOKENS',
  /** Someone stopped it. */
  'CANCELLED',
  /** The text ends with one of stop_sequences. */
  'STOP_SEQUENCE',
  /** max_time was over. */
  'TIME_LIMIT',
  /** The model has no position left for another token. */
  'TOKEN_LIMIT',
] as const
export type FinishReason = (typeof FINISH_REASONS)[number]

export interface GenerationResult {
  /** As it was streamed, piece for piece. Begins with the input's text where preserve_input_text asks for it. */
  readonly text: string
  /** Generated ones only, the end-of-text token among them. */
  readonly tokens: number
  /** What the model read, without the virtual tokens. */
  readonly input_tokens: number
  readonly finish_reason: FinishReason
  /** The seed used. */
  readonly seed: number
  /** Time of generating, without that of loading the model. */
  readonly ms: number
}
