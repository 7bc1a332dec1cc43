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
  MultitaskShape,
  OutputModelType,
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

/** Measures that older records lack. */
const newer = v.optional(v.nullable(real), null)

export const MetricsSchema: Schema<Metrics> = v.pipe(
  v.object({
    loss: real,
    perplexity: v.optional(real),
    exact_match: real,
    label_accuracy: v.nullable(real),
    macro_f1: newer,
    rouge_l: newer,
    token_f1: newer,
  }),
  v.transform((metrics) => ({ ...metrics, perplexity: metrics.perplexity ?? Math.exp(metrics.loss) })),
)

const prediction = v.object({
  input: text,
  expected: text,
  predicted: text,
  exact: v.boolean(),
  task: v.optional(v.nullable(text), null),
})
export const EvaluationSchema: Schema<Evaluation> = v.object({
  metrics: MetricsSchema,
  predictions: v.array(prediction),
  tasks: v.optional(v.array(v.object({ task: text, rows: count, metrics: MetricsSchema })), []),
})

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
  text_prompt: v.optional(v.nullable(EvaluationSchema), null),
  few_shot: v.optional(v.nullable(EvaluationSchema), null),
  tuned: v.nullable(EvaluationSchema),
  counters: v.object({ dispatches: real, submits: real, buffers_created: real, live_tensors: real }),
  peak_memory_bytes: real,
  seconds: real,
  finished: v.picklist(['completed', 'early_stopped', 'cancelled']),
})

const BaseModelRefSchema: Schema<BaseModelRef> = v.object({
  id: v.pipe(text, v.minLength(1)),
  revision: text,
  model_dtype: text,
  file_sha256: text,
  kind: v.picklist(['causal-lm', 'seq2seq']),
  hidden_size: positive,
  vocab_size: positive,
})

const multitask: Schema<MultitaskShape> = v.pipe(
  v.object({ num_tasks: positive, num_ranks: positive, task_names: v.array(text) }),
  v.check(({ num_tasks, task_names }) => task_names.length === num_tasks, 'Expected a name for every task'),
)

// Records made before there was a choice are of causal models.
const output_model_types: Schema<readonly OutputModelType[]> = v.optional(
  v.pipe(v.array(v.picklist(['ENCODER', 'DECODER'])), v.minLength(1), v.maxLength(2)),
  ['DECODER'],
)

const summaryEntries = {
  id: v.pipe(text, v.minLength(1)),
  name: text,
  created: text,
  origin: v.picklist(['tuned', 'imported']),
  base_model: BaseModelRefSchema,
  job: v.nullable(JobSchema),
  num_virtual_tokens: positive,
  output_model_types,
  multitask: v.optional(v.nullable(multitask), null),
  report: v.nullable(TuneReportSchema),
}

export const PromptSummarySchema: Schema<PromptSummary> = v.object(summaryEntries)

const tensor = v.pipe(
  v.instance(Float32Array),
  v.check((values) => values.every(Number.isFinite), 'Expected finite values'),
)
const noTensor = () => new Float32Array(0)

/** With the tensors: as long as the sizes say, all finite. */
export const PromptRecordSchema: Schema<PromptRecord> = v.pipe(
  v.object({
    ...summaryEntries,
    rows: tensor,
    prefix_task_cols: v.optional(tensor, noTensor),
    prefix_task_rows: v.optional(tensor, noTensor),
  }),
  v.forward(
    v.check((record) => record.rows.length === sizesOf(record).rows, 'Expected a row for every virtual token'),
    ['rows'],
  ),
  v.forward(
    v.check(
      (record) => record.prefix_task_cols.length === sizesOf(record).cols,
      'Expected num_ranks values for every task and row',
    ),
    ['prefix_task_cols'],
  ),
  v.forward(
    v.check(
      (record) => record.prefix_task_rows.length === sizesOf(record).taskRows,
      'Expected num_ranks * hidden_size values for every task',
    ),
    ['prefix_task_rows'],
  ),
)

function sizesOf({ output_model_types, num_virtual_tokens, base_model, multitask }: PromptSummary) {
  const N = output_model_types.length * num_virtual_tokens
  const { num_tasks, num_ranks } = multitask ?? { num_tasks: 0, num_ranks: 0 }
  return {
    rows: N * base_model.hidden_size,
    cols: num_tasks * N * num_ranks,
    taskRows: num_tasks * num_ranks * base_model.hidden_size,
  }
}
