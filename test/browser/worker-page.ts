/** Puts a TunerClient on the real tuning worker on `window`, for worker.test.ts. */
import { RequestFailed, TunerClient, type PendingRequest } from '../../src/client'
import type { CommandName, Commands, Failure, Progress } from '../../src/protocol'

export interface Asked {
  /** To go through parseResult on the other side. */
  readonly result: unknown
  readonly failure: Failure | null
  readonly progress: readonly Progress[]
}

declare global {
  interface Window {
    ask(type: CommandName, payload: Commands[CommandName]): Promise<Asked>
    /** Asks and, at the `count`-th report, sends stop_generating for it. */
    askAndStop(payload: Commands['generate'], count: number): Promise<Asked>
    /** Paths and sizes of an export, whose blobs can't leave the page. */
    exportedFiles(payload: Commands['export_prompt']): Promise<{ path: string; bytes: number }[]>
    /** The last report of that type, of any request. */
    latest(type: Progress['type']): Progress | null
    notices: string[]
  }
}

const last = new Map<Progress['type'], Progress>()
window.latest = (type) => last.get(type) ?? null

const client = new TunerClient(new Worker(new URL('../../workers/tuner.ts', import.meta.url), { type: 'module' }))
window.notices = []
client.onNotice((notice) => window.notices.push(notice.text))

async function settle(pending: PendingRequest<unknown>, progress: readonly Progress[]): Promise<Asked> {
  try {
    return { result: await pending, failure: null, progress }
  } catch (error) {
    if (error instanceof RequestFailed) return { result: null, failure: error.failure, progress }
    throw error
  }
}

window.ask = (type, payload) => {
  const progress: Progress[] = []
  const pending = client.request(type, payload, (one) => {
    last.set(one.type, one)
    progress.push(one)
  })
  return settle(pending, progress)
}

window.askAndStop = (payload, count) => {
  const progress: Progress[] = []
  const pending = client.request('generate', payload, (one) => {
    progress.push(one)
    if (progress.length === count) void client.request('stop_generating', { target: pending.request })
  })
  return settle(pending, progress)
}

window.exportedFiles = async (payload) => {
  const { files } = await client.request('export_prompt', payload)
  return files.map(({ path, blob }) => ({ path, bytes: blob.size }))
}
