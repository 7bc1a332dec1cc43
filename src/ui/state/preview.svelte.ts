/**
 * What the worker says the examples become under the settings, kept up to date while a template is typed: one question at a time, and of
 * those that arrive meanwhile only the last. Of many rows a sample is asked about, unless all are wanted.
 */
import type { TunerClient } from '../../client'
import type { Example } from '../../job/records'
import type { Failure, Preview } from '../../protocol'
import { evenlySpaced } from '../logic/evenly-spaced'
import { failureOf } from './failure'

/** Turning this many rows into tokens takes well under a second; with each keystroke more would lag behind. */
const SAMPLE = 2000

export interface PreviewQuestion {
  /** The job as JSON, unchecked. */
  readonly job: unknown
  readonly rows: readonly Example[]
  /** Ask about every row, however many there are. */
  readonly all: boolean
}

export interface AnsweredPreview extends Preview {
  /** Rows asked about, and how many there are. */
  readonly asked: number
  readonly of: number
  /** How long the answer took, for guessing how long all rows would take. */
  readonly ms: number
}

export class LivePreview {
  current = $state.raw<AnsweredPreview | null>(null)
  failure = $state.raw<Failure | null>(null)
  /** An answer is on its way. */
  busy = $state(false)

  private next: PreviewQuestion | null = null
  /** Raised by clear: answers to earlier questions no longer count. */
  private generation = 0

  constructor(private readonly client: TunerClient) {}

  /** Forgets what was answered, and what was asked. */
  clear(): void {
    this.generation++
    this.next = null
    this.current = null
    this.failure = null
  }

  /** Resolves when nothing is left to ask. */
  async ask(question: PreviewQuestion): Promise<void> {
    this.next = question
    if (this.busy) return
    this.busy = true
    while (this.next !== null) {
      const { job, rows, all } = this.next
      this.next = null
      const { generation } = this
      const examples = all ? rows : evenlySpaced(rows, SAMPLE)
      const began = performance.now()
      let answer: AnsweredPreview | Failure
      try {
        const preview = await this.client.request('preview', { job, examples })
        answer = { ...preview, asked: examples.length, of: rows.length, ms: performance.now() - began }
      } catch (error) {
        answer = failureOf(error)
      }
      if (this.isStale(generation)) continue
      this.current = 'code' in answer ? null : answer
      this.failure = 'code' in answer ? answer : null
    }
    this.busy = false
  }

  /** Whether an answer came too late: something else was asked, or all of it forgotten. */
  private isStale(generation: number): boolean {
    return this.next !== null || this.generation !== generation
  }
}
