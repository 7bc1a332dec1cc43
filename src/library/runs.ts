/**
 * Runs in progress, so that a reload or crash does not lose them: what was asked (once, at the start) and the last checkpoint (every few
 * seconds) under two keys, so that a checkpoint does not write the examples again. Checkpoints are opaque here.
 */
import * as v from 'valibot'
import { JobSchema, type Job } from '../job/parameters'
import type { Example } from '../job/records'
import type { KeyValueStore } from './store'

/** What a run was started with. `job` is complete, as checkJob gave it. */
export interface RunRecord {
  readonly id: string
  readonly name: string
  readonly job: Job
  readonly train: readonly Example[]
  readonly validation: readonly Example[] | null
}

export interface SavedCheckpoint {
  readonly run: string
  /** ISO 8601. */
  readonly saved: string
  readonly step: number
  readonly total_steps: number
  readonly checkpoint: unknown
}

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const example = v.pipe(
  v.object({ input: v.string(), output: v.string(), task: v.optional(v.string()) }),
  v.transform(({ input, output, task }) => (task === undefined ? { input, output } : { input, output, task })),
)
const RunSchema: v.GenericSchema<unknown, RunRecord> = v.object({
  id: v.pipe(v.string(), v.minLength(1)),
  name: v.string(),
  job: JobSchema,
  train: v.array(example),
  validation: v.nullable(v.array(example)),
})
const CheckpointSchema: v.GenericSchema<unknown, SavedCheckpoint> = v.object({
  run: v.string(),
  saved: v.string(),
  step: count,
  total_steps: count,
  checkpoint: v.unknown(),
})

const RUN = 'run:'
const CHECKPOINT = 'checkpoint:'

export interface InterruptedRecord {
  readonly run: RunRecord
  readonly at: SavedCheckpoint
}

export class RunStore {
  private readonly noticed = new Set<string>()

  constructor(
    private readonly store: KeyValueStore,
    private readonly onNotice: (text: string) => void,
  ) {}

  /** Keeps what the run was started with; without a checkpoint it does not count as interrupted. */
  begin(run: RunRecord): Promise<void> {
    return this.store.set(RUN + run.id, run)
  }

  checkpoint(at: SavedCheckpoint): Promise<void> {
    return this.store.set(CHECKPOINT + at.run, at)
  }

  async discard(run: string): Promise<void> {
    await this.store.delete(CHECKPOINT + run)
    await this.store.delete(RUN + run)
  }

  /** The run and its last checkpoint, or null when there is none that can be read. */
  async get(run: string): Promise<InterruptedRecord | null> {
    const [record, at] = [await this.store.get(RUN + run), await this.store.get(CHECKPOINT + run)]
    if (record === undefined || at === undefined) return null
    const parsed = v.safeParse(v.object({ run: RunSchema, at: CheckpointSchema }), { run: record, at })
    if (parsed.success && parsed.output.run.id === run && parsed.output.at.run === run) return parsed.output
    if (!this.noticed.has(run)) {
      this.noticed.add(run)
      this.onNotice(`An interrupted run can't be read and is left out (${run.slice(0, 40)}).`)
    }
    return null
  }

  /** Runs with a checkpoint, the last saved first. */
  async list(): Promise<readonly InterruptedRecord[]> {
    const found: InterruptedRecord[] = []
    for (const key of await this.store.keys()) {
      const one = key.startsWith(RUN) ? await this.get(key.slice(RUN.length)) : null
      if (one) found.push(one)
    }
    return found.sort((a, b) => (a.at.saved < b.at.saved ? 1 : -1))
  }
}
