/** What config.json says that matters here: whether the model is of a kind that can be tuned, and how far it reaches. */
import { AutoModelForCausalLM, AutoModelForSeq2SeqLM } from '@huggingface/transformers'
import * as v from 'valibot'
import { ModelError } from './model-error'
import { kindRefusal } from './refusals'

export type ModelKind = 'causal-lm' | 'seq2seq'

/**
 * Encoder-decoders whose positions are relative, so that no length is too long for them, whatever n_positions says. Those of all others are
 * absolute.
 */
const RELATIVE_POSITIONS: ReadonlySet<string> = new Set(['t5', 'mt5', 'longt5', 'umt5'])

/**
 * Model types transformers.js has no class for, and the type whose class runs their exports: the same files, inputs, cache and names in
 * config.json, so that only the name differs.
 */
const RUN_AS: ReadonlyMap<string, { readonly model_type: string; readonly architecture: string }> = new Map([
  ['pegasus', { model_type: 'bart', architecture: 'BartForConditionalGeneration' }],
  ['plbart', { model_type: 'bart', architecture: 'BartForConditionalGeneration' }],
  ['umt5', { model_type: 'mt5', architecture: 'MT5ForConditionalGeneration' }],
])

/** The model_type under which transformers.js runs a model: its own, or that of one that is run the same way. */
export const runAs = (model_type: string): string => RUN_AS.get(model_type)?.model_type ?? model_type

/** What of config.json has to say otherwise for that; null where nothing has to. */
export function runAsConfig(model_type: string): { readonly model_type: string; readonly architectures: string[] } | null {
  const other = RUN_AS.get(model_type)
  return other ? { model_type: other.model_type, architectures: [other.architecture] } : null
}

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
  const refusal = kindRefusal(config)
  if (refusal !== null) {
    throw new ModelError(
      'unsupported',
      `${id} (${architecture}) can't be tuned: it is ${refusal}`,
      'Pick a plain text model: a causal one like GPT-2 or Llama, or an encoder-decoder like T5 and BART.',
    )
  }
  const kind = is_encoder_decoder === true ? seq2seqKind(id, model_type, architectures) : causalKind(id, architectures)
  const library = kind === 'seq2seq' ? AutoModelForSeq2SeqLM : AutoModelForCausalLM
  if (!library.supports(runAs(model_type))) {
    throw new ModelError(
      'unsupported',
      `${id} can't be run here: transformers.js has no class for model type ${model_type} (${architecture})`,
      'A prompt tuned for it could not be tried or deployed. Pick a model of another family.',
    )
  }
  if (kind === 'seq2seq') {
    const relative = RELATIVE_POSITIONS.has(model_type)
    return { kind, architecture, max_positions: relative ? null : (limits.max_position_embeddings ?? null) }
  }
  const max_positions = limits.max_position_embeddings ?? limits.n_positions ?? limits.n_ctx ?? limits.max_seq_len ?? null
  return { kind, architecture, max_positions }
}

/** @throws ModelError for encoder-decoders that read or write other things than text, or do not generate */
function seq2seqKind(id: string, model_type: string, architectures: readonly string[] | null | undefined): 'seq2seq' {
  const architecture = architectures?.[0] ?? model_type
  const generates = architectures?.[0] === undefined || /(ForConditionalGeneration|MTModel|WithLMHeadModel)$/.test(architecture)
  if (generates && AutoModelForSeq2SeqLM.supports(runAs(model_type))) return 'seq2seq'
  throw new ModelError(
    'unsupported',
    `${id} is an encoder-decoder of another kind (${architecture}) than those that can be tuned`,
    'Pick a model that turns text into text: T5, mT5, BART, mBART, M2M, NLLB, Marian, Pegasus, Blenderbot; or a causal one.',
  )
}

/** @throws ModelError for models that don't generate text */
function causalKind(id: string, architectures: readonly string[] | null | undefined): 'causal-lm' {
  const architecture = architectures?.[0]
  if (architecture === undefined || /(ForCausalLM|LMHeadModel)$/.test(architecture)) return 'causal-lm'
  throw new ModelError(
    'unsupported',
    `${id} is a ${architecture}, not a language model that generates text`,
    'Prompts can be tuned for causal models (whose architecture ends with ForCausalLM or LMHeadModel), and for encoder-decoders like T5 and BART.',
  )
}
