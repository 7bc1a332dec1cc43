/** A tokenizer of words w0, w1, ... for models of any small vocabulary: a word's number is its id, but for the special tokens of the config. */
import * as v from 'valibot'

const id = v.fallback(v.nullish(v.pipe(v.number(), v.safeInteger(), v.minValue(0)), null), null)
const ConfigSchema = v.object({ vocab_size: v.number(), bos_token_id: id, eos_token_id: id, pad_token_id: id })

const SPECIAL = { '<s>': 'bos_token_id', '</s>': 'eos_token_id', '<pad>': 'pad_token_id' } as const

/** tokenizer.json and tokenizer_config.json. An encoder-decoder's puts EOS behind every text, as theirs do. */
export function wordTokenizer(
  json: unknown,
  kind: 'causal-lm' | 'seq2seq',
): { readonly tokenizer: object; readonly tokenizer_config: object } {
  const config = v.parse(ConfigSchema, json)
  const names = new Map<number, string>()
  for (const [content, key] of Object.entries(SPECIAL)) {
    const at = config[key]
    if (at !== null && !names.has(at)) names.set(at, content)
  }
  const words = Array.from({ length: config.vocab_size }, (_, i) => names.get(i) ?? `w${i}`)
  const eos = names.get(config.eos_token_id ?? -1)
  if (eos === undefined) throw new Error('the config names no eos_token_id')
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true }
  const template = {
    type: 'TemplateProcessing',
    single: [{ Sequence: { id: 'A', type_id: 0 } }, { SpecialToken: { id: eos, type_id: 0 } }],
    pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 0 } }],
    special_tokens: { [eos]: { id: eos, ids: [config.eos_token_id], tokens: [eos] } },
  }
  return {
    tokenizer: {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: [...names].map(([at, content]) => ({ id: at, content, ...flags })),
      normalizer: null,
      pre_tokenizer: { type: 'WhitespaceSplit' },
      post_processor: kind === 'seq2seq' ? template : null,
      decoder: null,
      model: { type: 'WordLevel', vocab: Object.fromEntries(words.map((word, i) => [word, i])), unk_token: words[3] },
    },
    tokenizer_config: { tokenizer_class: 'PreTrainedTokenizerFast', eos_token: eos, clean_up_tokenization_spaces: false },
  }
}
