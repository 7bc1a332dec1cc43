/**
 * The run in progress, or the last one: what the worker reports, kept for drawing. Reports may come hundreds of times a second,
 * so steps go into plain arrays and the page is told of them once per animation frame.
 */
import type { PendingRequest, TunerClient } from '../../client'
import type { BaselineName, EpochRecord, Evaluation, StepRecord } from '../../library/prompt-record'
import type { Job } from '../../job/parameters'
import type { Example } from '../../job/records'
import type { Failure, InterruptedRun, Progress, TuneResult } from '../../protocol'
import { secondsLeft, typicalStep } from '../logic/time-left'
import { failureOf } from './failure'
import { keepScreenOn } from './wake-lock'

export type Started = Extract<Progress, { type: 'tune_started' }>
/** What was measured of the run's model, with and without the prompt. */
export type Measured = Readonly<Partial<Record<BaselineName | 'tuned', Evaluation>>>
export type Phase = 'idle' | 'starting' | 'running' | 'paused' | 'stopping' | 'done' | 'failed'

export class RunState {
  phase = $state<Phase>('idle')
  name = $state('')
  /** null for a continued run, whose job the page does not know. */
  job = $state.raw<Job | null>(null)
  started = $state.raw<Started | null>(null)
  stage = $state('')
  measured = $state.raw<Measured>({})
  epochs = $state.raw<readonly EpochRecord[]>([])
  bestEpoch = $state<number | null>(null)
  latest = $state.raw<StepRecord | null>(null)
  memoryBytes = $state(0)
  result = $state.raw<TuneResult | null>(null)
  failure = $state.raw<Failure | null>(null)
  interrupted = $state.raw<readonly InterruptedRun[]>([])
  /** Changes when there is something new to draw. */
  version = $state(0)
  /** A command (pause, resume, cancel) is on its way. */
  waiting = $state(false)

  readonly steps: StepRecord[] = []
  private readonly times: number[] = []
  private frame = 0
  private pending: { step: StepRecord; memory: number } | null = null

  readonly baseline: Evaluation | null = $derived(this.measured.baseline ?? null)
  readonly tuned: Evaluation | null = $derived(this.measured.tuned ?? null)
  readonly active: boolean = $derived(['starting', 'running', 'paused', 'stopping'].includes(this.phase))
  readonly totalSteps: number = $derived(this.started?.total_steps ?? 0)
  readonly share: number = $derived(this.totalSteps > 0 ? Math.min(1, (this.latest?.step ?? 0) / this.totalSteps) : 0)
  readonly secondsLeft: number | null = $derived.by(() => {
    void this.version
    return secondsLeft(this.times, this.latest?.step ?? 0, this.totalSteps)
  })
  readonly stepMs: number | null = $derived.by(() => {
    void this.version
    return typicalStep(this.times)
  })

  constructor(
    private readonly client: TunerClient,
    private readonly whenDone: (result: TuneResult) => void,
  ) {}

  async tune(job: Job, name: string, train: readonly Example[], validation: readonly Example[] | null): Promise<void> {
    this.job = job
    await this.follow(name, (onProgress) => this.client.request('tune', { job, name, train, validation }, onProgress))
  }

  async continueRun(run: InterruptedRun): Promise<void> {
    this.interrupted = this.interrupted.filter((other) => other.run !== run.run)
    this.job = null
    await this.follow(run.name, (onProgress) => this.client.request('resume_run', { run: run.run }, onProgress))
  }

  async findInterrupted(): Promise<void> {
    try {
      this.interrupted = await this.client.request('interrupted_runs', {})
    } catch {
      // Where nothing can be stored, nothing can have been interrupted; the storage view says why.
      this.interrupted = []
    }
  }

  async discard(run: InterruptedRun): Promise<void> {
    await this.command(() => this.client.request('discard_run', { run: run.run }))
    await this.findInterrupted()
  }

  pause = (): Promise<void> => this.command(() => this.client.request('pause', {}))
  resume = (): Promise<void> => this.command(() => this.client.request('resume', {}))

  async cancel(): Promise<void> {
    const before = this.phase
    this.phase = 'stopping'
    await this.command(async () => {
      try {
        await this.client.request('cancel', {})
      } catch (error) {
        if (this.phase === 'stopping') this.phase = before
        throw error
      }
    })
  }

  private async command(send: () => Promise<unknown>): Promise<void> {
    this.waiting = true
    try {
      await send()
    } catch (error) {
      this.failure = failureOf(error)
    }
    this.waiting = false
  }

  private async follow(
    name: string,
    send: (onProgress: (progress: Progress) => void) => PendingRequest<TuneResult>,
  ): Promise<void> {
    this.clear(name)
    const release = keepScreenOn()
    try {
      const result = await send((progress) => this.note(progress))
      this.flush()
      this.result = result
      this.measured = measuredIn(result)
      this.epochs = result.report.epochs
      this.bestEpoch = result.report.best_epoch
      this.phase = 'done'
      this.whenDone(result)
    } catch (error) {
      this.flush()
      this.failure = failureOf(error)
      this.phase = 'failed'
      // It may have left a checkpoint to go on from.
      void this.findInterrupted()
    }
    this.version++
    release()
  }

  private clear(name: string): void {
    this.phase = 'starting'
    this.name = name
    this.started = null
    this.stage = ''
    this.measured = {}
    this.epochs = []
    this.bestEpoch = null
    this.latest = null
    this.memoryBytes = 0
    this.result = null
    this.failure = null
    this.steps.length = 0
    this.times.length = 0
    this.pending = null
    this.version++
  }

  private note(progress: Progress): void {
    switch (progress.type) {
      case 'tune_started':
        this.started = progress
        if (this.phase === 'starting') this.phase = 'running'
        return
      case 'stage':
        this.stage = progress.text
        return
      case 'evaluated':
        this.measured = { ...this.measured, [progress.which]: progress.evaluation }
        return
      case 'epoch':
        this.epochs = [...this.epochs.filter((epoch) => epoch.epoch !== progress.epoch.epoch), progress.epoch]
        if (progress.best) this.bestEpoch = progress.epoch.epoch
        this.redraw()
        return
      case 'paused':
        if (this.phase !== 'stopping') this.phase = progress.paused ? 'paused' : 'running'
        return
      case 'step':
        this.steps.push(progress.step)
        this.times.push(progress.step.ms)
        this.pending = { step: progress.step, memory: progress.memory_bytes }
        this.redraw()
        return
      case 'model_progress':
        this.stage =
          progress.stage === 'wait'
            ? `Waiting for another tab that downloads ${progress.file}`
            : `Opening the model: ${progress.file}`
        return
      case 'token':
        return
    }
  }

  private redraw(): void {
    this.frame ||= requestAnimationFrame(() => this.flush())
  }

  private flush(): void {
    cancelAnimationFrame(this.frame)
    this.frame = 0
    if (this.pending) {
      this.latest = this.pending.step
      this.memoryBytes = this.pending.memory
      this.stage = ''
      this.pending = null
    }
    this.version++
  }
}

/** A run that was continued measured its baselines before: the report has them. */
function measuredIn({ report }: TuneResult): Measured {
  const { baseline, text_prompt, few_shot, tuned } = report
  return Object.fromEntries(
    Object.entries({ baseline, text_prompt, few_shot, tuned }).filter(([, evaluation]) => evaluation !== null),
  )
}
