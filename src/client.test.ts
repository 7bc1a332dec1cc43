import { beforeEach, describe, expect, test } from 'vitest'
import { RequestFailed, TunerClient } from './client'
import type { Notice } from './client'
import type { Failure, Progress } from './protocol'

/** A worker of which the test plays the other side; what is sent is cloned, as postMessage does. */
class FakeWorker extends EventTarget {
  readonly sent: unknown[] = []
  terminated = false
  postMessage(message: unknown): void {
    this.sent.push(structuredClone(message))
  }
  terminate(): void {
    this.terminated = true
  }
  say(data: unknown): void {
    this.dispatchEvent(new MessageEvent('message', { data }))
  }
}

let worker: FakeWorker
let client: TunerClient
beforeEach(() => {
  worker = new FakeWorker()
  client = new TunerClient({
    postMessage: (message) => worker.postMessage(message),
    terminate: () => worker.terminate(),
    addEventListener: (type: string, listener: (event: never) => void) =>
      worker.addEventListener(type, listener as (event: Event) => void),
  })
})

async function failureOf(promise: Promise<unknown>): Promise<Failure> {
  const error: unknown = await promise.then(
    () => null,
    (reason: unknown) => reason,
  )
  if (!(error instanceof RequestFailed)) throw new Error(`not a RequestFailed: ${String(error)}`)
  return error.failure
}

describe('requests', () => {
  test('are numbered, and answers find them in any order, with their progress', async () => {
    const seen: Progress[] = []
    const first = client.request('list_prompts', {})
    const second = client.request('discard_run', { run: 'r' }, (progress) => seen.push(progress))
    expect([first.request, second.request]).toEqual([1, 2])
    expect(worker.sent).toEqual([
      { type: 'list_prompts', request: 1 },
      { type: 'discard_run', request: 2, run: 'r' },
    ])
    worker.say({ type: 'stage', request: 2, text: 'working' })
    worker.say({ type: 'result', request: 2, result: null })
    worker.say({ type: 'result', request: 1, result: [] })
    expect([await first, await second]).toEqual([[], null])
    expect(seen).toMatchObject([{ type: 'stage', text: 'working' }])
    // Late or repeated answers are nobody's.
    worker.say({ type: 'result', request: 2, result: null })
    worker.say({ type: 'stage', request: 99, text: '' })
  })

  test('fail with what the worker says', async () => {
    const pending = client.request('pause', {})
    const failure: Failure = { code: 'busy', message: 'no', hint: 'later', problems: [] }
    worker.say({ type: 'failed', request: 1, failure })
    expect(await failureOf(pending)).toEqual(failure)
  })

  test('fail when the answer is not what the command promises, or no message of the protocol', async () => {
    const notices: Notice[] = []
    client.onNotice((notice) => notices.push(notice))
    const wrong = client.request('list_prompts', {})
    worker.say({ type: 'result', request: 1, result: 'yes' })
    expect((await failureOf(wrong)).message).toContain('list_prompts')
    const garbled = client.request('list_prompts', {})
    worker.say({ type: 'nonsense', request: 2 })
    expect((await failureOf(garbled)).code).toBe('internal')
    worker.say(42)
    expect(notices).toHaveLength(2)
  })

  test('fail at once when the payload cannot be cloned', async () => {
    const job = { oops: () => 1 }
    expect((await failureOf(client.request('preview', { job, examples: [] }))).message).toContain('could not be sent')
  })
})

describe('a worker that is gone', () => {
  test('a crash fails everything that waits and everything later, and says what is kept', async () => {
    const waiting = [client.request('pause', {}), client.request('resume', {})]
    worker.dispatchEvent(Object.assign(new Event('error'), { message: 'out of memory' }))
    for (const pending of [...waiting, client.request('storage', {})]) {
      const failure = await failureOf(pending)
      expect(failure.message).toContain('out of memory')
      expect(failure.hint).toContain('kept')
    }
    expect(worker.sent).toHaveLength(2)
    expect(worker.terminated).toBe(true)
  })

  test('a message that cannot be read is the end too', async () => {
    const waiting = client.request('pause', {})
    worker.dispatchEvent(new MessageEvent('messageerror'))
    expect((await failureOf(waiting)).code).toBe('internal')
  })

  test('ended by the page: cancelled', async () => {
    const waiting = client.request('pause', {})
    client.terminate()
    expect(worker.terminated).toBe(true)
    expect((await failureOf(waiting)).code).toBe('cancelled')
  })
})

test('notices go to all who listen, until they stop', () => {
  const heard: string[] = []
  const stop = client.onNotice((notice) => heard.push(`a ${notice.text}`))
  client.onNotice((notice) => heard.push(`b ${notice.text}`))
  worker.say({ type: 'notice', request: null, level: 'info', text: '1' })
  stop()
  worker.say({ type: 'notice', request: null, level: 'info', text: '2' })
  expect(heard).toEqual(['a 1', 'b 1', 'b 2'])
})
