/** A tokenizer of single characters, for tests of the tuning loop: 0 is BOS, 1 is EOS, then printable ASCII; anything else is one unknown id. */
import type { Tokenizer } from '../../src/tuning/tokenizer'

const FIRST = 2
const PRINTABLE = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join('')

export const CHAR_VOCAB = FIRST + PRINTABLE.length + 1
const UNKNOWN = CHAR_VOCAB - 1

export function charTokenizer(add_bos = false): Tokenizer {
  return {
    eos_token_id: 1,
    bos_token_id: add_bos ? 0 : null,
    pad_token_id: null,
    decoder_start_token_id: null,
    encode(text, { add_special_tokens }) {
      const ids = [...text].map((c) => (PRINTABLE.includes(c) ? FIRST + PRINTABLE.indexOf(c) : UNKNOWN))
      return add_bos && add_special_tokens ? [0, ...ids] : ids
    },
    decode(ids, { skip_special_tokens }) {
      return ids.map((id) => (id < FIRST ? (skip_special_tokens ? '' : `<${id}>`) : (PRINTABLE[id - FIRST] ?? '?'))).join('')
    },
  }
}

/** T5's manners: EOS behind every text that is encoded with special tokens, and a start token (0) for the decoder. */
export function seq2seqTokenizer(): Tokenizer {
  const plain = charTokenizer()
  return {
    ...plain,
    pad_token_id: 0,
    decoder_start_token_id: 0,
    encode: (text, options) => [...plain.encode(text, options), ...(options.add_special_tokens ? [plain.eos_token_id] : [])],
  }
}
