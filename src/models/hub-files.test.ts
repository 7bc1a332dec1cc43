/** Downloads from a server that cuts, changes, lies, and refuses. */
import { env } from '@huggingface/transformers'
import fc from 'fast-check'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { LockManagers } from '../../test/support/lock-manager'
import { MemoryStore } from '../library/store'
import { ModelCache, storedPath } from './cache'
import { FetchGate } from './fetch'
import type { Locks } from './file-locks'
import { HubFiles, type HubFile } from './hub-files'
import { ModelError } from './model-error'
import { sha256 } from './sha256'
import { ShardedFiles } from './shards'

const REF = { id: 'org/model', revision: 'main', path: 'onnx/model.onnx' }
const SHARD = 100
const content = (seed: number, size = 950): Uint8Array<ArrayBuffer> =>
  Uint8Array.from({ length: size }, (_, i) => (i * 31 + seed) & 127 || 1)

interface Answer {
  readonly status: number
  readonly headers?: Record<string, string>
  readonly body?: Uint8Array<ArrayBuffer>
  /** Bytes after which the connection breaks. */
  readonly cut?: number | undefined
  /** Bytes after which it stands still for a while. */
  readonly hold?: { readonly at: number; readonly until: Promise<void> } | undefined
}

/** A hub with one file. Its answers can be meddled with. */
class Hub {
  file = content(1)
  etag: string | null = '"one"'
  /** Whether the tree of the API is there. */
  lists = true
  /** What it lists in place of the file's hash. */
  listed_hash: string | null = null
  requests: string[] = []
  /** Takes an answer and gives another, by the number of the request for the file (from 1). */
  meddle: (answer: Answer, request: number) => Answer = (answer) => answer
  pauses: number[] = []

  get ranges(): string[] {
    return this.requests.filter((request) => !request.startsWith('api'))
  }

  readonly fetch = (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const url = input instanceof Request ? input.url : String(input)
    if (url === `${env.remoteHost}api/models/org/model/tree/main/onnx`) {
      this.requests.push('api')
      if (!this.lists) return Promise.resolve(new Response('no', { status: 404 }))
      const oid = this.listed_hash ?? sha256(this.file)
      return Promise.resolve(Response.json([{ type: 'file', path: REF.path, size: this.file.length, oid: 'x', lfs: { oid, size: this.file.length, pointerSize: 1 } }, { type: 'file', path: 'onnx/other.txt', size: 1, oid: 'y' }])) // prettier-ignore
    }
    const range = new Headers(init?.headers).get('range')
    this.requests.push(range ?? 'all')
    const plain = this.answer(range)
    const { status, headers, body, cut, hold } = this.meddle(plain, this.ranges.length)
    return Promise.resolve(new Response(body ? broken(body, cut, hold) : null, { status, headers: headers ?? {} }))
  }

  private answer(range: string | null): Answer {
    const headers: Record<string, string> = this.etag === null ? {} : { etag: this.etag }
    const [, from] = /^bytes=(\d+)-$/.exec(range ?? '') ?? []
    const { file } = this
    if (from === undefined) return { status: 200, headers: { ...headers, 'content-length': String(file.length) }, body: file }
    const at = Number(from)
    if (at >= file.length) return { status: 416, headers: { 'content-range': `bytes */${file.length}` } }
    const rest = file.slice(at)
    return {
      status: 206,
      headers: {
        ...headers,
        'content-length': String(rest.length),
        'content-range': `bytes ${at}-${file.length - 1}/${file.length}`,
      },
      body: rest,
    }
  }
}

/** Bytes in pieces of 30; the connection breaks after `cut`. */
function broken(bytes: Uint8Array<ArrayBuffer>, cut = Infinity, hold?: Answer['hold']): ReadableStream<Uint8Array<ArrayBuffer>> {
  let at = 0
  return new ReadableStream(
    {
      async pull(controller) {
        if (hold && at >= hold.at) await hold.until
        if (at >= cut) return controller.error(new TypeError('network error'))
        if (at >= bytes.length) return controller.close()
        const end = Math.min(at + 30, cut, bytes.length)
        controller.enqueue(bytes.slice(at, end))
        at = end
      },
    },
    { highWaterMark: 0 },
  )
}

let hub: Hub
let store: MemoryStore
let cache: ModelCache
let files: HubFiles

/** As after a reload: only what is stored is left. */
function reload(): void {
  ;({ cache, files } = tab(null))
}

/** A tab of the page: of its own but for the store, and the locks where there are some. */
function tab(locks: Locks | null): { cache: ModelCache; files: HubFiles } {
  const cache = new ModelCache({
    files: new ShardedFiles({ store, shard_bytes: SHARD, locks }),
    remote_host: env.remoteHost,
    local_path: '/models/',
  })
  const pause = (ms: number): Promise<void> => Promise.resolve(void hub.pauses.push(ms))
  const gate = new FetchGate({
    remote_host: env.remoteHost,
    local_path: '/models/',
    isEmbedded: () => false,
    fetch: hub.fetch,
    pause,
  })
  gate.allow(REF.id, true)
  return { cache, files: new HubFiles(cache, gate, pause) }
}

beforeEach(() => {
  hub = new Hub()
  store = new MemoryStore()
  reload()
})

const get = (
  options: { signal?: AbortSignal; onProgress?: (loaded: number, total: number | null) => void } = {},
): Promise<HubFile | null> => files.file(REF, { optional: false, ...options })
const bytesOf = (file: HubFile | null): Uint8Array | undefined => file?.source.read(0, file.source.size)

async function failure(promise: Promise<unknown>): Promise<Error> {
  const error: unknown = await promise.then(
    () => null,
    (reason: unknown) => reason,
  )
  if (!(error instanceof Error)) throw new Error('it did not fail')
  return error
}

async function expectNothingStored(): Promise<void> {
  expect(await store.keys()).toEqual([])
}

describe('a download', () => {
  test('is stored, and not made again', async () => {
    const progress: [number, number | null][] = []
    const file = await get({ onProgress: (...one) => progress.push(one) })
    expect(bytesOf(file)).toEqual(hub.file)
    expect(file?.sha256).toBe(sha256(hub.file))
    expect(progress[0]).toEqual([0, 950])
    expect(progress.at(-1)).toEqual([950, 950])
    reload()
    expect(bytesOf(await get())).toEqual(hub.file)
    expect(hub.ranges).toEqual(['all'])
    expect((await store.keys()).filter((key) => !/^(shard|manifest):/.test(key))).toEqual([])
  })

  test('cut anywhere, any number of times, goes on at that byte', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 400 }), { maxLength: 8 }), async (cuts) => {
        hub = new Hub()
        store = new MemoryStore()
        reload()
        hub.meddle = (answer, request) => ({ ...answer, cut: cuts[request - 1] })
        expect(bytesOf(await get())).toEqual(hub.file)
        // Each new request is for what had not arrived.
        let at = 0
        hub.ranges.forEach((range, i) => {
          expect(range).toBe(i === 0 ? 'all' : `bytes=${at}-`)
          at += cuts[i] ?? 0
        })
        expect(new Set(hub.pauses)).toEqual(new Set(hub.pauses.length > 0 ? [500] : []))
      }),
      { numRuns: 30 },
    )
  })

  test('from a server that is down for good ends, after a few tries; whole shards are kept and seen', async () => {
    hub.meddle = (answer, request) => (request === 1 ? { ...answer, cut: 350 } : { ...answer, cut: 0 })
    const error = await failure(get())
    expect(error).toMatchObject({ code: 'network' })
    expect(hub.ranges).toHaveLength(5)
    expect(hub.pauses).toEqual([500, 1000, 2000, 4000])
    expect(await cache.models()).toEqual([{ id: 'org/model', dropped: false, parts: [], unfinished_bytes: 300 }])

    reload()
    hub.requests = []
    hub.meddle = (answer) => answer
    const progress: number[] = []
    expect(bytesOf(await get({ onProgress: (loaded) => progress.push(loaded) }))).toEqual(hub.file)
    expect(hub.ranges).toEqual(['bytes=300-'])
    expect(progress[0]).toBe(300)
    expect(await cache.models()).toMatchObject([{ id: 'org/model', parts: [{ bytes: 950 }], unfinished_bytes: 0 }])
    expect(await store.keys()).toHaveLength(11)
  })

  test('that is stopped keeps its whole shards for the next time, and no half ones', async () => {
    const stop = new AbortController()
    const reason = new Error('enough')
    await expect(get({ signal: stop.signal, onProgress: (loaded) => loaded > 450 && stop.abort(reason) })).rejects.toBe(reason)
    expect(await cache.files.open(storedPath(REF))).toBeUndefined()
    expect(await store.keys()).toHaveLength(5)
    reload()
    await cache.files.sweep()
    hub.requests = []
    expect(bytesOf(await get())).toEqual(hub.file)
    expect(hub.ranges).toEqual(['bytes=400-'])
  })

  test('what broke off can be removed', async () => {
    hub.meddle = (answer) => ({ ...answer, cut: 0 })
    hub.meddle = (answer, request) => ({ ...answer, cut: request === 1 ? 250 : 0 })
    await failure(get())
    expect(await store.keys()).toHaveLength(3)
    await cache.removeModel(REF.id)
    await expectNothingStored()
  })

  test.each([
    ['the listing says it', true, '"one"'],
    ['only its ETag says it', false, '"two"'],
    ['nothing says it, as there is no ETag any more', false, null],
  ])('of a file that was replaced meanwhile begins again: %s', async (_, lists, etag) => {
    hub.lists = lists
    hub.meddle = (answer, request) => ({ ...answer, cut: request === 1 ? 350 : 0 })
    await failure(get())
    reload()
    hub.file = content(2)
    hub.etag = etag
    hub.meddle = (answer) => answer
    expect(bytesOf(await get())).toEqual(hub.file)
    expect(await store.keys()).toHaveLength(11)
  })

  test.each([true, false])('of a file that is replaced under way begins again (listed: %s)', async (lists) => {
    hub.lists = lists
    const second = content(2)
    hub.meddle = (answer, request) => {
      if (request > 1) return answer
      hub.file = second
      hub.etag = '"two"'
      return { ...answer, cut: 350 }
    }
    const file = get()
    if (!lists) expect(bytesOf(await file)).toEqual(second)
    // The listing's hash was of the first file, and the ETag is not looked at: the hash of what arrived shows it.
    else expect(await failure(file)).toMatchObject({ message: expect.stringContaining('SHA-256') as unknown })
    if (lists) {
      await expectNothingStored()
      files.forgetListings()
      expect(bytesOf(await get())).toEqual(second)
    }
  })

  test('of a file that keeps changing ends', async () => {
    hub.lists = false
    hub.meddle = (answer) => {
      hub.etag = `"${Math.random()}"`
      return { ...answer, cut: 150 }
    }
    expect(await failure(get())).toMatchObject({ code: 'network', message: expect.stringContaining('changed while') as unknown })
  })

  test('of a file that became shorter than what is here begins again (416)', async () => {
    hub.lists = false
    hub.meddle = (answer, request) => ({ ...answer, cut: request === 1 ? 850 : 0 })
    await failure(get())
    reload()
    hub.file = content(3, 120)
    hub.meddle = (answer) => answer
    expect(bytesOf(await get())).toEqual(hub.file)
  })

  test('from a server that ignores ranges passes over what is here', async () => {
    hub.meddle = (answer, request) => {
      if (answer.status === 206) return { status: 200, headers: { etag: '"one"', 'content-length': '950' }, body: hub.file, cut: request < 4 ? 200 * request : undefined } // prettier-ignore
      return { ...answer, cut: 250 }
    }
    expect(bytesOf(await get())).toEqual(hub.file)
    expect(hub.ranges).toEqual(['all', 'bytes=250-', 'bytes=400-', 'bytes=600-'])
  })

  test('from a server that sends another part than was asked for is not trusted', async () => {
    hub.meddle = (answer, request) => {
      if (request === 1) return { ...answer, cut: 350 }
      if (answer.status !== 206) return answer
      return { ...answer, headers: { ...answer.headers, 'content-range': 'bytes 0-949/950' }, body: hub.file }
    }
    expect(bytesOf(await get())).toEqual(hub.file)
  })

  test('whose length is a lie, either way, is not kept', async () => {
    hub.lists = false
    for (const etag of ['"one"', null]) {
      hub.etag = etag
      hub.requests = []
      hub.meddle = (answer) =>
        answer.status === 416 ? answer : { ...answer, headers: { ...answer.headers, 'content-length': '2000' } }
      const error = await failure(get())
      expect(String(error)).toMatch(etag === null ? /only 950 of 2000/ : /changed/)
      await expect(cache.files.open(storedPath(REF))).resolves.toBeUndefined()
      await cache.removeModel(REF.id)
    }
    hub.meddle = (answer) => ({ ...answer, headers: { ...answer.headers, 'x-linked-size': '900' } })
    expect(String(await failure(get()))).toContain('950 bytes arrived, it should have 900')
    await expectNothingStored()
  })

  test('with another hash than the hub lists is not kept', async () => {
    hub.listed_hash = 'a'.repeat(64)
    expect(String(await failure(get()))).toContain('SHA-256')
    await expectNothingStored()
    hub.lists = false
    hub.meddle = (answer) => ({ ...answer, headers: { ...answer.headers, 'x-linked-etag': `"${'b'.repeat(64)}"` } })
    expect(String(await failure(get()))).toContain('b'.repeat(64))
    await expectNothingStored()
  })

  test('damaged in what was stored before it went on is noticed', async () => {
    hub.meddle = (answer, request) => ({ ...answer, cut: request === 1 ? 350 : 0 })
    await failure(get())
    const shard = (await store.keys()).find((key) => key.endsWith(':1'))
    await store.set(shard ?? '', new ArrayBuffer(99))
    reload()
    hub.meddle = (answer) => answer
    hub.requests = []
    expect(bytesOf(await get())).toEqual(hub.file)
    expect(hub.ranges).toEqual(['all'])
  })

  test.each([429, 500, 503])('from a server that answers %i is tried again, with patience', async (status) => {
    hub.meddle = (answer, request) => (request < 3 ? { status, headers: request === 1 ? { 'retry-after': '7' } : {} } : answer)
    expect(bytesOf(await get())).toEqual(hub.file)
    expect(hub.pauses).toEqual([7000, 4000])
    store = new MemoryStore()
    reload()
    hub.meddle = () => ({ status })
    hub.requests = []
    const error = await failure(get())
    expect(error).toBeInstanceOf(ModelError)
    expect(error.message).toContain(`HTTP ${status}`)
    expect(hub.ranges).toHaveLength(3)
    hub.requests = []
    hub.meddle = () => ({ status, headers: { 'retry-after': '3600' } })
    await failure(get())
    expect(hub.ranges).toHaveLength(1)
  })

  test('that becomes forbidden under way ends at once', async () => {
    hub.meddle = (answer, request) => (request === 1 ? { ...answer, cut: 350 } : { status: 403 })
    expect(await failure(get())).toMatchObject({ code: 'not_found' })
    expect(hub.ranges).toHaveLength(2)
  })

  test('without anything to know the file by begins again, and keeps nothing', async () => {
    hub.lists = false
    hub.etag = 'W/"weak"'
    hub.meddle = (answer) => ({ ...answer, cut: 350 })
    expect(await failure(get())).toMatchObject({ code: 'network' })
    expect(hub.ranges).toEqual(['all'])
    await expectNothingStored()
  })

  test('is a page, or is not there', async () => {
    hub.file = new Uint8Array(new TextEncoder().encode(`<!doctype html>${' '.repeat(400)}`))
    expect(await failure(get())).toMatchObject({ code: 'not_found' })
    await expectNothingStored()
    hub.meddle = () => ({ status: 404 })
    expect(await get()).toBeNull()
  })

  test('two at once of one file: the second waits, and it comes once', async () => {
    const both = await Promise.all([get(), get()])
    for (const file of both) expect(bytesOf(file)).toEqual(hub.file)
    expect(hub.ranges).toEqual(['all'])
    reload()
    expect(bytesOf(await get())).toEqual(hub.file)
  })
})

describe('two tabs that want one file', () => {
  /** A pair of tabs; the first one's download stands still behind its third shard until it is let go on. */
  async function pair(then: 'goes on' | 'breaks off') {
    const managers = new LockManagers()
    const [first, second] = [tab(managers.tab()), tab(managers.tab())]
    let goOn = (): void => undefined
    const gone = new Promise<void>((resolve) => (goOn = resolve))
    hub.meddle = (answer, request) => (request === 1 ? { ...answer, hold: { at: 350, until: gone } } : answer)
    if (then === 'breaks off') hub.meddle = (answer, request) => (request === 1 ? { ...answer, hold: { at: 350, until: gone }, cut: 380 } : { status: 403 }) // prettier-ignore
    const holding = new Promise<void>((resolve) => {
      const onProgress = (loaded: number): void => void (loaded >= 330 && resolve())
      downloading = first.files.file(REF, { optional: false, onProgress })
    })
    await holding
    return { managers, first, second, goOn, downloading }
  }
  let downloading: Promise<HubFile | null>

  test('the second is told that it waits, and finds it complete: nothing is fetched twice, no shard is lost', async () => {
    const { second, goOn, managers } = await pair('goes on')
    const said: string[] = []
    const wanted = second.files.file(REF, {
      optional: false,
      onWait: () => said.push('waits'),
      onProgress: (loaded, total) => said.push(`${loaded} of ${total}`),
    })
    await expect.poll(() => managers.waited).toHaveLength(1)
    expect(said).toEqual(['waits'])
    goOn()
    for (const file of [await downloading, await wanted]) expect(bytesOf(file)).toEqual(hub.file)
    expect(said).toEqual(['waits', '950 of 950'])
    expect(hub.ranges).toEqual(['all'])
    expect(await store.keys()).toHaveLength(11)
    expect(managers.waited).toEqual(['promptlathe-file:org/model@main/onnx/model.onnx'])
  })

  test('when the first breaks off, the second goes on behind its whole shards', async () => {
    const { second, goOn, managers } = await pair('breaks off')
    const wanted = second.files.file(REF, { optional: false })
    await expect.poll(() => managers.waited).toHaveLength(1)
    goOn()
    await failure(downloading)
    hub.meddle = (answer) => answer
    expect(bytesOf(await wanted)).toEqual(hub.file)
    expect(hub.ranges).toEqual(['all', 'bytes=380-', 'bytes=300-'])
    expect(await store.keys()).toHaveLength(11)
  })

  test('the second can be cancelled while it waits: at once, and the first is not disturbed', async () => {
    const { second, goOn } = await pair('goes on')
    const stop = new AbortController()
    const reason = new Error('enough')
    const wanted = second.files.file(REF, { optional: false, signal: stop.signal, onWait: () => stop.abort(reason) })
    await expect(wanted).rejects.toBe(reason)
    goOn()
    expect(bytesOf(await downloading)).toEqual(hub.file)
    expect(await store.keys()).toHaveLength(11)
  })

  test('the second can neither remove nor sweep what the first is writing', async () => {
    const { second, goOn } = await pair('goes on')
    expect(await second.cache.removeModel(REF.id)).toEqual([REF.path])
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 30 * 24 * 3600 * 1000 })
    await second.cache.files.sweep()
    vi.useRealTimers()
    goOn()
    expect(bytesOf(await downloading)).toEqual(hub.file)
    expect(await second.cache.removeModel(REF.id)).toEqual([])
    await expectNothingStored()
  })

  test("transformers.js' own copy of a file that the other tab is writing, or wrote, changes nothing", async () => {
    const { second, goOn } = await pair('goes on')
    const key = `${env.remoteHost}${REF.id}/resolve/main/${REF.path}`
    await second.cache.put(key, new Response(content(2)))
    goOn()
    expect(bytesOf(await downloading)).toEqual(hub.file)
    const before = await store.keys()
    await second.cache.put(key, new Response(content(2)))
    expect(await store.keys()).toEqual(before)
  })
})
