/** A tokenizer of transformers.js as the tuning loop wants it: plain ids, and the special ones it needs said once. */
import type { PreTrainedTokenizer } from '@huggingface/transformers'
import { printable } from '../graph/printable'
import { ModelError } from './model-error'

export interface ModelTokenizer {
  /** @throws ModelError where the tokenizer has no ids for the text, or stumbles over it */
  encode(text: string, options: { readonly add_special_tokens: boolean }): readonly number[]
  decode(ids: readonly number[], options: { readonly skip_special_tokens: boolean }): string
  readonly eos_token_id: number
  readonly bos_token_id: number | null
  readonly pad_token_id: number | null
}

/** First of the values that is a token id; a list counts by its first id (generation_config.json may name several EOS tokens). */
function firstId(...values: unknown[]): number | null {
  for (const value of values) {
    const id: unknown = Array.isArray(value) ? value[0] : value
    if (typeof id === 'number' && Number.isSafeInteger(id) && id >= 0) return id
  }
  return null
}

/**
 * @param configs where to look for special token ids when the tokenizer does not name them, in order (config.json, ...)
 * @throws ModelError when the model has no end-of-text token: it would never know when its answer is over
 */
export function adaptTokenizer(
  tokenizer: PreTrainedTokenizer,
  configs: readonly Readonly<Record<string, unknown>>[],
): ModelTokenizer {
  const find = (name: string): number | null => {
    const named: unknown = Reflect.get(tokenizer, name)
    return firstId(named, ...configs.map((config) => config[name]))
  }
  const eos_token_id = find('eos_token_id')
  if (eos_token_id === null) {
    throw new ModelError(
      'unsupported',
      'the model has no end-of-text token (eos_token_id in config.json, or eos_token in tokenizer_config.json)',
      'A prompt could not learn where an answer ends. Pick another model, or add eos_token_id to its config.json.',
    )
  }
  return {
    encode: (text, options) => {
      const ids = named(text, () => tokenizer.encode(text, options))
      if (ids.every((id) => Number.isSafeInteger(id) && id >= 0)) return ids
      throw stumbled(text, 'it gives no token ids for some of it, and has no token for what it does not know')
    },
    decode: (ids, options) => (ids.length === 0 ? '' : named(`ids ${ids.join(' ')}`, () => tokenizer.decode([...ids], options))),
    eos_token_id,
    bos_token_id: find('bos_token_id'),
    pad_token_id: find('pad_token_id'),
  }
}

function named<T>(text: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw stumbled(text, error instanceof Error ? error.message : String(error), error)
  }
}

const stumbled = (text: string, why: string, cause?: unknown): ModelError =>
  new ModelError(
    'invalid',
    printable(`the model's tokenizer fails on ${JSON.stringify(text.slice(0, 40))}: ${why}`),
    'Its tokenizer.json is damaged or not of this model. Get it from the repository again, or pick another model.',
    { cause },
  )

/**
 * The token an encoder-decoder's decoder starts from, before anything is said.
 * @param configs in order: generation_config.json, config.json
 * @throws ModelError when they name none: a model of this kind can't be run then
 */
export function decoderStartTokenId(configs: readonly Readonly<Record<string, unknown>>[]): number {
  const id = firstId(...configs.map((config) => config.decoder_start_token_id), ...configs.map((config) => config.bos_token_id))
  if (id !== null) return id
  throw new ModelError(
    'unsupported',
    'the model does not say which token its decoder starts from (decoder_start_token_id in config.json or generation_config.json)',
    'Add decoder_start_token_id to its config.json, or pick another model.',
  )
}
