/** The tuning worker's session in Node, for tests: real messages over a MessageChannel, real onnxruntime (wasm, one thread), the embedded models. */
import { readFile } from 'node:fs/promises'
import * as ort from 'onnxruntime-web/webgpu'
import { afterEach } from 'vitest'
import { RequestFailed, TunerClient, type WorkerPort } from '../../src/client'
import { MemoryStore, type KeyValueStore } from '../../src/library/store'
import type { Locks } from '../../src/models/file-locks'
import type { Failure } from '../../src/protocol'
import { Tuner } from '../../workers/session/tuner'

ort.env.wasm.numThreads = 1

/** What the page's server serves. */
export const ROOT = new URL('../../public/', import.meta.url)

const fetchPublic: typeof fetch = async (input, init) => {
  const url = input instanceof Request ? input.url : String(input)
  if (!url.startsWith('/models/')) throw new TypeError('fetch failed')
  const bytes = await readFile(new URL(`.${url}`, ROOT)).catch(() => null)
  if (!bytes) return new Response(null, { status: 404 })
  const headers = { 'content-length': String(bytes.length) }
  return new Response(init?.method === 'HEAD' ? null : new Uint8Array(bytes), { headers })
}

const ports: MessagePort[] = []
afterEach(() => ports.splice(0).forEach((port) => port.close()))

/**
 * A worker of our own: the two ends of a channel, with everything cloned on the way.
 * @param hub answers for other addresses than the page's own models
 * @param locks what other workers on the same stores have too; null: there are none
 */
export function startWorker(
  stores: Map<string, KeyValueStore>,
  hub: typeof fetch = fetchPublic,
  locks: Locks | null = null,
): TunerClient {
  const { port1, port2 } = new MessageChannel()
  ports.push(port1, port2)
  const tuner = new Tuner({
    ort,
    fetch: (input, init) =>
      (String(input instanceof Request ? input.url : input).startsWith('/models/') ? fetchPublic : hub)(input, init),
    models_path: '/models/',
    openStore: (name) => {
      const store = stores.get(name) ?? new MemoryStore()
      stores.set(name, store)
      return store
    },
    storage: null,
    locks,
    post: (event) => port2.postMessage(event),
  })
  port2.onmessage = (message: MessageEvent<unknown>) => void tuner.receive(message.data)
  const port: WorkerPort = {
    postMessage: (message) => port1.postMessage(message),
    addEventListener: (type: string, listener: (event: never) => void) => {
      if (type === 'message') port1.onmessage = listener as (event: MessageEvent) => void
    },
    terminate: () => port1.close(),
  }
  return new TunerClient(port)
}

/** What a request failed with. */
export async function failure(promise: Promise<unknown>): Promise<Failure> {
  const error: unknown = await promise.then(
    () => null,
    (reason: unknown) => reason,
  )
  if (!(error instanceof RequestFailed)) throw new Error(`expected a RequestFailed, got ${String(error)}`)
  return error.failure
}
