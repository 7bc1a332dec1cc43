/** The state of a run: what is trained, where it stands, what was best. It can be saved at any step and restored. */
import { BASELINES } from '../library/prompt-record'
import type { BaselineName, EpochRecord, Evaluation, Metrics, StepRecord } from '../library/prompt-record'
import type { TuneCheckpoint } from './checkpoint'
import { TuningError } from './errors'
import type { OptimizerState } from './optimizer'

interface Best {
  readonly parameters: Float32Array
  readonly epoch: number
  readonly metrics: Metrics
}

export class Run {
  epoch = 1
  /** Groups of the current epoch that are done. */
  group = 0
  best: Best | null = null
  stopped = false
  readonly baselines: Record<BaselineName, Evaluation | null> = { baseline: null, text_prompt: null, few_shot: null }
  readonly steps: StepRecord[] = []
  readonly epochs: EpochRecord[] = []
  /** Before the last interruption. */
  seconds_before = 0
  peak_before = 0
  private lossSum = 0
  private labels = 0

  constructor(
    private readonly fingerprint: string,
    /** All that is trained (soft-prompt.ts). */
    readonly parameters: Float32Array,
    readonly optimizer: OptimizerState,
  ) {}

  /**
   * @param fresh a new run's optimizer state: the saved one must have its sizes
   * @throws TuningError when the checkpoint is of another job or other data.
   */
  static restore(checkpoint: TuneCheckpoint, fingerprint: string, size: number, fresh: OptimizerState): Run {
    const { parameters, slots } = checkpoint
    const fits = slots.length === fresh.slots.length && slots.every((slot, i) => slot.length === fresh.slots[i]?.length)
    if (checkpoint.fingerprint !== fingerprint || parameters.length !== size || !fits) {
      throw new TuningError('The saved run belongs to another job, model or other examples.', 'Start the run anew.')
    }
    const state = { slots: slots.map((slot) => slot.slice()), step: checkpoint.step }
    const run = new Run(fingerprint, parameters.slice(), state)
    run.epoch = checkpoint.epoch
    run.group = checkpoint.group
    run.lossSum = checkpoint.epoch_loss_sum
    run.labels = checkpoint.epoch_labels
    run.best = checkpoint.best && { ...checkpoint.best, parameters: checkpoint.best.parameters.slice() }
    run.stopped = checkpoint.stopped
    for (const name of BASELINES) run.baselines[name] = checkpoint.baselines[name]
    run.steps.push(...checkpoint.steps)
    run.epochs.push(...checkpoint.epochs)
    run.seconds_before = checkpoint.seconds
    run.peak_before = checkpoint.peak_memory_bytes
    return run
  }

  checkpoint(seconds: number, peak_memory_bytes: number): TuneCheckpoint {
    return {
      version: 2,
      fingerprint: this.fingerprint,
      parameters: this.parameters.slice(),
      slots: this.optimizer.slots.map((slot) => slot.slice()),
      step: this.optimizer.step,
      epoch: this.epoch,
      group: this.group,
      epoch_loss_sum: this.lossSum,
      epoch_labels: this.labels,
      best: this.best && { ...this.best, parameters: this.best.parameters.slice(), metrics: { ...this.best.metrics } },
      stopped: this.stopped,
      steps: [...this.steps],
      epochs: this.epochs.map((epoch) => ({ ...epoch })),
      // Evaluations are made once and never change.
      baselines: { ...this.baselines },
      seconds,
      peak_memory_bytes,
    }
  }

  /** Optimizer steps done. */
  get step(): number {
    return this.optimizer.step
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
    if (better) this.best = { parameters: this.parameters.slice(), epoch, metrics }
    this.stopped = patience !== null && this.best !== null && epoch - this.best.epoch >= patience
    this.epoch += 1
    this.group = 0
    this.lossSum = 0
    this.labels = 0
    return better || metrics === null
  }

  /** The prompt to keep: the best by validation loss, else the present one; with the epoch it is from. */
  kept(): { parameters: Float32Array; epoch: number } {
    return this.best
      ? { parameters: this.best.parameters.slice(), epoch: this.best.epoch }
      : { parameters: this.parameters.slice(), epoch: this.epochs.at(-1)?.epoch ?? 0 }
  }
}
