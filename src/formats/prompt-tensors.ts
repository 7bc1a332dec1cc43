/**
 * A tuned prompt as plain tensors: what every writer here takes and every reader gives. It knows nothing of files, of the
 * library's records or of models.
 *
 * Names and shapes are PEFT's (tuners/multitask_prompt_tuning/model.py). n = num_virtual_tokens, M = the parts of the model
 * that get a prompt, d = hidden_size, T = num_tasks, r = num_ranks; everything row-major fp32.
 */
import type { OutputModelType } from '../job/check-model'
import { taskPrompt } from '../library/multitask'
import { FormatError } from './format-error'

export type ModelKind = 'causal-lm' | 'seq2seq'

/** The parts of a model a prompt can stand in front of, in the order of their rows. */
export const OUTPUT_MODEL_TYPES = ['ENCODER', 'DECODER'] as const satisfies readonly OutputModelType[]
export type { OutputModelType }

interface Rows {
  readonly kind: ModelKind
  readonly num_virtual_tokens: number
  readonly hidden_size: number
  /** causal-lm: DECODER; seq2seq: one or both, ENCODER first. Its length is M. */
  readonly output_model_types: readonly OutputModelType[]
  /** [M*n, d]: with both parts the encoder's n rows, then the decoder's. */
  readonly prompt_embeddings: Float32Array
}

export interface SingleTaskPrompt extends Rows {
  readonly tuning_type: 'PROMPT_TUNING'
}

/** The prompt of task t is prompt_embeddings (*) (prefix_task_cols[t] @ prefix_task_rows[t]), elementwise. */
export interface MultitaskPrompt extends Rows {
  readonly tuning_type: 'MULTITASK_PROMPT_TUNING'
  readonly num_tasks: number
  readonly num_ranks: number
  /** [T, M*n, r] */
  readonly prefix_task_cols: Float32Array
  /** [T, r, d] */
  readonly prefix_task_rows: Float32Array
  /** T names, for people. */
  readonly task_names: readonly string[]
}

export type PromptTensors = SingleTaskPrompt | MultitaskPrompt

/** A tensor of a prompt, under the name it has in a PEFT adapter. */
export interface NamedTensor {
  readonly name: string
  readonly shape: readonly number[]
  readonly data: Float32Array
}

/** The prompt's tensors with the shapes they must have. */
export function tensorsOf(prompt: PromptTensors): NamedTensor[] {
  const total = prompt.num_virtual_tokens * prompt.output_model_types.length
  const { hidden_size, prompt_embeddings } = prompt
  const shared = { name: 'prompt_embeddings', shape: [total, hidden_size], data: prompt_embeddings }
  if (prompt.tuning_type === 'PROMPT_TUNING') return [shared]
  const { num_tasks, num_ranks, prefix_task_cols, prefix_task_rows } = prompt
  return [
    shared,
    { name: 'prefix_task_cols', shape: [num_tasks, total, num_ranks], data: prefix_task_cols },
    { name: 'prefix_task_rows', shape: [num_tasks, num_ranks, hidden_size], data: prefix_task_rows },
  ]
}

/**
 * Every number finite. @param place put before the message
 * @throws FormatError naming the tensor and the index
 */
export function checkFinite({ name, shape, data }: NamedTensor, place = ''): void {
  const bad = data.findIndex((value) => !Number.isFinite(value))
  if (bad < 0) return
  const index = shape.map((_, axis) => {
    const inner = shape.slice(axis + 1).reduce((product, size) => product * size, 1)
    return Math.floor(bad / inner) % (shape[axis] ?? 1)
  })
  throw new FormatError(`${place}${name}[${index.join(', ')}] is ${data[bad] ?? NaN}`)
}

/** @throws FormatError naming the field: counts below 1, parts the kind has not, numbers too many or few, not finite */
export function checkPrompt(prompt: PromptTensors): void {
  const counts: [string, number][] = [
    ['num_virtual_tokens', prompt.num_virtual_tokens],
    ['hidden_size', prompt.hidden_size],
  ]
  if (prompt.tuning_type === 'MULTITASK_PROMPT_TUNING')
    counts.push(['num_tasks', prompt.num_tasks], ['num_ranks', prompt.num_ranks])
  for (const [name, value] of counts) {
    if (!Number.isSafeInteger(value) || value < 1) throw new FormatError(`${name} is ${value}, at least 1 is needed`)
  }
  const parts = prompt.output_model_types.join(', ')
  const known = prompt.kind === 'causal-lm' ? ['DECODER'] : ['ENCODER', 'DECODER', 'ENCODER, DECODER']
  if (!known.includes(parts)) {
    throw new FormatError(`output_model_types is [${parts}]; a ${prompt.kind} prompt has [${known.join('], [')}]`)
  }
  for (const tensor of tensorsOf(prompt)) {
    const expected = tensor.shape.reduce((product, size) => product * size, 1)
    if (tensor.data.length !== expected) {
      throw new FormatError(`${tensor.name}: ${tensor.data.length} numbers for ${tensor.shape.join(' x ')}`)
    }
    checkFinite(tensor)
  }
  if (prompt.tuning_type === 'MULTITASK_PROMPT_TUNING' && prompt.task_names.length !== prompt.num_tasks) {
    throw new FormatError(`task_names: ${prompt.task_names.length} names for ${prompt.num_tasks} tasks`)
  }
}

/**
 * The prompt one task really gets, as a PROMPT_TUNING prompt (a PROMPT_TUNING prompt is its own).
 * @param task index of the task, from 0
 * @throws FormatError when there is no such task
 */
export function flattenPrompt(prompt: PromptTensors, task = 0): SingleTaskPrompt {
  if (prompt.tuning_type === 'PROMPT_TUNING') {
    if (task !== 0) throw new FormatError(`task ${task}: a PROMPT_TUNING prompt has one task, 0`)
    return prompt
  }
  const { kind, num_virtual_tokens, hidden_size, output_model_types, num_tasks } = prompt
  if (!Number.isSafeInteger(task) || task < 0 || task >= num_tasks) {
    throw new FormatError(`task ${task}: the prompt has tasks 0 to ${num_tasks - 1}`)
  }
  const prompt_embeddings = taskPrompt(prompt, task)
  return { tuning_type: 'PROMPT_TUNING', kind, num_virtual_tokens, hidden_size, output_model_types, prompt_embeddings }
}

/** One part's rows [n, d] of a prompt for a single task, as a view; null when that part has none. */
export function rowsOfPart(prompt: SingleTaskPrompt, part: OutputModelType): Float32Array | null {
  const index = prompt.output_model_types.indexOf(part)
  if (index < 0) return null
  const size = prompt.num_virtual_tokens * prompt.hidden_size
  return prompt.prompt_embeddings.subarray(index * size, (index + 1) * size)
}
