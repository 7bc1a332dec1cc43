/** The virtual tokens before training: RANDOM, TEXT or SAMPLE_VOCAB, as PEFT's tuners/prompt_tuning/model.py makes them. */
import type { FrozenModel } from '../engine/frozen-model'
import type { TuningConfig } from '../job/parameters'
import { TuningError } from './errors'
import { Random } from './random'
import type { Tokenizer } from './tokenizer'

/** `ids` repeated as often as needed and cut to `n`. */
export const tiled = (ids: readonly number[], n: number): number[] =>
  Array.from({ length: n }, (_, i) => ids[i % ids.length] ?? 0)

/**
 * @returns [num_virtual_tokens, hidden_size], row-major. RANDOM is N(0, std of the table) or N(0, 1) by random_scale; TEXT tiles or cuts the
 * text's tokens (special ones included, as PEFT does); SAMPLE_VOCAB draws tokens uniformly, with replacement, from the whole table.
 * @throws TuningError when TEXT has no tokens.
 */
export function initialPrompt(config: TuningConfig, seed: number, model: FrozenModel, tokenizer: Tokenizer): Float32Array {
  const n = config.num_virtual_tokens
  const random = new Random(seed, 'prompt')
  switch (config.prompt_tuning_init_method) {
    case 'RANDOM': {
      const std = config.random_scale === 'unit' ? 1 : model.embedding_std
      return Float32Array.from({ length: n * model.hidden_size }, () => std * random.normal())
    }
    case 'TEXT': {
      const ids = tokenizer.encode(config.prompt_tuning_init_text, { add_special_tokens: true })
      if (ids.length === 0)
        throw new TuningError(
          'tuning_config.prompt_tuning_init_text has no tokens.',
          'Give a text the model can read, or start from RANDOM.',
        )
      return model.embed(tiled(ids, n)).slice()
    }
    case 'SAMPLE_VOCAB':
      return model.embed(Array.from({ length: n }, () => random.below(model.vocab_size))).slice()
    default:
      // CLASS_LABELS needs the examples' outputs and the source methods a prompt of the library; neither reaches this function yet.
      throw new TuningError(
        `tuning_config.prompt_tuning_init_method "${config.prompt_tuning_init_method}" can't be used yet.`,
        'Start from RANDOM, TEXT or SAMPLE_VOCAB.',
      )
  }
}
