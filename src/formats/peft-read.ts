/**
 * PEFT adapters back in, with everything checked that PEFT would only stumble over later. Writing is in peft.ts.
 *
 * Only tensors and plain settings are taken from an adapter: fields that would have PEFT run or fetch something
 * (tokenizer_kwargs, auto_mapping, trust_remote_code, prompt_tuning_init_state_dict_path) are ignored.
 */
import * as v from 'valibot'
import type { Tensor } from '../graph/ir'
import { fromFloat32, toFloat32 } from '../graph/tensor'
import { FormatError } from './format-error'
import { parseJson } from './json'
import { CONFIG_FILE, defaultTaskNames, METADATA, plainParts, TASK_TYPES, TENSOR_FILE } from './peft'
import { checkFinite, OUTPUT_MODEL_TYPES, type ModelKind, type OutputModelType, type PromptTensors } from './prompt-tensors'
import { readSafetensors, type Safetensors } from './safetensors'
import { readTorchTensor } from './torch-file'

const PICKLE_FILE = 'adapter_model.bin'
const TENSORS = {
  PROMPT_TUNING: ['prompt_embeddings'],
  MULTITASK_PROMPT_TUNING: ['prompt_embeddings', 'prefix_task_cols', 'prefix_task_rows'],
} as const
const FLOAT_TYPES: readonly string[] = ['float32', 'float16', 'bfloat16']

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
  prompt_tuning_init: v.fallback(v.string(), 'RANDOM'),
  prompt_tuning_init_text: v.nullish(v.string(), null),
  num_tasks: v.nullish(count, null),
  num_ranks: v.nullish(count, null),
})

/** What an adapter's config says, unknown and unused fields left out. */
export type PeftConfig = v.InferOutput<typeof ConfigSchema>

export interface PeftAdapter {
  readonly config: PeftConfig
  /** null when the adapter does not say. */
  readonly base_model: string | null
  readonly revision: string | null
  /** Its tensors are copies. */
  readonly prompt: PromptTensors
  /** Sentences for people about what was left out. */
  readonly notices: readonly string[]
}

/** What a prompt must fit, where that is known. */
export interface Expected {
  readonly hidden_size?: number
  readonly kind?: ModelKind
}

/**
 * @param files the adapter's files by path; folders in front of the names do not matter
 * @throws FormatError naming file and field: missing files, another PEFT method, tensors that are missing, too many or of
 *   shapes that contradict the config, numbers that are not finite, a width or kind other than expected
 */
export function readPeftAdapter(files: ReadonlyMap<string, Uint8Array>, expected: Expected = {}): PeftAdapter {
  const config = parseJson(onlyFile(files, CONFIG_FILE), ConfigSchema, CONFIG_FILE)
  const { peft_type } = config
  if (peft_type !== 'PROMPT_TUNING' && peft_type !== 'MULTITASK_PROMPT_TUNING') {
    const known = Object.keys(TENSORS).join(' and ')
    throw new FormatError(`${CONFIG_FILE}, peft_type: ${peft_type} adapters can't be used, only ${known}`)
  }
  const kind = config.task_type === 'SEQ_2_SEQ_LM' ? 'seq2seq' : 'causal-lm'
  if (expected.kind && expected.kind !== kind) {
    throw new FormatError(
      `${CONFIG_FILE}, task_type: ${config.task_type ?? 'none'}, but the model needs ${TASK_TYPES[expected.kind]}`,
    )
  }
  const stored = storedTensors(files)
  checkNames(stored, TENSORS[peft_type], peft_type)
  const submodules = config.num_transformer_submodules ?? (kind === 'seq2seq' ? 2 : 1)
  if (kind === 'causal-lm' && submodules !== 1) {
    throw new FormatError(`${CONFIG_FILE}, num_transformer_submodules: a causal model has 1, not ${submodules}`)
  }
  const { num_virtual_tokens } = config
  const total = num_virtual_tokens * submodules
  const hidden_size = widthOf(stored, total, config, expected)
  const parts = partsOf(stored, kind, peft_type, submodules)
  const base = { kind, num_virtual_tokens, hidden_size, output_model_types: parts } as const
  const take = (name: string, shape: readonly number[]) => floatsOf(stored, name, shape)

  const all = take('prompt_embeddings', [total, hidden_size])
  const used = parts.length * num_virtual_tokens * hidden_size
  const prompt_embeddings = used === all.length ? all : all.slice(0, used)
  const notices =
    used === all.length
      ? []
      : ["Only the encoder's rows were taken: PEFT itself never uses the second half of a PROMPT_TUNING adapter."]
  const about = { config, base_model: config.base_model_name_or_path, revision: config.revision, notices }
  if (peft_type === 'PROMPT_TUNING') return { ...about, prompt: { ...base, tuning_type: peft_type, prompt_embeddings } }

  const num_tasks = config.num_tasks ?? 1
  const num_ranks = config.num_ranks ?? 1
  return {
    ...about,
    prompt: {
      ...base,
      tuning_type: peft_type,
      prompt_embeddings,
      num_tasks,
      num_ranks,
      prefix_task_cols: take('prefix_task_cols', [num_tasks, total, num_ranks]),
      prefix_task_rows: take('prefix_task_rows', [num_tasks, num_ranks, hidden_size]),
      task_names: taskNames(stored, num_tasks),
    },
  }
}

function checkNames({ tensors }: Safetensors, wanted: readonly string[], peft_type: string): void {
  const missing = wanted.find((name) => !tensors.has(name))
  if (missing !== undefined) {
    throw new FormatError(`${TENSOR_FILE} has no tensor "${missing}", but ${[...tensors.keys()].join(', ') || 'none at all'}`)
  }
  const extra = [...tensors.keys()].filter((name) => !wanted.includes(name))
  if (extra.length > 0) {
    const rest = extra.length > 5 ? ` and ${extra.length - 5} more` : ''
    throw new FormatError(
      `${TENSOR_FILE} holds ${extra.slice(0, 5).join(', ')}${rest}, which is no part of a ${peft_type} adapter`,
    )
  }
}

/** d, from prompt_embeddings. */
function widthOf({ tensors }: Safetensors, total: number, config: PeftConfig, expected: Expected): number {
  const [rows, width] = tensors.get('prompt_embeddings')?.dims ?? []
  const place = `${TENSOR_FILE}, prompt_embeddings`
  const rank = tensors.get('prompt_embeddings')?.dims.length
  if (rank !== 2 || rows !== total || !width) {
    const { num_virtual_tokens } = config
    const dims = tensors.get('prompt_embeddings')?.dims.join(', ') ?? ''
    throw new FormatError(
      `${place}: shape [${dims}], but the config says ${num_virtual_tokens} virtual tokens x ${total / num_virtual_tokens}`,
    )
  }
  if (config.token_dim !== null && config.token_dim !== width) {
    throw new FormatError(`${place}: rows are ${width} wide, but token_dim in ${CONFIG_FILE} is ${config.token_dim}`)
  }
  if (expected.hidden_size !== undefined && expected.hidden_size !== width) {
    throw new FormatError(`${place}: rows are ${width} wide, but the model's embeddings are ${expected.hidden_size}`)
  }
  return width
}

function floatsOf({ tensors }: Safetensors, name: string, shape: readonly number[]): Float32Array {
  const tensor: Tensor | undefined = tensors.get(name)
  const place = `${TENSOR_FILE}, `
  if (!tensor) throw new FormatError(`${place}${name} is missing`)
  if (!FLOAT_TYPES.includes(tensor.dtype)) {
    throw new FormatError(`${place}${name}: ${tensor.dtype} is not accepted, only ${FLOAT_TYPES.join(', ')}`)
  }
  if (tensor.dims.join() !== shape.join()) {
    throw new FormatError(`${place}${name}: shape [${tensor.dims.join(', ')}], but the config says [${shape.join(', ')}]`)
  }
  const data = toFloat32(tensor).slice()
  checkFinite({ name, shape, data }, place)
  return data
}

const list = v.array(v.string())

/** A list of text that one of our own adapters left in the metadata; null where there is none that can be used. */
function metadataList({ metadata }: Safetensors, key: string): string[] | null {
  const text = metadata.get(key)
  if (text === undefined) return null
  try {
    const parsed = v.safeParse(list, JSON.parse(text))
    return parsed.success ? parsed.output : null
  } catch {
    return null
  }
}

function partsOf(
  stored: Safetensors,
  kind: ModelKind,
  tuning_type: PromptTensors['tuning_type'],
  submodules: number,
): readonly OutputModelType[] {
  const said = metadataList(stored, METADATA.output_model_types)
  const parts = OUTPUT_MODEL_TYPES.filter((part) => said?.includes(part))
  const usable = kind === 'seq2seq' && said?.join() === parts.join() && parts.length === submodules
  return usable ? parts : plainParts(kind, tuning_type, submodules)
}

/** Tasks are asked for by name: two of one name would be one. */
function taskNames(stored: Safetensors, num_tasks: number): readonly string[] {
  const names = metadataList(stored, METADATA.task_names)
  const usable = names?.length === num_tasks && new Set(names).size === num_tasks
  return usable ? names : defaultTaskNames(num_tasks)
}

/**
 * The tensors of the safetensors file, or of a `.bin` one in its place. That is a pickle, of which only a lone tensor is read: what
 * PEFT itself puts there is a dictionary, and refused by name.
 */
function storedTensors(files: ReadonlyMap<string, Uint8Array>): Safetensors {
  const bytes = findFile(files, TENSOR_FILE)
  if (bytes) return readSafetensors(bytes, TENSOR_FILE)
  const pickle = findFile(files, PICKLE_FILE)
  if (!pickle) throw new FormatError(`${TENSOR_FILE} is missing`)
  const { shape, data } = readTorchTensor(pickle, PICKLE_FILE)
  return { tensors: new Map([['prompt_embeddings', fromFloat32(shape, data)]]), metadata: new Map() }
}

function onlyFile(files: ReadonlyMap<string, Uint8Array>, name: string): Uint8Array {
  const found = findFile(files, name)
  if (!found) throw new FormatError(`${name} is missing`)
  return found
}

/** The one file of that name, in whatever folder; null if there is none. */
function findFile(files: ReadonlyMap<string, Uint8Array>, name: string): Uint8Array | null {
  const found = [...files].filter(([path]) => path === name || path.endsWith(`/${name}`))
  if (found.length > 1) throw new FormatError(`${name} is there twice: ${found.map(([path]) => path).join(', ')}`)
  return found[0]?.[1] ?? null
}
