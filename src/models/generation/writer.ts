/**
 * An answer's tokens as text that grows: each token is decoded together with those before it, what can still change is held back, and a stop
 * sequence ends it. What it gave out in pieces is the text, to the letter.
 *
 * Stop sequences are looked for in the decoded text, so one may begin and end inside tokens; never in the text of the input, and never among
 * token ids (where one text may be written in many ways). Special tokens are not part of the text.
 */

export interface WriterOptions {
  readonly decode: (ids: readonly number[]) => string
  /** Tokens of the input, where the text is to begin with it; else none. */
  readonly input_ids: readonly number[]
  readonly stop_sequences: readonly string[]
  /** Before so many tokens, stop sequences stop nothing. */
  readonly min_new_tokens: number
}

/**
 * The end of a text that further tokens may change: a character whose bytes are not all there, and the beginnings of what decoders tidy up
 * (" ." becomes ".", " n't" "n't", ...; clean_up_tokenization in @huggingface/tokenizers).
 */
const UNSETTLED = /(\uFFFD+| '?| n'?| '[vr])$/

export class AnswerWriter {
  private readonly ids: number[] = []
  /** Length of the input's part of the text. */
  private readonly start: number
  private full = ''
  private given = ''

  constructor(private readonly options: WriterOptions) {
    this.start = options.input_ids.length === 0 ? 0 : options.decode(options.input_ids).length
  }

  /** All pieces given out so far. */
  get text(): string {
    return this.given
  }

  /**
   * Adds a token.
   * @returns the next piece of the text, often empty; and whether a stop sequence ends it: then the piece ends with the sequence
   */
  add(id: number): { readonly piece: string; readonly stopped: boolean } {
    this.ids.push(id)
    const before = this.full
    this.full = this.options.decode([...this.options.input_ids, ...this.ids])
    const end = this.ids.length < this.options.min_new_tokens ? null : this.stopEnd(sharedLength(before, this.full))
    if (end !== null) {
      this.full = this.full.slice(0, end)
      return { piece: this.give(end), stopped: true }
    }
    return { piece: this.give(this.full.length - (UNSETTLED.exec(this.full)?.[0].length ?? 0)), stopped: false }
  }

  /** Nothing more comes: the piece that was held back. */
  end(): string {
    return this.give(this.full.length)
  }

  private give(until: number): string {
    const piece = this.full.slice(this.given.length, until)
    this.given += piece
    return piece
  }

  /** Where the first stop sequence ends that the last token completed, `before` being the text it left as it was; null for none. */
  private stopEnd(before: number): number | null {
    const ends = this.options.stop_sequences.flatMap((sequence) => {
      // It ends in the new text; what ended before was looked at then, or came too early to count.
      const at = this.full.indexOf(sequence, Math.max(this.start, before - sequence.length + 1))
      return at < 0 ? [] : [at + sequence.length]
    })
    return ends.length === 0 ? null : Math.min(...ends)
  }
}

/** How far two texts are the same. */
function sharedLength(a: string, b: string): number {
  let length = 0
  while (length < a.length && a[length] === b[length]) length++
  return length
}
