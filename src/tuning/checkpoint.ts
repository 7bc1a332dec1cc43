/**
 * Checkpoints: all of a run's state as plain data that can be cloned, posted and stored. A run that goes on from one gives the same bits as one
 * that was never interrupted. The order of the rows needs no saving: it follows from seed and epoch.
 */
import * as v from 'valibot'
import type { Job } from '../job/parameters'
import { hash32 } from './random'
import type { TokenSequence } from './sequences'

const count = v.pipe(v.number(), v.integer(), v.minValue(0))
const metrics = v.object({ loss: v.number(), exact_match: v.number(), label_accuracy: v.nullable(v.number()) })
const prediction = v.object({ input: v.string(), expected: v.string(), predicted: v.string(), exact: v.boolean() })

export const CheckpointSchema = v.object({
  version: v.literal(1),
  /** Of the job and its rows: a checkpoint only goes on with the data it was made from. */
  fingerprint: v.string(),
  /** [n, H] prompt and AdamW's moments. */
  rows: v.instance(Float32Array),
  m: v.instance(Float32Array),
  v: v.instance(Float32Array),
  /** Optimizer steps done. */
  step: count,
  /** The epoch in progress (from 1), its groups done, and what its loss sums to so far. */
  epoch: v.pipe(count, v.minValue(1)),
  group: count,
  epoch_loss_sum: v.number(),
  epoch_labels: count,
  /** The prompt with the lowest validation loss so far; null before the first validation. */
  best: v.nullable(v.object({ rows: v.instance(Float32Array), epoch: count, metrics })),
  /** Patience ran out. */
  stopped: v.boolean(),
  steps: v.array(v.object({ step: count, epoch: count, loss: v.number(), learning_rate: v.number(), ms: v.number() })),
  epochs: v.array(
    v.object({ epoch: count, train_loss: v.number(), validation_loss: v.nullable(v.number()), metrics: v.nullable(metrics) }),
  ),
  baseline: v.nullable(v.object({ metrics, predictions: v.array(prediction) })),
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
    for (const { source, target } of part) {
      const text = `${source.join(' ')}>${target.join(' ')};`
      a = hash32(text, a)
      b = hash32(text, b ^ 0x5bd1e995)
    }
    a = hash32('|', a)
  }
  return a.toString(16).padStart(8, '0') + b.toString(16).padStart(8, '0')
}
