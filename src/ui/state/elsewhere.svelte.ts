/** The job as a folder for a larger machine: asked of the worker, handed to the browser's downloads. */
import type { TunerClient } from '../../client'
import type { Job } from '../../job/parameters'
import type { Example } from '../../job/records'
import type { Failure } from '../../protocol'
import { unique } from '../logic/job-values'
import { failureOf } from './failure'
import { saveAs } from './library.svelte'

export class ElsewhereState {
  busy = $state(false)
  failure = $state.raw<Failure | null>(null)
  /** What was last written, and what its reader should know. */
  written = $state.raw<{ readonly filename: string; readonly notices: readonly string[] } | null>(null)

  constructor(private readonly client: TunerClient) {}

  /** @param validation null: the job's share of `train` is held out, as a run here would */
  async write(job: Job, name: string, train: readonly Example[], validation: readonly Example[] | null): Promise<void> {
    this.busy = true
    this.failure = null
    this.written = null
    try {
      const { filename, zip, notices } = await this.client.request('export_job', { job, name, train, validation })
      saveAs(zip, filename)
      this.written = { filename, notices: unique(notices) }
    } catch (error) {
      this.failure = failureOf(error)
    }
    this.busy = false
  }
}
