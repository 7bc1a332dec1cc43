/**
 * A job for a larger machine: a folder that runs it with PEFT under accelerate, and a caikit train request beside it. The Python
 * files are in python/, as they are written; this puts data and settings next to them.
 *
 * It trains nothing and reads no model: what only the model knows comes in as plain values.
 */
import type { Job } from '../job/parameters'
import type { Example } from '../job/records'
import { caikitDifferences, caikitTrainRequest } from './caikit-request'
import { FormatError } from './format-error'
import { jsonBytes } from './json'
import { writePeftAdapter, type FormatFile, type WrittenFiles } from './peft'
import { OUTPUT_MODEL_TYPES, type ModelKind, type OutputModelType, type PromptTensors } from './prompt-tensors'
import promptsSource from './python/prompts.py?raw'
import requirements from './python/requirements.txt?raw'
import sequencesSource from './python/sequences.py?raw'
import trainSource from './python/train.py?raw'
import { pythonReadme } from './python-readme'

export interface PythonJobInput {
  readonly job: Job
  /** Name of the prompt to be. */
  readonly name: string
  readonly kind: ModelKind
  /** As the run would take them: the split is made, rows of it are not in both. */
  readonly train: readonly Example[]
  readonly validation: readonly Example[]
  /** What `learning_rate: "auto"` came to; null: train.py works it out. */
  readonly resolved_learning_rate: number | null
  /** Positions of the model, virtual tokens included; null: as many as you like. */
  readonly max_positions: number | null
  /** The prompt the job starts from, for the methods that do. */
  readonly source: PromptTensors | null
  /** Whether transformers finds job.base_model by its name; embedded and dropped models it does not. */
  readonly on_hub: boolean
}

const SOURCE_FILE = 'source_prompt.safetensors'

/** @throws FormatError for no training rows, parts the model has not, or a source method without a source prompt */
export function exportPythonJob(input: PythonJobInput): WrittenFiles {
  const { job, name, kind, train, validation, source } = input
  if (train.length === 0) throw new FormatError('there are no training rows')
  const output_model_types = partsOf(job, kind)
  const startsFromSource = /SOURCE/.test(job.tuning_config.prompt_tuning_init_method)
  if (startsFromSource && !source) {
    throw new FormatError(`prompt_tuning_init_method ${job.tuning_config.prompt_tuning_init_method} needs its source prompt`)
  }
  const learning_rate = job.learning_rate === 'auto' ? input.resolved_learning_rate : job.learning_rate
  const multitask = job.tuning_type === 'MULTITASK_PROMPT_TUNING'
  const request = {
    job,
    kind,
    output_model_types,
    learning_rate,
    model_name: modelName(name),
    train,
    train_file: 'train.jsonl',
    source_file: startsFromSource ? SOURCE_FILE : null,
  }
  const differences = caikitDifferences({ ...request, has_validation: validation.length > 0 })

  const jobFile = { name, ...job, train: 'train.jsonl', validation: validation.length > 0 ? 'validation.jsonl' : 0 }
  const resolved = {
    kind,
    learning_rate,
    max_positions: input.max_positions,
    tuning_config: { output_model_types, num_tasks: multitask ? job.tuning_config.num_tasks : 1 },
  }
  const text = (path: string, content: string): FormatFile => ({ path, bytes: new TextEncoder().encode(content) })
  const files = [
    text(
      'README.md',
      pythonReadme({ name, base_model: job.base_model, kind, output_model_types, multitask, on_hub: input.on_hub, differences }),
    ),
    text('train.py', trainSource),
    text('prompts.py', promptsSource),
    text('sequences.py', sequencesSource),
    text('requirements.txt', requirements),
    { path: 'job.json', bytes: jsonBytes(jobFile) },
    { path: 'resolved.json', bytes: jsonBytes(resolved) },
    text('train.jsonl', lines(train)),
    ...(validation.length > 0 ? [text('validation.jsonl', lines(validation))] : []),
    { path: 'caikit_train_request.json', bytes: jsonBytes(caikitTrainRequest(request)) },
    ...(startsFromSource && source ? [sourceFile(source, job.base_model)] : []),
  ]
  const notices = input.on_hub
    ? []
    : [`Python does not find "${job.base_model}" by that name: give train.py the model's weights with --base-model FOLDER.`]
  return { files, notices }
}

function partsOf(job: Job, kind: ModelKind): readonly OutputModelType[] {
  const wanted = job.tuning_config.output_model_types ?? [kind === 'seq2seq' ? 'ENCODER' : 'DECODER']
  if (kind === 'causal-lm' && wanted.includes('ENCODER'))
    throw new FormatError('a causal model has no encoder to put a prompt in front of')
  return OUTPUT_MODEL_TYPES.filter((part) => wanted.includes(part))
}

/** The tensors alone, as PEFT and caikit read them by `prompt_tuning_init_state_dict_path`. */
function sourceFile(source: PromptTensors, base_model: string): FormatFile {
  const about = { base_model, revision: null, prompt_tuning_init_method: 'RANDOM', prompt_tuning_init_text: null }
  const { files } = writePeftAdapter(source, { ...about, num_layers: null, num_attention_heads: null })
  const tensors = files.find(({ path }) => path.endsWith('.safetensors'))
  if (!tensors) throw new FormatError('the source prompt has no tensors')
  return { path: SOURCE_FILE, bytes: tensors.bytes }
}

const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g

/** JSON lines. Half characters, which Python's tokenizers refuse, become what the browser's make of them. */
function lines(examples: readonly Example[]): string {
  const whole = (text: string) => text.replace(LONE_SURROGATE, '\ufffd')
  return examples
    .map(({ input, output, task }) => {
      const record = { input: whole(input), output: whole(output) }
      return `${JSON.stringify(task === undefined ? record : { ...record, task: whole(task) })}\n`
    })
    .join('')
}

/** As TGIS takes prompt ids, which are the folder's name. */
function modelName(name: string): string {
  const plain = name
    .normalize('NFKD')
    .replace(/[^\w-]+/g, '-')
    .replace(/^-+|-+$/g, '')
  return plain.slice(0, 60) || 'prompt'
}
