/**
 * Learning-rate schedules, as transformers.optimization defines them: a factor of the base rate for each optimizer step. Under
 * the caikit preset the steps are counted upstream's way.
 */
import type { Job } from '../job/parameters'

export interface Schedule {
  readonly kind: Job['schedule']
  readonly warmup_steps: number
  /** Steps after which linear and cosine have reached 0. */
  readonly total_steps: number
}

/**
 * The factor for optimizer step `step`, counted from 0 (get_linear_schedule_with_warmup, get_cosine_schedule_with_warmup,
 * get_constant_schedule_with_warmup). During warm-up step 0 has factor 0, as there.
 */
export function scheduleFactor({ kind, warmup_steps, total_steps }: Schedule, step: number): number {
  if (step < warmup_steps) return step / Math.max(1, warmup_steps)
  const span = Math.max(1, total_steps - warmup_steps)
  switch (kind) {
    case 'constant':
      return 1
    case 'linear':
      return Math.max(0, (total_steps - step) / span)
    case 'cosine':
      return Math.max(0, 0.5 * (1 + Math.cos(Math.PI * Math.min(1, (step - warmup_steps) / span))))
  }
}

export interface StepCounts {
  /** Batches in an epoch; the last may be short. */
  readonly batches_per_epoch: number
  /** Optimizer steps in an epoch: the last may have fewer than accumulate_steps batches. */
  readonly steps_per_epoch: number
  readonly total_steps: number
}

/** How often the prompt moves for this many training rows. */
export function countSteps(job: Pick<Job, 'batch_size' | 'accumulate_steps' | 'num_epochs'>, rows: number): StepCounts {
  const batches_per_epoch = Math.ceil(rows / job.batch_size)
  const steps_per_epoch = Math.ceil(batches_per_epoch / job.accumulate_steps)
  return { batches_per_epoch, steps_per_epoch, total_steps: steps_per_epoch * job.num_epochs }
}

/**
 * The job's schedule. caikit hands torch the number of *batches* as the total while accelerate advances it once an *optimizer step*, so
 * that with accumulation the rate hardly falls; the preset keeps that.
 */
export function scheduleOf(job: Job, counts: StepCounts): Schedule {
  const total_steps = job.preset === 'caikit' ? counts.batches_per_epoch * job.num_epochs : counts.total_steps
  return { kind: job.schedule, warmup_steps: job.warmup_steps, total_steps }
}
