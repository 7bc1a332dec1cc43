/**
 * A multitask prompt's arithmetic (Wang et al. 2023, https://arxiv.org/abs/2303.02861, as PEFT's MultitaskPromptEmbedding does it): all tasks
 * share the rows E; task t scales them element by element with a matrix of low rank, W_t = C_t R_t.
 */

/** The tensors of a multitask prompt, row-major, named as in PEFT's adapters. N rows of width d, T tasks, rank r. */
export interface MultitaskTensors {
  /** E [N,d] */
  readonly prompt_embeddings: Float32Array
  /** C [T,N,r] */
  readonly prefix_task_cols: Float32Array
  /** R [T,r,d] */
  readonly prefix_task_rows: Float32Array
  readonly num_ranks: number
  readonly hidden_size: number
}

const f = Math.fround

/** W_t = C_t R_t, [N,d], summed in fp32. */
export function taskFactors(tensors: MultitaskTensors, task: number): Float32Array {
  const { prompt_embeddings, prefix_task_cols, prefix_task_rows, num_ranks: r, hidden_size: d } = tensors
  const N = prompt_embeddings.length / d
  const [cols, rows] = [task * N * r, task * r * d]
  const factors = new Float32Array(N * d)
  for (let i = 0; i < N; i++) {
    for (let j = 0; j < d; j++) {
      let sum = 0
      for (let k = 0; k < r; k++) {
        sum = f(sum + f((prefix_task_cols[cols + i * r + k] ?? NaN) * (prefix_task_rows[rows + k * d + j] ?? NaN)))
      }
      factors[i * d + j] = sum
    }
  }
  return factors
}

/** P_t = E (*) W_t, [N,d]: the rows that stand in front of a text of task t. */
export function taskPrompt(tensors: MultitaskTensors, task: number): Float32Array {
  const factors = taskFactors(tensors, task)
  return tensors.prompt_embeddings.map((value, i) => value * (factors[i] ?? NaN))
}
