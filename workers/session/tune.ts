/**
 * Runs: one at a time, over all tabs. Starts or resumes the tuning loop, reports what it does, keeps checkpoints, goes on by itself once
 * when the device is lost, and puts the finished prompt in the library.
 */
import { DeviceLostError } from '../../src/engine/engine'
import { checkJob } from '../../src/job/check-job'
import type { PromptRecord } from '../../src/library/prompt-record'
import { newId } from '../../src/library/prompts'
import type { RunRecord } from '../../src/library/runs'
import type { Commands, InterruptedRun, TuneResult } from '../../src/protocol'
import { readCheckpoint, type TuneCheckpoint } from '../../src/tuning/checkpoint'
import { TuneControl } from '../../src/tuning/control'
import { TuningCancelled, TuningError } from '../../src/tuning/errors'
import type { TuneObserver, TuneStart } from '../../src/tuning/observer'
import { tune, type TuneResult as Tuned } from '../../src/tuning/tune'
import { messageOf } from './devices'
import { CommandError, invalidJob } from './failures'
import { baseModelRef, tokenizerOf, type Models, type OpenModel } from './models'
import { fieldsOfRun } from './prompt-tensors'
import type { Report, Services } from './services'
import { checkBeforeDownload, sourceOf } from './source'

/** A run loses at most this much to a reload. */
const CHECKPOINT_EVERY_MS = 3000
const LOCK = 'promptlathe-training'
const LOCK_PATIENCE_MS = 2000

interface ActiveRun {
  readonly control: TuneControl
  /** Stops what comes before the first step: downloading, opening. */
  readonly abort: AbortController
  /** null until it is known. */
  base_model: string | null
}

interface Going {
  readonly run: RunRecord
  readonly report: Report
  readonly active: ActiveRun
  /** Said with `tune_started`, beside the run's own. */
  readonly notices: readonly string[]
  checkpoint: TuneCheckpoint | null
}

export class Runs {
  private active: ActiveRun | null = null

  constructor(
    private readonly services: Services,
    private readonly models: Models,
  ) {}

  get inProgress(): boolean {
    return this.active !== null
  }

  /** Is the run in progress one on this model? Also while it is being opened, or opened again. */
  uses(id: string): boolean {
    return this.active?.base_model === id
  }

  /** @throws CommandError with all problems of the job; what loading and tuning throw */
  async tune({ job, name, train, validation }: Commands['tune'], report: Report): Promise<TuneResult> {
    const checked = checkJob(job)
    if (!checked.ok) throw invalidJob(checked.problems)
    const run: RunRecord = { id: newId(), name, job: checked.job, train, validation }
    return this.exclusively(async (active) => {
      active.base_model = run.job.base_model
      await checkBeforeDownload(checked.job, this.services, active.abort.signal)
      await this.services.runs.begin(run)
      return this.go({ run, report, active, notices: checked.notices, checkpoint: null })
    })
  }

  async resumeRun(id: string, report: Report): Promise<TuneResult> {
    return this.exclusively(async (active) => {
      const found = await this.services.runs.get(id)
      const checkpoint = found && readCheckpoint(found.at.checkpoint)
      if (!found || !checkpoint) {
        throw new CommandError(
          'not_found',
          'This run can no longer be resumed.',
          'Start it again with the same job and examples.',
        )
      }
      active.base_model = found.run.job.base_model
      return this.go({ run: found.run, report, active, notices: [], checkpoint })
    })
  }

  /** Runs that a reload or crash interrupted; one in progress, here or in another tab, is none of them. */
  async interrupted(): Promise<readonly InterruptedRun[]> {
    if (this.active || (await this.heldElsewhere())) return []
    const found = await this.services.runs.list()
    return found.map(({ run, at }) => ({
      run: run.id,
      name: run.name,
      base_model: run.job.base_model,
      step: at.step,
      total_steps: at.total_steps,
      saved: at.saved,
    }))
  }

  /** Forgets an interrupted run. @throws CommandError while a run is in progress, here or in another tab: it may be this one. */
  async discard(id: string): Promise<void> {
    if (this.active || (await this.heldElsewhere())) {
      throw new CommandError('busy', 'A run is in progress, maybe this one.', 'Discard it once no tab of this page is tuning.')
    }
    await this.services.runs.discard(id)
  }

  pause(): void {
    this.required().control.pause()
  }

  resume(): void {
    this.required().control.resume()
  }

  cancel(): void {
    const { control, abort } = this.required()
    control.cancel()
    abort.abort(new TuningCancelled())
  }

  /** Is another tab tuning? A worker that a reload has just ended may hold the lock for a moment longer, so this waits a little. */
  private async heldElsewhere(): Promise<boolean> {
    const { locks } = this.services
    if (!locks) return false
    try {
      await locks.request(LOCK, { signal: AbortSignal.timeout(LOCK_PATIENCE_MS) }, () => undefined)
      return false
    } catch {
      return true
    }
  }

  private required(): ActiveRun {
    if (this.active) return this.active
    throw new CommandError('invalid', 'No run is in progress.', 'It may have ended in the meantime.')
  }

  /** One run at a time here, and (through a Web Lock, which also keeps the tab from being frozen) in all tabs of this page. */
  private async exclusively<T>(work: (active: ActiveRun) => Promise<T>): Promise<T> {
    if (this.active) throw new CommandError('busy', 'A run is already in progress.', 'Wait until it is done, or cancel it first.')
    const active: ActiveRun = { control: new TuneControl(), abort: new AbortController(), base_model: null }
    this.active = active
    try {
      const { locks } = this.services
      if (!locks) return await work(active)
      return await locks.request(LOCK, { ifAvailable: true }, (lock) => {
        if (lock) return work(active)
        throw new CommandError('busy', 'Another tab of this page is tuning.', 'Wait until it is done, or stop it there.')
      })
    } finally {
      this.active = null
    }
  }

  private async go(going: Going): Promise<TuneResult> {
    const { run } = going
    try {
      const [model, result] = await this.withRecovery(going)
      const prompt = await this.save(run, model, result)
      await this.services.runs.discard(run.id)
      return { prompt, report: result.report }
    } catch (error) {
      await this.keepWhatThereIs(going, error)
      throw error
    }
  }

  /** Tunes; when the device is lost, once more on a new one from the last checkpoint. */
  private async withRecovery(going: Going): Promise<[OpenModel, Tuned]> {
    try {
      return await this.attempt(going)
    } catch (error) {
      if (!(error instanceof DeviceLostError)) throw error
      await this.models.close()
      const from = going.checkpoint ? `from step ${going.checkpoint.step}` : 'from the start'
      this.services.warn(`The device was lost (${error.message}). The run goes on ${from} on a new one.`)
      return this.attempt(going)
    }
  }

  private async attempt(going: Going): Promise<[OpenModel, Tuned]> {
    const { run, report, active } = going
    const model = await this.models.openOn(run.job, report, active.abort.signal)
    active.abort.signal.throwIfAborted()
    const release = this.models.hold()
    try {
      const source = going.checkpoint ? null : await sourceOf(run.job, model, this.services)
      const result = await tune({
        job: run.job,
        model: model.frozen,
        tokenizer: tokenizerOf(model.loaded),
        train: run.train,
        validation: run.validation,
        observer: this.observer(going, model),
        control: active.control,
        checkpoint_every_ms: CHECKPOINT_EVERY_MS,
        // What a run goes on from holds what it started from.
        ...(going.checkpoint ? { resume: going.checkpoint } : { source }),
      })
      return [model, result]
    } finally {
      release()
    }
  }

  private observer(going: Going, model: OpenModel): TuneObserver {
    const { run, report } = going
    let start: TuneStart | null = null
    return {
      started: (announced) => {
        start = announced
        const { learning_rate_reason, ...numbers } = announced
        const { device } = model.engine
        const notices = [...going.notices, ...announced.notices, learning_rate_reason]
        report({ type: 'tune_started', run: run.id, device, device_reason: model.device_reason, ...numbers, notices })
      },
      stage: (text) => report({ type: 'stage', text }),
      evaluated: (which, evaluation) => report({ type: 'evaluated', which, evaluation }),
      step: (step, memory_bytes) => report({ type: 'step', step, memory_bytes }),
      epoch: (epoch, best, best_metrics) => report({ type: 'epoch', epoch, best, best_metrics }),
      paused: (paused) => report({ type: 'paused', paused }),
      checkpoint: (checkpoint) => {
        going.checkpoint = checkpoint
        return this.services.runs.checkpoint({
          run: run.id,
          saved: new Date().toISOString(),
          step: checkpoint.step,
          total_steps: start?.total_steps ?? 0,
          checkpoint,
        })
      },
    }
  }

  private save(run: RunRecord, model: OpenModel, tuned: Tuned): Promise<TuneResult['prompt']> {
    const record: PromptRecord = {
      id: newId(),
      name: run.name,
      created: new Date().toISOString(),
      origin: 'tuned',
      base_model: baseModelRef(model),
      job: run.job,
      ...fieldsOfRun(tuned),
      report: tuned.report,
    }
    return this.services.prompts.save(record)
  }

  /** After a failure: a prompt that was already good is saved, a run that could go on stays resumable, anything else is forgotten. */
  private async keepWhatThereIs({ run, checkpoint }: Going, error: unknown): Promise<void> {
    try {
      if (error instanceof TuningError && error.kept) {
        const prompt = await this.save(run, await this.models.openOn(run.job, null), error.kept)
        this.services.warn(`The best prompt before that was saved as "${prompt.name}".`)
      }
      // Cancelled while a run that had learned something was being opened again: that stays to be resumed.
      const resumable =
        checkpoint && (!(error instanceof TuningError) || (error instanceof TuningCancelled && checkpoint.step > 0))
      if (!resumable) await this.services.runs.discard(run.id)
    } catch (second) {
      // The first error is the one to show.
      this.services.warn(`What was learned could not be saved: ${messageOf(second)}`)
    }
  }
}
