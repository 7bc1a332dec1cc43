/**
 * Everything a run has at hand while it tunes: data, state, device, watcher, switches. Each method is one line of the algorithm in tune.ts;
 * the order they are called in is there, not here.
 */
import type { FrozenModel } from '../engine/frozen-model'
import type { MemoryEstimate } from '../engine/memory'
import type { Job } from '../job/parameters'
import type { Example } from '../job/records'
import type { BaselineName, Evaluation, TuneReport } from '../library/prompt-record'
import { Assembler, needOf } from './assemble'
import { baselinesOf, baselineSequences } from './baselines'
import { epochGroups } from './batches'
import type { Batch } from './batches'
import { fingerprint } from './checkpoint'
import type { TuneCheckpoint } from './checkpoint'
import { TuneControl } from './control'
import type { Gate } from './control'
import { TuningError } from './errors'
import { evaluate, measure } from './evaluate'
import type { HeldOut } from './evaluate'
import { initialParameters } from './initialize'
import type { SourcePrompt } from './initialize'
import { labelSlots, longestLabel } from './labels'
import { resolveLearningRate } from './learning-rate'
import type { LearningRate } from './learning-rate'
import { Meter } from './meter'
import type { TuneObserver } from './observer'
import { largestStep, prepare } from './prepare'
import type { Prepared } from './prepare'
import { newOptimizerState } from './optimizer'
import type { TuneResult } from './result'
import { Run } from './run'
import { scheduleFactor } from './schedule'
import type { Scorer } from './score'
import type { BuiltSequence } from './sequences'
import { Shapes } from './shapes'
import { NO_PROMPT, parameterCount, promptsOf } from './soft-prompt'
import type { Prompts } from './soft-prompt'
import { trainStep } from './step'
import type { StepSettings } from './step'
import type { Tokenizer } from './tokenizer'

export interface TuneOptions {
  readonly job: Job
  readonly model: FrozenModel
  readonly tokenizer: Tokenizer
  readonly train: readonly Example[]
  /** null: job.validation's share of `train` is held out. */
  readonly validation: readonly Example[] | null
  /** The prompt that source methods start from. */
  readonly source?: SourcePrompt | null
  readonly observer?: TuneObserver
  readonly control?: TuneControl
  /** Go on from here instead of from the start. Job and examples must be the same. */
  readonly resume?: TuneCheckpoint
  /** At most one checkpoint in this many milliseconds (0: after every step), and one when paused. */
  readonly checkpoint_every_ms?: number
}

const CHECKPOINT_EVERY_MS = 10_000

const STAGES: Readonly<Record<BaselineName | 'tuned', string>> = {
  baseline: 'Measuring the untuned model',
  text_prompt: 'Measuring the untuned model with an instruction',
  few_shot: 'Measuring the untuned model with solved examples',
  tuned: 'Measuring the tuned prompt',
}

/** @throws TuningError with what to change, before anything is loaded that would not fit */
function requireFit(estimate: MemoryEstimate | null): void {
  if (estimate?.verdict === 'does_not_fit') throw new TuningError(estimate.summary, estimate.advice.join(' '))
}

export class Session {
  readonly run: Run
  private readonly job: Job
  private readonly model: FrozenModel
  private readonly data: Prepared
  private readonly rate: LearningRate
  private readonly observer: TuneObserver
  private readonly control: TuneControl
  private readonly assembler: Assembler
  private readonly meter: Meter
  private readonly settings: StepSettings
  private readonly gate: Gate
  private lastCheckpoint: number

  /** Splits, tokenizes and plans; makes the initial prompt or restores the saved run. Throws TuningError. */
  constructor(private readonly options: TuneOptions) {
    const { job, model, tokenizer, observer = {}, control = new TuneControl() } = options
    this.job = job
    this.model = model
    this.observer = observer
    this.control = control
    this.data = prepare(job, model, tokenizer, options.train, options.validation)
    requireFit(model.memory(largestStep(this.data)))
    const { layout } = this.data
    this.rate = resolveLearningRate(job.learning_rate, model.embedding_std)
    const mark = fingerprint(job, model.hidden_size, this.data.train, this.data.held?.sequences ?? [])
    const state = newOptimizerState(job.optimizer, layout)
    if (options.resume) this.run = Run.restore(options.resume, mark, parameterCount(layout), state)
    else {
      const outputs = this.data.train_examples.map(({ output }) => output)
      const source = options.source ?? null
      this.run = new Run(mark, initialParameters(job, { layout, model, tokenizer, outputs, source }), state)
    }
    this.assembler = new Assembler(model, this.data.batch_size)
    this.meter = new Meter(model, control, this.run.seconds_before, this.run.peak_before)
    this.settings = {
      weighting: job.preset === 'caikit' ? 'caikit' : 'token_mean',
      accumulate_steps: job.accumulate_steps,
      max_grad_norm: job.max_grad_norm,
      optimizer: job.optimizer,
      weight_decay: job.weight_decay,
    }
    this.gate = this.newGate()
    this.lastCheckpoint = this.meter.now()
  }

  async announce(): Promise<void> {
    const { data, rate } = this
    const rows = [...data.train, ...(data.held?.sequences ?? [])]
    await this.observer.started?.({
      learning_rate: rate.learning_rate,
      learning_rate_reason: rate.reason,
      total_steps: data.total_steps,
      train_rows: data.train.length,
      validation_rows: data.held?.sequences.length ?? 0,
      truncated: rows.filter((row) => row.truncated_source || row.truncated_target).length,
      notices: [...data.notices, ...this.baselineNotices()],
    })
  }

  /** The untuned model, without virtual tokens: reading the verbalized input, or with words in front of it. False: cancelled. */
  async measureBaselines(): Promise<boolean> {
    const { data, run } = this
    if (!data.held) return true
    for (const name of baselinesOf(this.job)) {
      if (run.baselines[name]) continue
      const sequences = this.baselineRows(name, data.held)
      if (sequences === null) continue
      const scorer = { ...this.scorer(this.gate), shapes: this.baselineShapes(sequences) }
      run.baselines[name] = await this.evaluateAs(name, NO_PROMPT, { ...data.held, sequences }, scorer)
      if (run.baselines[name] === null) return false
    }
    return true
  }

  private baselineRows(name: BaselineName, { examples: rows, labels }: HeldOut): readonly BuiltSequence[] | null {
    const { data, job } = this
    const { train_examples: train, limits } = data
    const longest_label = longestLabel(labels)
    return baselineSequences(name, { job, rows, train, limits, tokenizer: this.options.tokenizer, longest_label })
  }

  /** What is said at the start besides the data's own notices. */
  private baselineNotices(): readonly string[] {
    const { held } = this.data
    const one = held && { ...held, examples: held.examples.slice(0, 1) }
    const wanted = one !== null && baselinesOf(this.job).includes('text_prompt')
    if (!wanted || this.baselineRows('text_prompt', one) !== null) return []
    return ['The instruction to compare with is too long for the model to read before an input; that comparison is left out.']
  }

  /** Words in front make rows longer than those trained on. */
  private baselineShapes(sequences: readonly BuiltSequence[]): Shapes {
    const slots = labelSlots(this.data.held?.labels ?? [])
    const needs = sequences.map((sequence) => needOf(sequence, { encoder: 0, decoder: 0 }))
    return new Shapes(needs, this.model.max_positions, slots, this.model.single_shape ? 1 : undefined)
  }

  /** The epoch's groups of batches that are still to do: one optimizer step each. */
  remainingGroups(): readonly Batch[][] {
    const groups = epochGroups(this.data.needs, this.data.shapes, {
      seed: this.job.seed,
      epoch: this.run.epoch,
      batch_size: this.data.batch_size,
      accumulate_steps: this.job.accumulate_steps,
      bucketed: this.job.preset !== 'caikit',
    })
    return groups.slice(this.run.group)
  }

  /** One optimizer step. False: cancelled before it was complete, and nothing has moved. */
  async step(group: readonly Batch[]): Promise<boolean> {
    const { run, meter, data } = this
    const began = meter.now()
    meter.look()
    const learning_rate = this.rate.learning_rate * scheduleFactor(data.schedule, run.step)
    const done = await trainStep(
      this.model,
      this.assembler,
      { layout: data.layout, parameters: run.parameters },
      run.optimizer,
      group,
      data.train,
      learning_rate,
      this.settings,
      this.gate,
    )
    if (done === null) return false
    if (done.diverged !== null) throw this.diverged(done.diverged)
    const record = { step: run.step, epoch: run.epoch, loss: done.loss, learning_rate, ms: meter.now() - began }
    run.stepDone(record, done.labels)
    await this.observer.step?.(record, meter.stepDone())
    await this.checkpointIfDue()
    return true
  }

  /** Validates and closes the epoch, keeps the prompt if it is the best. False: cancelled. */
  async closeEpoch(): Promise<boolean> {
    const { run, data } = this
    const prompts = promptsOf(data.layout, run.parameters)
    const metrics = data.held ? await measure(this.scorer(this.gate), prompts, data.held, this.options.tokenizer) : null
    this.assembler.encodings.forgetPrompted()
    if (data.held && metrics === null) return false
    if (metrics && !Number.isFinite(metrics.loss)) throw this.diverged('The validation loss is not a finite number')
    const best = run.epochDone(metrics, this.job.early_stopping_patience)
    const record = run.epochs.at(-1)
    if (record) await this.observer.epoch?.(record, best, run.best?.metrics ?? null)
    await this.checkpointIfDue()
    return true
  }

  /** Measures the prompt to keep and closes the run. A cancel while it is measured leaves the measuring out. */
  async finish(finished: TuneReport['finished']): Promise<TuneResult> {
    const { held, layout } = this.data
    const prompts = promptsOf(layout, this.run.kept().parameters)
    const tuned = held ? await this.evaluateAs('tuned', prompts, held, this.scorer(this.newGate())) : null
    return this.result(finished, tuned)
  }

  private result(finished: TuneReport['finished'], tuned: Evaluation | null): TuneResult {
    const { run, meter, data } = this
    const { parameters, epoch } = run.kept()
    const report: TuneReport = {
      device: this.model.device,
      seed: this.job.seed,
      learning_rate: this.rate.learning_rate,
      steps: run.steps,
      epochs: run.epochs,
      best_epoch: epoch,
      ...run.baselines,
      tuned,
      counters: meter.counters(),
      peak_memory_bytes: meter.peak_memory_bytes,
      seconds: meter.seconds(),
      finished,
    }
    return { layout: data.layout, task_names: data.tasks.names, parameters, report }
  }

  private diverged(what: string): TuningError {
    const { learning_rate } = this.rate
    return new TuningError(
      `${what} at step ${this.run.step + 1} (epoch ${this.run.epoch}), with learning rate ${learning_rate}.`,
      `Lower learning_rate, for example to ${Number((learning_rate / 10).toPrecision(2))}, or set max_grad_norm to 1.`,
      // As if it had been cancelled before the step that failed.
      this.run.step > 0 ? this.result('cancelled', null) : null,
    )
  }

  private scorer(gate: Gate): Scorer {
    const { model, assembler, data, meter } = this
    return { model, assembler, shapes: data.score_shapes, batch_size: data.batch_size, gate, onBatch: () => void meter.look() }
  }

  private async evaluateAs(
    which: BaselineName | 'tuned',
    prompts: Prompts,
    held: HeldOut,
    scorer: Scorer,
  ): Promise<Evaluation | null> {
    await this.observer.stage?.(STAGES[which])
    const evaluation = await evaluate(scorer, prompts, held, this.options.tokenizer)
    if (evaluation) await this.observer.evaluated?.(which, evaluation)
    return evaluation
  }

  private newGate(): Gate {
    return this.control.gate(async (paused) => {
      if (paused) await this.saveCheckpoint()
      await this.observer.paused?.(paused)
    })
  }

  private async saveCheckpoint(): Promise<void> {
    this.lastCheckpoint = this.meter.now()
    await this.observer.checkpoint?.(this.run.checkpoint(this.meter.seconds(), this.meter.peak_memory_bytes))
  }

  private async checkpointIfDue(): Promise<void> {
    const every = this.options.checkpoint_every_ms ?? CHECKPOINT_EVERY_MS
    if (this.meter.now() - this.lastCheckpoint >= every) await this.saveCheckpoint()
  }
}
