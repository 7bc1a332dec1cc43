/**
 * A prompt as caikit-nlp's saved module: config.yml, encoder.pt and/or decoder.pt, training_logs.jsonl. Its TGIS backend serves
 * the folder as it is; its local backend also wants the tokenizer and a PEFT adapter inside (`local`). And `.pt` prompt files
 * back in.
 *
 * Sources: caikit-nlp caikit_nlp/modules/text_generation/{peft_prompt_tuning,peft_tgis_remote}.py; caikit
 * caikit/core/modules/{saver,config}.py.
 */
import { FormatError } from './format-error'
import { TASK_TYPES, type FormatFile, type WrittenFiles } from './peft'
import type { Expected } from './peft-read'
import {
  checkPrompt,
  flattenPrompt,
  OUTPUT_MODEL_TYPES,
  rowsOfPart,
  type OutputModelType,
  type PromptTensors,
  type SingleTaskPrompt,
} from './prompt-tensors'
import { readTorchTensor, writeTorchTensor } from './torch-file'
import { trainingLogs, type LoggedStep } from './training-logs'
import { toYaml, type YamlValue } from './yaml'

/** caikit-nlp's PeftPromptTuning: what its runtime looks up to load the folder. */
const MODULE = {
  name: 'Peft generation',
  module_id: '6655831b-960a-4dc5-8df4-867026e2cd41',
  module_class: 'caikit_nlp.modules.text_generation.peft_prompt_tuning.PeftPromptTuning',
  version: '0.1.0',
} as const
/** What caikit's ModuleSaver itself puts where it can't find a version. */
const NO_VERSION = '0.0.0'
const STEMS: Readonly<Record<OutputModelType, 'encoder' | 'decoder'>> = { ENCODER: 'encoder', DECODER: 'decoder' }
const TRAINING_LOGS = 'training_logs.jsonl'

export interface CaikitModule {
  /** Hub id or name of the model the prompt was tuned on. */
  readonly base_model: string
  /** The model's config.json. */
  readonly base_model_config: { readonly [key: string]: YamlValue }
  /** The tokenizer's end-of-sequence token, as text. */
  readonly eos_token: string
  readonly verbalizer: string
  /** ISO 8601, UTC. */
  readonly created: string
  readonly saved: string
  /** A UUID of the caller's making. */
  readonly tracking_id: string
  readonly steps: readonly LoggedStep[]
  /** See trainingLogs. */
  readonly epoch_ends: readonly string[]
  /** For caikit's local backend: the prompt as a PEFT adapter and the tokenizer's files; null: for TGIS only. */
  readonly local: { readonly adapter: readonly FormatFile[]; readonly tokenizer: ReadonlyMap<string, Uint8Array> } | null
}

/**
 * @param task of a MULTITASK_PROMPT_TUNING prompt: whose rows go into the `.pt` files
 * @throws FormatError for a prompt that does not add up, a task it has not, or a product beyond fp32
 */
export function writeCaikitModule(prompt: PromptTensors, module: CaikitModule, task = 0): WrittenFiles {
  checkPrompt(prompt)
  const flat = flattenPrompt(prompt, task)
  const files: FormatFile[] = []
  const prompts: Record<OutputModelType, string> = { ENCODER: '', DECODER: '' }
  for (const part of OUTPUT_MODEL_TYPES) {
    const rows = rowsOfPart(flat, part)
    if (!rows) continue
    const stem = STEMS[part]
    prompts[part] = `${stem}.pt`
    files.push({ path: `${stem}.pt`, bytes: writeTorchTensor(stem, [flat.num_virtual_tokens, flat.hidden_size], rows) })
  }
  const base_model_name = baseModelName(module.base_model)
  if (module.local) {
    const { adapter, tokenizer } = module.local
    const inside = [...adapter, ...[...tokenizer].map(([path, bytes]) => ({ path, bytes }))]
    files.push(...inside.map(({ path, bytes }) => ({ path: `${base_model_name}/${path}`, bytes })))
  }
  // In alphabetical order, as PyYAML sorts them. Upstream's base_model_config of a causal model has a `d_model: 1024` that is not
  // the model's: a workaround in its training code. Nothing that loads a module reads it, so it is left out.
  const base_model_config = Object.fromEntries(
    Object.entries(module.base_model_config).filter(([key]) => key !== '_name_or_path'),
  )
  const config: Record<string, YamlValue> = {
    DECODER: prompts.DECODER,
    ENCODER: prompts.ENCODER,
    base_model_config,
    base_model_name,
    caikit_nlp_version: NO_VERSION,
    created: pythonTime(module.created),
    eos_token: module.eos_token,
    ...(module.local ? { full_model_path: base_model_name } : {}),
    has_base_model: module.local !== null,
    module_class: MODULE.module_class,
    module_id: MODULE.module_id,
    name: MODULE.name,
    output_model_types: `[${prompt.output_model_types.map((part) => JSON.stringify(part)).join(', ')}]`,
    saved: pythonTime(module.saved),
    task_type: TASK_TYPES[prompt.kind],
    ...(module.local ? { tokenizer_path: base_model_name } : {}),
    tracking_id: module.tracking_id,
    trained_torch_dtype: 'float32',
    training_logs: TRAINING_LOGS,
    tuning_type: prompt.tuning_type,
    verbalizer: module.verbalizer,
    version: MODULE.version,
  }
  const encode = (text: string) => new TextEncoder().encode(text)
  return {
    files: [
      { path: 'config.yml', bytes: encode(toYaml(config)) },
      ...files,
      { path: TRAINING_LOGS, bytes: encode(trainingLogs(module.steps, module.epoch_ends)) },
    ],
    notices: noticesOf(prompt, module, task),
  }
}

function noticesOf(prompt: PromptTensors, { local }: CaikitModule, task: number): string[] {
  const notices: string[] = []
  if (prompt.kind === 'seq2seq') {
    notices.push("caikit-nlp's local backend loads causal models only; this folder is for its TGIS backend.")
    if (prompt.num_virtual_tokens % 2 === 1) {
      notices.push(
        `TGIS takes encoder-decoder prompts with an even number of rows only; this one has ${prompt.num_virtual_tokens} virtual tokens.`,
      )
    }
  } else if (!local) {
    notices.push("caikit-nlp's local backend does not load a module without its base model; this folder is for its TGIS backend.")
  }
  if (prompt.tuning_type === 'MULTITASK_PROMPT_TUNING' && prompt.num_tasks > 1) {
    notices.push(
      `The .pt files hold the prompt of task "${prompt.task_names[task] ?? task}" only; a caikit module has one task of ${prompt.num_tasks}.`,
    )
  }
  return notices
}

/** The last part of a hub id, fit for a folder's name. */
function baseModelName(base_model: string): string {
  const last = base_model.split(/[/\\]/).at(-1) ?? ''
  const plain = last.replace(/[^\w.-]+/g, '-').replace(/^\.+/, '')
  return plain === '' ? 'model' : plain
}

/** str(datetime.now()) of an ISO time. @throws FormatError when it is none */
function pythonTime(iso: string): string {
  const time = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?Z?$/.exec(iso)
  if (!time) throw new FormatError(`"${iso}" is no ISO 8601 time in UTC`)
  const [, date = '', clock = '', fraction = ''] = time
  return `${date} ${clock}.${fraction.padEnd(6, '0')}`
}

/**
 * A prompt from `.pt` files: encoder.pt and/or decoder.pt, or for a causal model one file of any name.
 * @param files by path; folders in front of the names do not matter
 * @throws FormatError naming the file: none, too many, not such a tensor, another width than expected or than each other
 */
export function readTorchPrompt(files: ReadonlyMap<string, Uint8Array>, expected: Required<Expected>): SingleTaskPrompt {
  const { kind, hidden_size } = expected
  const found = [...files].filter(([path]) => path.endsWith('.pt'))
  const parts = new Map<OutputModelType, { readonly name: string; readonly bytes: Uint8Array }>()
  for (const [path, bytes] of found) {
    const name = path.slice(path.lastIndexOf('/') + 1)
    const part = OUTPUT_MODEL_TYPES.find((one) => name === `${STEMS[one]}.pt`)
    const target = part ?? (kind === 'causal-lm' && found.length === 1 ? 'DECODER' : null)
    if (target === null) throw new FormatError(`${path}: only encoder.pt and decoder.pt are known here`)
    if (kind === 'causal-lm' && target === 'ENCODER') throw new FormatError(`${path}: a causal model has no encoder`)
    if (parts.has(target)) throw new FormatError(`${name} is there twice`)
    parts.set(target, { name, bytes })
  }
  if (parts.size === 0) throw new FormatError('encoder.pt or decoder.pt is missing')
  const output_model_types = OUTPUT_MODEL_TYPES.filter((part) => parts.has(part))
  const tensors = output_model_types.flatMap((part) => {
    const file = parts.get(part)
    return file ? [{ name: file.name, ...readTorchTensor(file.bytes, file.name) }] : []
  })
  const num_virtual_tokens = tensors[0]?.shape[0] ?? 0
  const prompt_embeddings = new Float32Array(tensors.length * num_virtual_tokens * hidden_size)
  tensors.forEach(({ name, shape: [rows, columns], data }, index) => {
    if (columns !== hidden_size) {
      throw new FormatError(`${name}: rows are ${columns} wide, but the model's embeddings are ${hidden_size}`)
    }
    if (rows !== num_virtual_tokens) {
      throw new FormatError(`${name} has ${rows} rows, ${tensors[0]?.name ?? ''} has ${num_virtual_tokens}: they must be equal`)
    }
    prompt_embeddings.set(data, index * data.length)
  })
  return { tuning_type: 'PROMPT_TUNING', kind, num_virtual_tokens, hidden_size, output_model_types, prompt_embeddings }
}
