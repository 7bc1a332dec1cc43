/** What config.json says that matters here: whether the model is of a kind that can be tuned, and how far it reaches. */
import * as v from 'valibot'
import { ModelError } from './model-error'

export type ModelKind = 'causal-lm' | 'seq2seq'

/**
 * Encoder-decoders of text that transformers.js runs (MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES in its models/registry.js). The value says
 * whether positions are absolute: T5's are relative, so no length is too long for it, whatever n_positions says.
 */
const SEQ2SEQ_TYPES: ReadonlyMap<string, 'relative' | 'absolute'> = new Map([
  ['t5', 'relative'],
  ['mt5', 'relative'],
  ['longt5', 'relative'],
  ['bart', 'absolute'],
  ['mbart', 'absolute'],
  ['marian', 'absolute'],
  ['m2m_100', 'absolute'],
  ['blenderbot', 'absolute'],
  ['blenderbot-small', 'absolute'],
])

export interface ConfigSummary {
  readonly kind: ModelKind
  /** The class of HF transformers it was exported from, or its model_type. */
  readonly architecture: string
  /** Most positions of a sequence; of an encoder-decoder, of each half. null: no limit, or none said. */
  readonly max_positions: number | null
}

const positive = v.fallback(v.optional(v.pipe(v.number(), v.integer(), v.minValue(1))), undefined)
const ConfigSchema = v.looseObject({
  model_type: v.pipe(v.string(), v.minLength(1)),
  architectures: v.fallback(v.optional(v.nullable(v.array(v.string()))), null),
  is_encoder_decoder: v.fallback(v.optional(v.boolean()), false),
  max_position_embeddings: positive,
  n_positions: positive,
  n_ctx: positive,
  max_seq_len: positive,
})

/** @throws ModelError when it is no language model that can be tuned */
export function describeConfig(id: string, config: unknown): ConfigSummary {
  const parsed = v.safeParse(ConfigSchema, config)
  if (!parsed.success) {
    throw new ModelError(
      'unsupported',
      `${id}: config.json names no model_type`,
      'It is not a model of HF transformers. Pick another.',
    )
  }
  const { model_type, architectures, is_encoder_decoder, ...limits } = parsed.output
  const architecture = architectures?.[0] ?? model_type
  if (is_encoder_decoder === true) {
    const positions = SEQ2SEQ_TYPES.get(model_type)
    const generates = architectures?.[0] === undefined || /(ForConditionalGeneration|MTModel|WithLMHeadModel)$/.test(architecture)
    if (positions === undefined || !generates) {
      throw new ModelError(
        'unsupported',
        `${id} is an encoder-decoder of another kind (${architecture}) than those that can be tuned`,
        `Pick a model that turns text into text: ${[...SEQ2SEQ_TYPES.keys()].join(', ')}; or a causal one.`,
      )
    }
    return {
      kind: 'seq2seq',
      architecture,
      max_positions: positions === 'relative' ? null : (limits.max_position_embeddings ?? null),
    }
  }
  if (architectures?.[0] !== undefined && !/(ForCausalLM|LMHeadModel)$/.test(architecture)) {
    throw new ModelError(
      'unsupported',
      `${id} is a ${architecture}, not a language model that generates text`,
      'Prompts can be tuned for causal models (whose architecture ends with ForCausalLM or LMHeadModel), and for encoder-decoders like T5 and BART.',
    )
  }
  const max_positions = limits.max_position_embeddings ?? limits.n_positions ?? limits.n_ctx ?? limits.max_seq_len ?? null
  return { kind: 'causal-lm', architecture, max_positions }
}
