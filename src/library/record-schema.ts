/**
 * Runtime checks of what prompt-record.ts describes: for records read back from storage, and for those that cross between
 * worker and page. `tsc` holds the two files together.
 */
import * as v from 'valibot'
import { DEVICES } from '../engine/engine'
import { JobSchema } from '../job/parameters'
import type {
  BaseModelRef,
  EpochRecord,
  Evaluation,
  Metrics,
  PromptRecord,
  PromptSummary,
  StepRecord,
  TuneReport,
} from './prompt-record'

type Schema<Output> = v.GenericSchema<unknown, Output>

const text = v.string()
/** NaN included: a loss that ran away is still to be shown. */
const real = v.custom<number>((input) => typeof input === 'number', 'Expected a number')
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const positive = v.pipe(v.number(), v.safeInteger(), v.minValue(1))

export const MetricsSchema: Schema<Metrics> = v.object({ loss: real, exact_match: real, label_accuracy: v.nullable(real) })

const prediction = v.object({ input: text, expected: text, predicted: text, exact: v.boolean() })
export const EvaluationSchema: Schema<Evaluation> = v.object({ metrics: MetricsSchema, predictions: v.array(prediction) })

export const StepRecordSchema: Schema<StepRecord> = v.object({
  step: count,
  epoch: count,
  loss: real,
  learning_rate: real,
  ms: real,
})

export const EpochRecordSchema: Schema<EpochRecord> = v.object({
  epoch: count,
  train_loss: real,
  validation_loss: v.nullable(real),
  metrics: v.nullable(MetricsSchema),
})

export const TuneReportSchema: Schema<TuneReport> = v.object({
  device: v.picklist(DEVICES),
  seed: real,
  learning_rate: real,
  steps: v.array(StepRecordSchema),
  epochs: v.array(EpochRecordSchema),
  best_epoch: count,
  baseline: v.nullable(EvaluationSchema),
  tuned: v.nullable(EvaluationSchema),
  counters: v.object({ dispatches: real, submits: real, buffers_created: real, live_tensors: real }),
  peak_memory_bytes: real,
  seconds: real,
  finished: v.picklist(['completed', 'early_stopped', 'cancelled']),
})

export const BaseModelRefSchema: Schema<BaseModelRef> = v.object({
  id: v.pipe(text, v.minLength(1)),
  revision: text,
  model_dtype: text,
  file_sha256: text,
  kind: v.picklist(['causal-lm', 'seq2seq']),
  hidden_size: positive,
  vocab_size: positive,
})

const summaryEntries = {
  id: v.pipe(text, v.minLength(1)),
  name: text,
  created: text,
  origin: v.picklist(['tuned', 'imported']),
  base_model: BaseModelRefSchema,
  job: v.nullable(JobSchema),
  num_virtual_tokens: positive,
  report: v.nullable(TuneReportSchema),
}

export const PromptSummarySchema: Schema<PromptSummary> = v.object(summaryEntries)

/** With the rows: their number must be num_virtual_tokens * hidden_size, all finite. */
export const PromptRecordSchema: Schema<PromptRecord> = v.pipe(
  v.object({ ...summaryEntries, rows: v.instance(Float32Array) }),
  v.forward(
    v.check(
      (record) => record.rows.length === record.num_virtual_tokens * record.base_model.hidden_size,
      'Expected num_virtual_tokens * hidden_size values',
    ),
    ['rows'],
  ),
  v.forward(
    v.check((record) => record.rows.every(Number.isFinite), 'Expected finite values'),
    ['rows'],
  ),
)
