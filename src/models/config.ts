/** What config.json says that matters here: whether the model is of a kind that can be tuned, and how far it reaches. */
import * as v from 'valibot'
import { ModelError } from './model-error'

export interface ConfigSummary {
  readonly kind: 'causal-lm' | 'seq2seq'
  /** The class of HF transformers it was exported from, or its model_type. */
  readonly architecture: string
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
    throw new ModelError(
      'unsupported',
      `${id} is an encoder-decoder (${architecture}); only causal language models can be tuned so far`,
      'Pick a causal model: GPT-2, Llama, Qwen, GPT-NeoX and their like.',
    )
  }
  if (architectures?.[0] !== undefined && !/(ForCausalLM|LMHeadModel)$/.test(architecture)) {
    throw new ModelError(
      'unsupported',
      `${id} is a ${architecture}, not a causal language model`,
      'Prompts can be tuned for models that generate text: those whose architecture ends with ForCausalLM or LMHeadModel.',
    )
  }
  const max_positions = limits.max_position_embeddings ?? limits.n_positions ?? limits.n_ctx ?? limits.max_seq_len ?? null
  return { kind: 'causal-lm', architecture, max_positions }
}
