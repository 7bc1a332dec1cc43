/**
 * What is trained: the virtual tokens of a prompt, for one stack of the model or for both, shared by all tasks (PROMPT_TUNING) or scaled
 * for each (MULTITASK_PROMPT_TUNING, ../library/multitask.ts). All its numbers lie in one array, tensor after tensor, so that an
 * optimizer, a checkpoint and a gradient are one array each.
 *
 * It knows how parameters become rows, and gradients of rows gradients of parameters; where rows come from at first is initialize.ts.
 */
import type { Stack } from '../engine/frozen-model'
import { taskFactors, taskPrompt } from '../library/multitask'
import type { MultitaskTensors } from '../library/multitask'

export interface PromptLayout {
  readonly tuning_type: 'PROMPT_TUNING' | 'MULTITASK_PROMPT_TUNING'
  /** Where virtual tokens stand, the encoder before the decoder; n in each. Their rows follow each other in this order. */
  readonly stacks: readonly Stack[]
  readonly num_virtual_tokens: number
  readonly hidden_size: number
  /** T and r; 1 for PROMPT_TUNING. */
  readonly num_tasks: number
  readonly num_ranks: number
}

/** One of the tensors that lie in the array of parameters, row-major. */
export interface TensorSpec {
  readonly name: 'prompt_embeddings' | 'prefix_task_cols' | 'prefix_task_rows'
  readonly dims: readonly number[]
}

/** Virtual tokens of all stacks together, N. */
export const promptRows = ({ stacks, num_virtual_tokens }: PromptLayout): number => stacks.length * num_virtual_tokens

/** The tensors in the order they lie in, named as in PEFT's adapters. */
export function tensorsOf(layout: PromptLayout): readonly TensorSpec[] {
  const { tuning_type, hidden_size, num_tasks, num_ranks } = layout
  const N = promptRows(layout)
  const shared: TensorSpec = { name: 'prompt_embeddings', dims: [N, hidden_size] }
  if (tuning_type === 'PROMPT_TUNING') return [shared]
  return [
    shared,
    { name: 'prefix_task_cols', dims: [num_tasks, N, num_ranks] },
    { name: 'prefix_task_rows', dims: [num_tasks, num_ranks, hidden_size] },
  ]
}

const count = (dims: readonly number[]): number => dims.reduce((product, dim) => product * dim, 1)

/** Numbers trained. */
export const parameterCount = (layout: PromptLayout): number => tensorsOf(layout).reduce((sum, { dims }) => sum + count(dims), 0)

/** The tensors as views into the parameters; empty ones where the layout has none. */
export function tensorViews(layout: PromptLayout, parameters: Float32Array): MultitaskTensors {
  const views: Record<TensorSpec['name'], Float32Array> = {
    prompt_embeddings: EMPTY,
    prefix_task_cols: EMPTY,
    prefix_task_rows: EMPTY,
  }
  let at = 0
  for (const { name, dims } of tensorsOf(layout)) views[name] = parameters.subarray(at, (at += count(dims)))
  return { ...views, num_ranks: layout.num_ranks, hidden_size: layout.hidden_size }
}

/** The virtual tokens in front of one row: [n, H] for each stack, empty where there are none. */
export type RowPrompt = Readonly<Record<Stack, Float32Array>>

/** The virtual tokens by task. Asked twice for a task it gives the same arrays. */
export type Prompts = (task: number) => RowPrompt

const EMPTY = new Float32Array(0)
const NOTHING: RowPrompt = { encoder: EMPTY, decoder: EMPTY }

/** The untuned model's: none. */
export const NO_PROMPT: Prompts = () => NOTHING

/** The rows that parameters stand for now; changes of the parameters later do not show. */
export function promptsOf(layout: PromptLayout, parameters: Float32Array): Prompts {
  const tensors = tensorViews(layout, parameters.slice())
  const made = new Map<number, RowPrompt>()
  return (task) => {
    const key = layout.tuning_type === 'PROMPT_TUNING' ? 0 : task
    const known = made.get(key)
    if (known) return known
    const rows = layout.tuning_type === 'PROMPT_TUNING' ? tensors.prompt_embeddings : taskPrompt(tensors, key)
    const prompt = splitRows(layout, rows)
    made.set(key, prompt)
    return prompt
  }
}

function splitRows({ stacks, num_virtual_tokens, hidden_size }: PromptLayout, rows: Float32Array): RowPrompt {
  const size = num_virtual_tokens * hidden_size
  const parts: Record<Stack, Float32Array> = { ...NOTHING }
  stacks.forEach((stack, i) => (parts[stack] = rows.subarray(i * size, (i + 1) * size)))
  return parts
}

/**
 * From d loss / d rows of each task (G_t, [N,H], float64) to d loss / d parameters. With P_t = E (*) W_t and W_t = C_t R_t:
 *
 *     dE = sum of G_t (*) W_t,   dW_t = G_t (*) E,   dC_t = dW_t R_t^T,   dR_t = C_t^T dW_t
 */
export function parameterGradient(
  layout: PromptLayout,
  parameters: Float32Array,
  d_rows: ReadonlyMap<number, Float64Array>,
): Float32Array {
  const { hidden_size: d, num_ranks: r } = layout
  const N = promptRows(layout)
  const gradient = new Float64Array(parameters.length)
  if (layout.tuning_type === 'PROMPT_TUNING') {
    for (const rows of d_rows.values()) rows.forEach((value, i) => (gradient[i] = (gradient[i] ?? 0) + value))
    return Float32Array.from(gradient)
  }
  const tensors = tensorViews(layout, parameters)
  const { prompt_embeddings: E, prefix_task_cols: C, prefix_task_rows: R } = tensors
  const add = (index: number, value: number): void => void (gradient[index] = (gradient[index] ?? 0) + value)
  for (const [task, G] of d_rows) {
    const W = taskFactors(tensors, task)
    const [cols, rows] = [task * N * r, task * r * d]
    for (let i = 0; i < N; i++) {
      for (let j = 0; j < d; j++) {
        const at = i * d + j
        const g = G[at] ?? NaN
        add(at, g * (W[at] ?? NaN))
        const dW = g * (E[at] ?? NaN)
        for (let k = 0; k < r; k++) {
          const [c, b] = [cols + i * r + k, rows + k * d + j]
          add(E.length + c, dW * (R[b] ?? NaN))
          add(E.length + C.length + b, dW * (C[c] ?? NaN))
        }
      }
    }
  }
  return Float32Array.from(gradient)
}
