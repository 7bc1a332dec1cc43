/** The state of a run: what is trained, where it stands, what was best. It can be saved at any step and restored. */
import type { EpochRecord, Evaluation, Metrics, StepRecord } from '../library/prompt-record'
import type { TuneCheckpoint } from './checkpoint'
import { TuningError } from './errors'
import { newAdamWState } from './optimizer'
import type { AdamWState } from './optimizer'

interface Best {
  readonly rows: Float32Array
  readonly epoch: number
  readonly metrics: Metrics
}

export class Run {
  adam: AdamWState
  epoch = 1
  /** Groups of the current epoch that are done. */
  group = 0
  best: Best | null = null
  stopped = false
  baseline: Evaluation | null = null
  readonly steps: StepRecord[] = []
  readonly epochs: EpochRecord[] = []
  /** Before the last interruption. */
  seconds_before = 0
  peak_before = 0
  private lossSum = 0
  private labels = 0

  constructor(
    private readonly fingerprint: string,
    /** [n, H] */
    readonly rows: Float32Array,
  ) {
    this.adam = newAdamWState(rows.length)
  }

  /** @throws TuningError when the checkpoint is of another job or other data. */
  static restore(checkpoint: TuneCheckpoint, fingerprint: string, size: number): Run {
    const { rows, m, v } = checkpoint
    if (checkpoint.fingerprint !== fingerprint || rows.length !== size || m.length !== size || v.length !== size) {
      throw new TuningError('The saved run belongs to another job, model or other examples.', 'Start the run anew.')
    }
    const run = new Run(fingerprint, rows.slice())
    run.adam = { m: m.slice(), v: v.slice(), step: checkpoint.step }
    run.epoch = checkpoint.epoch
    run.group = checkpoint.group
    run.lossSum = checkpoint.epoch_loss_sum
    run.labels = checkpoint.epoch_labels
    run.best = checkpoint.best && { ...checkpoint.best, rows: checkpoint.best.rows.slice() }
    run.stopped = checkpoint.stopped
    run.baseline = checkpoint.baseline
    run.steps.push(...checkpoint.steps)
    run.epochs.push(...checkpoint.epochs)
    run.seconds_before = checkpoint.seconds
    run.peak_before = checkpoint.peak_memory_bytes
    return run
  }

  checkpoint(seconds: number, peak_memory_bytes: number): TuneCheckpoint {
    return {
      version: 1,
      fingerprint: this.fingerprint,
      rows: this.rows.slice(),
      m: this.adam.m.slice(),
      v: this.adam.v.slice(),
      step: this.adam.step,
      epoch: this.epoch,
      group: this.group,
      epoch_loss_sum: this.lossSum,
      epoch_labels: this.labels,
      best: this.best && { ...this.best, rows: this.best.rows.slice(), metrics: { ...this.best.metrics } },
      stopped: this.stopped,
      steps: [...this.steps],
      epochs: this.epochs.map((epoch) => ({ ...epoch })),
      baseline: this.baseline && {
        metrics: { ...this.baseline.metrics },
        predictions: this.baseline.predictions.map((row) => ({ ...row })),
      },
      seconds,
      peak_memory_bytes,
    }
  }

  /** Optimizer steps done. */
  get step(): number {
    return this.adam.step
  }

  stepDone(record: StepRecord, labels: number): void {
    this.steps.push(record)
    this.lossSum += record.loss * labels
    this.labels += labels
    this.group += 1
  }

  /** Closes the epoch, keeps the prompt if it is the best so far. Returns whether it is. */
  epochDone(metrics: Metrics | null, patience: number | null): boolean {
    const epoch = this.epoch
    this.epochs.push({ epoch, train_loss: this.lossSum / this.labels, validation_loss: metrics?.loss ?? null, metrics })
    const better = metrics !== null && (this.best === null || metrics.loss < this.best.metrics.loss)
    if (better) this.best = { rows: this.rows.slice(), epoch, metrics }
    this.stopped = patience !== null && this.best !== null && epoch - this.best.epoch >= patience
    this.epoch += 1
    this.group = 0
    this.lossSum = 0
    this.labels = 0
    return better || metrics === null
  }

  /** The prompt to keep: the best by validation loss, else the present one; with the epoch it is from. */
  kept(): { rows: Float32Array; epoch: number } {
    return this.best
      ? { rows: this.best.rows.slice(), epoch: this.best.epoch }
      : { rows: this.rows.slice(), epoch: this.epochs.at(-1)?.epoch ?? 0 }
  }
}
