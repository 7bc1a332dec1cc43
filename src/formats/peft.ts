/**
 * A prompt as a PEFT adapter folder (adapter_config.json, adapter_model.safetensors), written as PEFT 0.21 writes it.
 * Reading is in peft-read.ts.
 *
 * Source: huggingface/peft src/peft/{config.py, tuners/prompt_tuning/config.py, tuners/multitask_prompt_tuning/{config,
 * model}.py, peft_model.py, utils/save_and_load.py}.
 */
import { checkPrompt, tensorsOf, type ModelKind, type OutputModelType, type PromptTensors } from './prompt-tensors'
import { writeSafetensors } from './safetensors'

export const CONFIG_FILE = 'adapter_config.json'
export const TENSOR_FILE = 'adapter_model.safetensors'
/** The PEFT version whose files these are, field for field. */
const PEFT_VERSION = '0.21.0'

export const TASK_TYPES = { 'causal-lm': 'CAUSAL_LM', seq2seq: 'SEQ_2_SEQ_LM' } as const

/** What an adapter's config says besides the tensors. */
export interface AdapterAbout {
  /** Hub id or name of the model the prompt was tuned on. */
  readonly base_model: string
  /** Git revision of the model; null or 'main' for the newest. */
  readonly revision: string | null
  /** The job's. What PEFT does not know, or could not load again, is written as RANDOM. */
  readonly prompt_tuning_init_method: string
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

export interface WrittenFiles {
  readonly files: FormatFile[]
  /** Sentences for people: what the tool these files are for will do otherwise than we do. */
  readonly notices: string[]
}

/**
 * Init methods an adapter may name. PEFT's MultitaskPromptEmbedding looks for the source prompt's file when it *loads* an
 * adapter that names a source method, and fails without it; since a loaded prompt is not initialised, RANDOM loses nothing.
 */
const INIT_METHODS = {
  PROMPT_TUNING: ['RANDOM', 'TEXT', 'SAMPLE_VOCAB'],
  MULTITASK_PROMPT_TUNING: ['RANDOM', 'TEXT'],
} as const

/**
 * What plain PEFT config can't say goes into the safetensors file's metadata, which every other reader ignores: which part of
 * an encoder-decoder model the rows are for where it is not what PEFT would make of them, and the tasks' names.
 */
export const METADATA = { output_model_types: 'output_model_types', task_names: 'task_names' } as const

/** Names nobody chose. */
export const defaultTaskNames = (num_tasks: number): string[] => Array.from({ length: num_tasks }, (_, task) => String(task))

/** @throws FormatError for a prompt that does not add up (see checkPrompt) */
export function writePeftAdapter(prompt: PromptTensors, about: AdapterAbout): WrittenFiles {
  checkPrompt(prompt)
  const { kind, tuning_type, num_virtual_tokens, hidden_size, output_model_types } = prompt
  const multitask = tuning_type === 'MULTITASK_PROMPT_TUNING'
  const method = INIT_METHODS[tuning_type].find((known) => known === about.prompt_tuning_init_method) ?? 'RANDOM'
  const ofText = method === 'TEXT'
  // Keys in alphabetical order, as PEFT sorts them; undefined ones are left out.
  const config = {
    auto_mapping: null,
    base_model_name_or_path: about.base_model,
    inference_mode: true,
    modules_to_save: null,
    num_attention_heads: about.num_attention_heads,
    num_layers: about.num_layers,
    num_ranks: multitask ? prompt.num_ranks : undefined,
    num_tasks: multitask ? prompt.num_tasks : undefined,
    // Left out or null it means 2 for SEQ_2_SEQ_LM, and loading fails on the shape.
    num_transformer_submodules: output_model_types.length,
    num_virtual_tokens,
    peft_type: tuning_type,
    peft_version: PEFT_VERSION,
    prompt_tuning_init: method,
    prompt_tuning_init_state_dict_path: multitask ? null : undefined,
    prompt_tuning_init_task: multitask ? 0 : undefined,
    prompt_tuning_init_text: ofText ? about.prompt_tuning_init_text : null,
    revision: about.revision === 'main' ? null : about.revision,
    task_type: TASK_TYPES[kind],
    token_dim: hidden_size,
    tokenizer_kwargs: null,
    tokenizer_name_or_path: ofText ? about.base_model : null,
  }
  // As json.dumps does: Python may open the file in another encoding than UTF-8.
  const json = JSON.stringify(config, null, 2).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
  const tensors = new Map(tensorsOf(prompt).map(({ name, shape, data }) => [name, { shape, data }]))
  return {
    files: [
      { path: CONFIG_FILE, bytes: new TextEncoder().encode(json) },
      { path: TENSOR_FILE, bytes: writeSafetensors(tensors, metadataOf(prompt)) },
    ],
    notices: noticesOf(prompt),
  }
}

/**
 * The parts that rows are for when an adapter says nothing but their number: what PEFT makes of them. For PROMPT_TUNING it
 * never looks at a second half.
 */
export function plainParts(kind: ModelKind, tuning_type: PromptTensors['tuning_type'], parts: number): OutputModelType[] {
  if (kind === 'causal-lm') return ['DECODER']
  return parts === 2 && tuning_type === 'MULTITASK_PROMPT_TUNING' ? ['ENCODER', 'DECODER'] : ['ENCODER']
}

function metadataOf(prompt: PromptTensors): Record<string, string> {
  const { kind, tuning_type, output_model_types } = prompt
  const metadata: Record<string, string> = {}
  const parts = JSON.stringify(output_model_types)
  if (parts !== JSON.stringify(plainParts(kind, tuning_type, output_model_types.length))) {
    metadata[METADATA.output_model_types] = parts
  }
  if (prompt.tuning_type === 'MULTITASK_PROMPT_TUNING') {
    const names = JSON.stringify(prompt.task_names)
    if (names !== JSON.stringify(defaultTaskNames(prompt.num_tasks))) metadata[METADATA.task_names] = names
  }
  return metadata
}

/** PEFT 0.21, PeftModelForSeq2SeqLM.forward and generate. */
function noticesOf(prompt: PromptTensors): string[] {
  const notices: string[] = []
  if (prompt.kind === 'seq2seq' && prompt.output_model_types.includes('DECODER')) {
    const both = prompt.output_model_types.length === 2
    notices.push(
      !both
        ? 'PEFT puts these rows in front of the encoder, but they were tuned to stand in front of the decoder: with PEFT they will not act as they do here.'
        : prompt.tuning_type === 'PROMPT_TUNING'
          ? "PEFT ignores the decoder prompt: of a PROMPT_TUNING adapter it uses the encoder's rows only."
          : "PEFT's generate ignores the decoder prompt: only its training uses both halves of a MULTITASK_PROMPT_TUNING adapter.",
    )
  }
  if (prompt.tuning_type === 'MULTITASK_PROMPT_TUNING') {
    const ids = prompt.num_tasks === 1 ? '0' : `0 to ${prompt.num_tasks - 1}`
    notices.push(
      `PEFT needs task_ids (${ids}) with every call of a MULTITASK_PROMPT_TUNING adapter. The same prompt flattened to PROMPT_TUNING does without.`,
    )
  }
  return notices
}
