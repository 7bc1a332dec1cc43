/** A prompt in its three forms: as tuning gives it, as the library keeps it, as formats write it. Nothing is computed here but a task's rows. */
import { flattenPrompt, rowsOfPart, type PromptTensors } from '../../src/formats/prompt-tensors'
import type { OutputModelType, PromptRecord, PromptSummary } from '../../src/library/prompt-record'
import { tensorViews } from '../../src/tuning/soft-prompt'
import type { TuneResult } from '../../src/tuning/tune'
import { CommandError } from './failures'

/** What of a record is the prompt itself. */
type PromptFields = Pick<
  PromptRecord,
  'num_virtual_tokens' | 'output_model_types' | 'multitask' | 'rows' | 'prefix_task_cols' | 'prefix_task_rows'
>

export function fieldsOfRun({
  layout,
  parameters,
  task_names,
}: Pick<TuneResult, 'layout' | 'parameters' | 'task_names'>): PromptFields {
  const { prompt_embeddings, prefix_task_cols, prefix_task_rows } = tensorViews(layout, parameters)
  const { num_tasks, num_ranks } = layout
  return {
    num_virtual_tokens: layout.num_virtual_tokens,
    output_model_types: layout.stacks.map((stack): OutputModelType => (stack === 'encoder' ? 'ENCODER' : 'DECODER')),
    multitask: layout.tuning_type === 'MULTITASK_PROMPT_TUNING' ? { num_tasks, num_ranks, task_names } : null,
    rows: prompt_embeddings.slice(),
    prefix_task_cols: prefix_task_cols.slice(),
    prefix_task_rows: prefix_task_rows.slice(),
  }
}

export function fieldsOfTensors(prompt: PromptTensors): PromptFields {
  const { num_virtual_tokens, output_model_types, prompt_embeddings: rows } = prompt
  const shared = { num_virtual_tokens, output_model_types, rows }
  if (prompt.tuning_type === 'PROMPT_TUNING') {
    return { ...shared, multitask: null, prefix_task_cols: new Float32Array(0), prefix_task_rows: new Float32Array(0) }
  }
  const { num_tasks, num_ranks, task_names, prefix_task_cols, prefix_task_rows } = prompt
  return { ...shared, multitask: { num_tasks, num_ranks, task_names }, prefix_task_cols, prefix_task_rows }
}

export function promptTensors(record: PromptRecord): PromptTensors {
  const { base_model, num_virtual_tokens, output_model_types, multitask, rows, prefix_task_cols, prefix_task_rows } = record
  const shared = {
    kind: base_model.kind,
    hidden_size: base_model.hidden_size,
    num_virtual_tokens,
    output_model_types,
    prompt_embeddings: rows,
  }
  if (multitask === null) return { tuning_type: 'PROMPT_TUNING', ...shared }
  return { tuning_type: 'MULTITASK_PROMPT_TUNING', ...shared, ...multitask, prefix_task_cols, prefix_task_rows }
}

/**
 * Which of a prompt's tasks is meant: 0 for a prompt of one.
 * @throws CommandError when a prompt of several was asked for without saying which, or for one it has not
 */
export function taskIndex({ name, multitask }: PromptSummary, task: string | null): number {
  const names = multitask?.task_names ?? []
  if (names.length < 2 && task === null) return 0
  const index = names.indexOf(task ?? '')
  if (index >= 0) return index
  const known = names.slice(0, 8).join(', ') + (names.length > 8 ? ', ...' : '')
  throw new CommandError(
    'invalid',
    task === null ? `"${name}" is of several tasks, and none was chosen` : `"${name}" has no task "${task}"`,
    known === '' ? 'Leave the task out.' : `Choose one of its tasks: ${known}.`,
  )
}

/** The virtual tokens a task really gets, [num_virtual_tokens, hidden_size] for each part of the model that has some. */
export function taskRows(
  record: PromptRecord,
  task: string | null,
): { readonly encoder: Float32Array | null; readonly decoder: Float32Array | null } {
  const flat = flattenPrompt(promptTensors(record), taskIndex(record, task))
  return { encoder: rowsOfPart(flat, 'ENCODER'), decoder: rowsOfPart(flat, 'DECODER') }
}
