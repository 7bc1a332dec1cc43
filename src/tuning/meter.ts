/** What a run costs the device: counters per optimizer step, peak memory, and time that doesn't count pauses. */
import type { Counters } from '../engine/engine'
import type { FrozenModel } from '../engine/frozen-model'
import type { StepCounters } from '../library/prompt-record'
import type { TuneControl } from './control'

type StepCost = Pick<Counters, 'dispatches' | 'submits' | 'buffers_created'>

export class Meter {
  private readonly costs: StepCost[] = []
  private readonly began: number
  private last: Counters
  private peak: number

  constructor(
    private readonly model: FrozenModel,
    private readonly control: TuneControl,
    private readonly seconds_before: number,
    peak_before: number,
  ) {
    this.last = model.counters()
    this.peak = Math.max(peak_before, this.last.bytes)
    this.began = this.now()
  }

  /** Milliseconds on a clock that stands still while paused. */
  now(): number {
    return performance.now() - this.control.paused_ms
  }

  /** Seconds of the whole run, also before an interruption. */
  seconds(): number {
    return this.seconds_before + (this.now() - this.began) / 1000
  }

  /** Looks at the counters; what happened since the last look is not a step's. Returns the bytes in use. */
  look(): number {
    this.last = this.model.counters()
    this.peak = Math.max(this.peak, this.last.bytes)
    return this.last.bytes
  }

  /** Books what happened since the last look as one optimizer step. Returns the bytes in use. */
  stepDone(): number {
    const before = this.last
    const bytes = this.look()
    this.costs.push({
      dispatches: this.last.dispatches - before.dispatches,
      submits: this.last.submits - before.submits,
      buffers_created: this.last.buffers_created - before.buffers_created,
    })
    return bytes
  }

  get peak_memory_bytes(): number {
    return this.peak
  }

  /** Means over the second half of the steps, when programs are compiled and buffers made. */
  counters(): StepCounters {
    const half = this.costs.slice(Math.floor(this.costs.length / 2))
    const mean = (key: keyof StepCost): number =>
      half.length === 0 ? 0 : half.reduce((sum, cost) => sum + cost[key], 0) / half.length
    return {
      dispatches: mean('dispatches'),
      submits: mean('submits'),
      buffers_created: mean('buffers_created'),
      live_tensors: this.model.counters().live_tensors,
    }
  }
}
