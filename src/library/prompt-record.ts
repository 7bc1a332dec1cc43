/**
 * What the library keeps of a tuned prompt: the rows, where they came from and how well they did. Plain data, stored in
 * IndexedDB as is, sent to the page without the rows.
 */
import type { OutputModelType } from '../job/check-model'
import type { Job } from '../job/parameters'
import type { Device } from '../engine/engine'

export interface BaseModelRef {
  /** Hub id, or the name of an embedded or dropped model. */
  readonly id: string
  readonly revision: string
  readonly model_dtype: string
  /** SHA-256 (hex) of the ONNX file the prompt was tuned on. */
  readonly file_sha256: string
  readonly kind: 'causal-lm' | 'seq2seq'
  readonly hidden_size: number
  readonly vocab_size: number
}

/**
 * Numbers over the validation rows; rates are 0..1. On data with few distinct outputs (labels) the label measures, else the text measures;
 * null where one does not apply, or was not measured (after an epoch only what needs no decoding to the end is).
 */
export interface Metrics {
  /** Mean cross-entropy per label token, nats. */
  readonly loss: number
  /** exp(loss). */
  readonly perplexity: number
  readonly exact_match: number
  /** Share of rows whose own label is the likeliest of all labels. */
  readonly label_accuracy: number | null
  /** F1 of the likeliest labels, the unweighted mean over labels. */
  readonly macro_f1: number | null
  /** Means over rows of ROUGE-L and of the F1 of words in common. */
  readonly rouge_l: number | null
  readonly token_f1: number | null
}

export interface Prediction {
  readonly input: string
  readonly expected: string
  readonly predicted: string
  readonly exact: boolean
  /** null where examples name no tasks. */
  readonly task: string | null
}

export interface TaskMetrics {
  readonly task: string
  readonly rows: number
  readonly metrics: Metrics
}

/** Metrics with the predictions behind them. */
export interface Evaluation {
  readonly metrics: Metrics
  readonly predictions: readonly Prediction[]
  /** Of each task, where examples name more than one. */
  readonly tasks: readonly TaskMetrics[]
}

/** What a tuned prompt is compared with: the model as it is, with an instruction in words in front, with solved examples in front. */
export const BASELINES = ['baseline', 'text_prompt', 'few_shot'] as const
export type BaselineName = (typeof BASELINES)[number]

/** One optimizer step. `loss` is the token mean over the step's rows; `ms` its wall time. */
export interface StepRecord {
  readonly step: number
  readonly epoch: number
  readonly loss: number
  readonly learning_rate: number
  readonly ms: number
}

export interface EpochRecord {
  readonly epoch: number
  readonly train_loss: number
  /** null when there are no validation rows. */
  readonly validation_loss: number | null
  readonly metrics: Metrics | null
}

/** Per optimizer step, the mean over the run's second half (after warm-up). live_tensors is the count at the end. */
export interface StepCounters {
  readonly dispatches: number
  readonly submits: number
  readonly buffers_created: number
  readonly live_tensors: number
}

/** The report of a run, as written to report.json. */
export interface TuneReport {
  readonly device: Device
  readonly seed: number
  readonly learning_rate: number
  readonly steps: readonly StepRecord[]
  readonly epochs: readonly EpochRecord[]
  /** The epoch whose prompt was kept (lowest validation loss; the last without validation rows). */
  readonly best_epoch: number
  /** null: not asked for, or no validation rows. */
  readonly baseline: Evaluation | null
  readonly text_prompt: Evaluation | null
  readonly few_shot: Evaluation | null
  readonly tuned: Evaluation | null
  readonly counters: StepCounters
  readonly peak_memory_bytes: number
  readonly seconds: number
  /** Why it ended: all epochs done, patience ran out, or the user stopped it. */
  readonly finished: 'completed' | 'early_stopped' | 'cancelled'
}

/** A multitask prompt's tasks, in the order of its tensors. */
export interface MultitaskShape {
  readonly num_tasks: number
  readonly num_ranks: number
  /** num_tasks names; those of an imported adapter are numbers. */
  readonly task_names: readonly string[]
}

export interface PromptRecord {
  readonly id: string
  readonly name: string
  /** ISO 8601. */
  readonly created: string
  readonly origin: 'tuned' | 'imported'
  readonly base_model: BaseModelRef
  /** null for an imported adapter that carried none. */
  readonly job: Job | null
  readonly num_virtual_tokens: number
  /** Which parts of the model have virtual tokens, in the order of the rows; num_virtual_tokens in each. M of them. */
  readonly output_model_types: readonly OutputModelType[]
  /** null: PROMPT_TUNING. */
  readonly multitask: MultitaskShape | null
  /** [M * num_virtual_tokens, hidden_size], row-major, fp32; of a multitask prompt the part all tasks share. */
  readonly rows: Float32Array
  /** [num_tasks, M * num_virtual_tokens, num_ranks] and [num_tasks, num_ranks, hidden_size]; empty for PROMPT_TUNING. */
  readonly prefix_task_cols: Float32Array
  readonly prefix_task_rows: Float32Array
  readonly report: TuneReport | null
}

export type { OutputModelType }
export type PromptSummary = Omit<PromptRecord, 'rows' | 'prefix_task_cols' | 'prefix_task_rows'>
