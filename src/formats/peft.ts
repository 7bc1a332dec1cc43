/**
 * A prompt as a PEFT adapter folder (adapter_config.json, adapter_model.safetensors), written as PEFT 0.21 writes it, and
 * read back with everything checked that PEFT would only stumble over later.
 *
 * Source: huggingface/peft src/peft/{config.py, tuners/prompt_tuning/config.py, utils/save_and_load.py}. Only tensors and
 * plain settings are taken from an adapter: fields that would have PEFT run or fetch something (tokenizer_kwargs,
 * auto_mapping, trust_remote_code) are ignored.
 */
import * as v from 'valibot'
import { toFloat32 } from '../graph/tensor'
import { FormatError } from './format-error'
import { parseJson } from './json'
import { readSafetensors, writeSafetensors } from './safetensors'

const CONFIG_FILE = 'adapter_config.json'
const TENSOR_FILE = 'adapter_model.safetensors'
const TENSOR = 'prompt_embeddings'
/** The PEFT version whose files these are, field for field. */
const PEFT_VERSION = '0.21.0'

const TASK_TYPES = { 'causal-lm': 'CAUSAL_LM', seq2seq: 'SEQ_2_SEQ_LM' } as const

export interface PeftPrompt {
  /** Hub id or name of the model the prompt was tuned on. */
  readonly base_model: string
  /** Git revision of the model; null or 'main' for the newest. */
  readonly revision: string | null
  readonly kind: 'causal-lm' | 'seq2seq'
  readonly num_virtual_tokens: number
  readonly hidden_size: number
  /** [num_virtual_tokens, hidden_size], row-major. */
  readonly rows: Float32Array
  readonly prompt_tuning_init: 'RANDOM' | 'TEXT' | 'SAMPLE_VOCAB'
  readonly prompt_tuning_init_text: string | null
  /** From the model's config; null where it does not say. PEFT fills them in by itself then. */
  readonly num_layers: number | null
  readonly num_attention_heads: number | null
}

/** A file by its path relative to the folder it is for. */
export interface FormatFile {
  readonly path: string
  readonly bytes: Uint8Array
}

/** @throws FormatError when rows and sizes differ */
export function writePeftAdapter(prompt: PeftPrompt): FormatFile[] {
  const { base_model, kind, num_virtual_tokens, hidden_size, rows, prompt_tuning_init, prompt_tuning_init_text } = prompt
  const ofText = prompt_tuning_init === 'TEXT'
  // Keys in alphabetical order, as PEFT sorts them.
  const config = {
    auto_mapping: null,
    base_model_name_or_path: base_model,
    inference_mode: true,
    modules_to_save: null,
    num_attention_heads: prompt.num_attention_heads,
    num_layers: prompt.num_layers,
    // Left out or null it means 2 for SEQ_2_SEQ_LM, and loading fails on the shape.
    num_transformer_submodules: 1,
    num_virtual_tokens,
    peft_type: 'PROMPT_TUNING',
    peft_version: PEFT_VERSION,
    prompt_tuning_init,
    prompt_tuning_init_text: ofText ? prompt_tuning_init_text : null,
    revision: prompt.revision === 'main' ? null : prompt.revision,
    task_type: TASK_TYPES[kind],
    token_dim: hidden_size,
    tokenizer_kwargs: null,
    tokenizer_name_or_path: ofText ? base_model : null,
  }
  // As json.dumps does: Python may open the file in another encoding than UTF-8.
  const json = JSON.stringify(config, null, 2).replace(
    /[\u0080-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
  const tensors = new Map([[TENSOR, { shape: [num_virtual_tokens, hidden_size], data: rows }]])
  return [
    { path: CONFIG_FILE, bytes: new TextEncoder().encode(json) },
    { path: TENSOR_FILE, bytes: writeSafetensors(tensors) },
  ]
}

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(1))
const ConfigSchema = v.object({
  peft_type: v.string(),
  task_type: v.nullish(v.picklist(['CAUSAL_LM', 'SEQ_2_SEQ_LM']), null),
  base_model_name_or_path: v.nullish(v.string(), null),
  revision: v.nullish(v.string(), null),
  num_virtual_tokens: count,
  token_dim: v.nullish(count, null),
  num_transformer_submodules: v.nullish(v.pipe(count, v.maxValue(2)), null),
  num_layers: v.nullish(count, null),
  num_attention_heads: v.nullish(count, null),
  prompt_tuning_init: v.fallback(v.picklist(['RANDOM', 'TEXT', 'SAMPLE_VOCAB']), 'RANDOM'),
  prompt_tuning_init_text: v.nullish(v.string(), null),
})

/** What an adapter's config says, unknown and unused fields left out. */
export type PeftConfig = v.InferOutput<typeof ConfigSchema>

export interface PeftAdapter {
  readonly config: PeftConfig
  /** null when the adapter does not say. */
  readonly base_model: string | null
  readonly revision: string | null
  readonly kind: 'causal-lm' | 'seq2seq'
  readonly num_virtual_tokens: number
  readonly hidden_size: number
  /** [num_virtual_tokens, hidden_size], row-major, a copy. For an encoder-decoder adapter of two halves, the encoder's. */
  readonly rows: Float32Array
}

/**
 * @param files the adapter's files by path; folders in front of the names do not matter
 * @param expected what the prompt must fit, where that is known
 * @throws FormatError naming file and field: missing files, another PEFT method, shapes that contradict the config, rows
 *   that are not finite, a width or kind other than expected
 */
export function readPeftAdapter(
  files: ReadonlyMap<string, Uint8Array>,
  expected: { readonly hidden_size?: number; readonly kind?: 'causal-lm' | 'seq2seq' } = {},
): PeftAdapter {
  const config = parseJson(onlyFile(files, CONFIG_FILE), ConfigSchema, CONFIG_FILE)
  if (config.peft_type !== 'PROMPT_TUNING') {
    throw new FormatError(`${CONFIG_FILE}, peft_type: ${config.peft_type} adapters can't be used, only PROMPT_TUNING`)
  }
  const kind = config.task_type === 'SEQ_2_SEQ_LM' ? 'seq2seq' : 'causal-lm'
  if (expected.kind && expected.kind !== kind) {
    throw new FormatError(
      `${CONFIG_FILE}, task_type: ${config.task_type ?? 'none'}, but the model needs ${TASK_TYPES[expected.kind]}`,
    )
  }
  const { tensors } = readSafetensors(onlyFile(files, TENSOR_FILE), TENSOR_FILE)
  const tensor = tensors.get(TENSOR)
  if (!tensor)
    throw new FormatError(`${TENSOR_FILE} has no tensor "${TENSOR}", but ${[...tensors.keys()].join(', ') || 'none at all'}`)
  const place = `${TENSOR_FILE}, ${TENSOR}`
  if (!/float/.test(tensor.dtype)) throw new FormatError(`${place}: ${tensor.dtype} is not a floating-point type`)
  const submodules = config.num_transformer_submodules ?? (kind === 'seq2seq' ? 2 : 1)
  const [rowCount, hidden_size] = tensor.dims
  if (tensor.dims.length !== 2 || rowCount !== config.num_virtual_tokens * submodules || !hidden_size) {
    throw new FormatError(
      `${place}: shape [${tensor.dims.join(', ')}], but the config says ${config.num_virtual_tokens} virtual tokens x ${submodules}`,
    )
  }
  if (config.token_dim !== null && config.token_dim !== hidden_size) {
    throw new FormatError(`${place}: rows are ${hidden_size} wide, but token_dim in ${CONFIG_FILE} is ${config.token_dim}`)
  }
  if (expected.hidden_size !== undefined && expected.hidden_size !== hidden_size) {
    throw new FormatError(`${place}: rows are ${hidden_size} wide, but the model's embeddings are ${expected.hidden_size}`)
  }
  const rows = toFloat32(tensor).slice(0, config.num_virtual_tokens * hidden_size)
  const bad = rows.findIndex((value) => !Number.isFinite(value))
  if (bad >= 0) {
    throw new FormatError(`${place}: row ${Math.floor(bad / hidden_size)}, column ${bad % hidden_size} is ${rows[bad] ?? NaN}`)
  }
  return {
    config,
    base_model: config.base_model_name_or_path,
    revision: config.revision,
    kind,
    num_virtual_tokens: config.num_virtual_tokens,
    hidden_size,
    rows,
  }
}

/** The one file of that name, in whatever folder. */
function onlyFile(files: ReadonlyMap<string, Uint8Array>, name: string): Uint8Array {
  const found = [...files].filter(([path]) => path === name || path.endsWith(`/${name}`))
  const [first, second] = found
  if (second) throw new FormatError(`${name} is there twice: ${found.map(([path]) => path).join(', ')}`)
  if (first) return first[1]
  const pickle = [...files.keys()].some((path) => path.endsWith('adapter_model.bin')) && name === TENSOR_FILE
  throw new FormatError(
    pickle
      ? `${name} is missing; adapter_model.bin (a pickle) is not read: save the adapter as safetensors`
      : `${name} is missing`,
  )
}
