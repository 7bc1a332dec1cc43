/**
 * Checkpoints: all of a run's state as plain data that can be cloned, posted and stored. A run that goes on from one gives the same bits as one
 * that was never interrupted. The order of the rows needs no saving: it follows from seed and epoch.
 */
import * as v from 'valibot'
import type { Job } from '../job/parameters'
import { EpochRecordSchema, EvaluationSchema, MetricsSchema, StepRecordSchema } from '../library/record-schema'
import { hash32 } from './random'
import type { TokenSequence } from './sequences'

const count = v.pipe(v.number(), v.integer(), v.minValue(0))
export const CheckpointSchema = v.object({
  version: v.literal(2),
  /** Of the job and its rows: a checkpoint only goes on with the data it was made from. */
  fingerprint: v.string(),
  /** What is trained, and what the optimizer remembers. */
  parameters: v.instance(Float32Array),
  slots: v.array(v.instance(Float32Array)),
  /** Optimizer steps done. */
  step: count,
  /** The epoch in progress (from 1), its groups done, and what its loss sums to so far. */
  epoch: v.pipe(count, v.minValue(1)),
  group: count,
  epoch_loss_sum: v.number(),
  epoch_labels: count,
  /** The prompt with the lowest validation loss so far; null before the first validation. */
  best: v.nullable(v.object({ parameters: v.instance(Float32Array), epoch: count, metrics: MetricsSchema })),
  /** Patience ran out. */
  stopped: v.boolean(),
  steps: v.array(StepRecordSchema),
  epochs: v.array(EpochRecordSchema),
  /** Those measured already. */
  baselines: v.object({
    baseline: v.nullable(EvaluationSchema),
    text_prompt: v.nullable(EvaluationSchema),
    few_shot: v.nullable(EvaluationSchema),
  }),
  seconds: v.number(),
  peak_memory_bytes: v.number(),
})

export type TuneCheckpoint = v.InferOutput<typeof CheckpointSchema>

/** What was stored, if it is a checkpoint of this version; null otherwise. */
export function readCheckpoint(stored: unknown): TuneCheckpoint | null {
  const parsed = v.safeParse(CheckpointSchema, stored)
  return parsed.success ? parsed.output : null
}

/** Tells jobs and data apart (64 bits, not cryptographic). The device may change between checkpoint and resume. */
export function fingerprint(job: Job, hidden_size: number, ...data: readonly (readonly TokenSequence[])[]): string {
  let a = hash32(JSON.stringify({ ...job, device: null, hidden_size }))
  let b = hash32('second', a)
  for (const part of data) {
    for (const { encoder, source, target, task } of part) {
      const text = `${task}:${encoder?.join(' ') ?? ''}|${source.join(' ')}>${target.join(' ')};`
      a = hash32(text, a)
      b = hash32(text, b ^ 0x5bd1e995)
    }
    a = hash32('|', a)
  }
  return a.toString(16).padStart(8, '0') + b.toString(16).padStart(8, '0')
}
