/**
 * What the library keeps of a tuned prompt: the rows, where they came from and how well they did. Plain data, stored in
 * IndexedDB as is, sent to the page without the rows.
 */
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

/** Numbers over the validation rows; rates are 0..1, null where the measure does not apply. */
export interface Metrics {
  /** Mean cross-entropy per label token, nats. */
  readonly loss: number
  readonly exact_match: number
  /** Share of rows whose own label is the likeliest of all labels; null unless the outputs are few distinct labels. */
  readonly label_accuracy: number | null
}

export interface Prediction {
  readonly input: string
  readonly expected: string
  readonly predicted: string
  readonly exact: boolean
}

/** Metrics with the predictions behind them. */
export interface Evaluation {
  readonly metrics: Metrics
  readonly predictions: readonly Prediction[]
}

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
  readonly baseline: Evaluation | null
  readonly tuned: Evaluation | null
  readonly counters: StepCounters
  readonly peak_memory_bytes: number
  readonly seconds: number
  /** Why it ended: all epochs done, patience ran out, or the user stopped it. */
  readonly finished: 'completed' | 'early_stopped' | 'cancelled'
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
  /** [num_virtual_tokens, hidden_size], row-major, fp32. */
  readonly rows: Float32Array
  readonly report: TuneReport | null
}

export type PromptSummary = Omit<PromptRecord, 'rows'>
