/**
 * The tuning worker's session in this process, without browser or page: what stands in for the worker's surroundings (messages over a channel,
 * stores in memory, the app's own models from public/). For tests and sweeps; the session itself is workers/session.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { TunerClient, type WorkerPort } from '../src/client'
import { MemoryStore, type KeyValueStore } from '../src/library/store'
import type { Event } from '../src/protocol'

const PUBLIC = join(import.meta.dirname, '..', 'public')

/** Where the page's server has the embedded models. */
export const MODELS_PATH = '/models/'

/** The page's own models, as its server gives them. @throws TypeError for any other address, as where there is no network */
export const fetchOwnModels: typeof fetch = async (input, init) => {
  const url = input instanceof Request ? input.url : String(input)
  if (!url.startsWith(MODELS_PATH)) throw new TypeError('fetch failed: there is no network here')
  const bytes = await readFile(join(PUBLIC, url)).catch(() => null)
  if (!bytes) return new Response(null, { status: 404 })
  const headers = { 'content-length': String(bytes.length) }
  return new Response(init?.method === 'HEAD' ? null : new Uint8Array(bytes), { headers })
}

/** Opens stores in `stores`, by name: what IndexedDB is to the worker. */
export const storesIn =
  (stores: Map<string, KeyValueStore>) =>
  (name: string): KeyValueStore => {
    const store = stores.get(name) ?? new MemoryStore()
    stores.set(name, store)
    return store
  }

/**
 * A client of a session at the other end of a channel: everything is cloned on the way, as it is to a worker.
 * @param start makes the session; `post` sends the client an event
 */
export function connect(start: (post: (event: Event) => void) => { receive(message: unknown): unknown }): {
  readonly client: TunerClient
  close(): void
} {
  const { port1, port2 } = new MessageChannel()
  const session = start((event) => port2.postMessage(event))
  port2.onmessage = (message: MessageEvent<unknown>) => void session.receive(message.data)
  const port: WorkerPort = {
    postMessage: (message) => port1.postMessage(message),
    addEventListener: (type: string, listener: (event: never) => void) => {
      if (type === 'message') port1.onmessage = listener as (event: MessageEvent) => void
    },
    terminate: () => port1.close(),
  }
  const close = (): void => [port1, port2].forEach((end) => end.close())
  return { client: new TunerClient(port), close }
}
