/**
 * Kinds of models that can't be tuned here, told from config.json alone, so that a user knows before anything large is fetched. It says what a
 * model is; what a graph holds is looked at later (graph/coverage.ts).
 */
import * as v from 'valibot'

const count = v.fallback(v.optional(v.nullable(v.number())), null)

/** The fields by which HF configs of these kinds differ from plain transformers. */
const KindSchema = v.looseObject({
  model_type: v.string(),
  num_local_experts: count,
  num_experts: count,
  n_routed_experts: count,
  moe_num_experts: count,
  layer_types: v.fallback(v.optional(v.nullable(v.array(v.string()))), null),
})

/** Layer types by what they are, as HF configs name them in `layer_types`. */
const LAYER_KINDS: readonly (readonly [RegExp, string])[] = [
  [/mamba|ssm/, 'a state-space model (Mamba), whose layers are recurrences'],
  [/^linear_attention$/, 'a model with linear attention, whose layers are recurrences'],
  [/^conv$/, 'a model with convolution layers (LFM2)'],
]

/** Model types whose configs do not say it in other fields. */
const TYPE_KINDS: readonly (readonly [RegExp, string])[] = [
  [/moe|^mixtral|^dbrx|^gpt_oss|^jetmoe|^solar_open/, 'a mixture of experts'],
  [/mamba|^falcon_h1|^nemotron_h|^bamba|^zamba|^jamba/, 'a state-space model (Mamba), whose layers are recurrences'],
  [/^rwkv|^xlstm|^recurrent_gemma/, 'a recurrent model'],
  [/^qwen3_next|^qwen3_5|^olmo_hybrid|^kimi_linear|^retnet/, 'a model with linear attention, whose layers are recurrences'],
  [/^lfm2/, 'a model with convolution layers (LFM2)'],
]

/** Parts of a config that only models of other media have. */
const MEDIA: readonly (readonly [string, string])[] = [
  ['vision_config', 'a vision model, which reads images besides text'],
  ['img_processor', 'a vision model, which reads images besides text'],
  ['audio_config', 'an audio model, which reads sound besides text'],
  ['audio_encoder', 'an audio model, which reads sound besides text'],
  ['num_mel_bins', 'a speech model'],
]

/** Why a model of this config can't be tuned, as "a mixture of experts (num_experts 8)"; null where its config gives no reason. */
export function kindRefusal(config: unknown): string | null {
  const parsed = v.safeParse(KindSchema, config)
  if (!parsed.success) return null
  const { model_type, layer_types, num_local_experts, num_experts, n_routed_experts, moe_num_experts } = parsed.output
  const medium = MEDIA.find(([field]) => isObject(parsed.output[field]) || typeof parsed.output[field] === 'number')
  if (medium) return `${medium[1]} (its config has ${medium[0]})`
  const experts = Object.entries({ num_local_experts, num_experts, n_routed_experts, moe_num_experts })
  const many = experts.find(([, value]) => typeof value === 'number' && value > 1)
  if (many) return `a mixture of experts (${many[0]} ${many[1]})`
  for (const layer of layer_types ?? []) {
    const kind = LAYER_KINDS.find(([pattern]) => pattern.test(layer))
    if (kind) return `${kind[1]} (layer type ${layer.slice(0, 40)})`
  }
  const type = TYPE_KINDS.find(([pattern]) => pattern.test(model_type))
  return type ? `${type[1]} (model type ${model_type.slice(0, 40)})` : null
}

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null
