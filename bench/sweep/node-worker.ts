/**
 * The tuning worker's session in this process, without a browser: the same code and the same onnxruntime (wasm), the app's own models from
 * public/, a library in memory. What a sweep runs on, because it can be given one thread: half the CPU time of two for these small models (each
 * waits for the other, most of all on cores that are shared), and the same numbers bit for bit.
 */
import { readFile } from 'node:fs/promises'
import { register } from 'node:module'
import { join } from 'node:path'
import * as ort from 'onnxruntime-web'
import { listFiles, ROOT } from '../../cli/serve'
import { TunerClient, type WorkerPort } from '../../src/client'
import { MemoryStore, type KeyValueStore } from '../../src/library/store'
import type { CommandName, Commands, Results } from '../../src/protocol'

const MODELS = '/models/'

/** A loader hook for Node: files imported as text with "?raw", as Vite has them (src/formats/python). It runs in a thread of its own. */
const RAW_IMPORTS = `
import { readFile } from 'node:fs/promises'
export async function load(url, context, nextLoad) {
  if (!/\\.(py|txt|md)([?]raw)?$/.test(url)) return nextLoad(url, context)
  const text = await readFile(new URL(url.replace('?raw', '')), 'utf8')
  return { format: 'module', shortCircuit: true, source: 'export default ' + JSON.stringify(text) }
}`

const fetchPublic: typeof fetch = async (input, init) => {
  const url = input instanceof Request ? input.url : String(input)
  if (!url.startsWith(MODELS)) throw new TypeError('a sweep asks nothing of the network')
  const bytes = await readFile(join(ROOT, 'public', url)).catch(() => null)
  if (!bytes) return new Response(null, { status: 404 })
  const headers = { 'content-length': String(bytes.length) }
  return new Response(init?.method === 'HEAD' ? null : new Uint8Array(bytes), { headers })
}

export class NodeWorker {
  private constructor(
    private readonly client: TunerClient,
    private readonly ports: readonly MessagePort[],
  ) {}

  static async open(threads: number): Promise<NodeWorker> {
    ort.env.wasm.numThreads = threads
    // The worker imports files as text, which Node has to be told of before.
    register(`data:text/javascript,${encodeURIComponent(RAW_IMPORTS)}`)
    const { Tuner } = await import('../../workers/session/tuner')
    const { port1, port2 } = new MessageChannel()
    const stores = new Map<string, KeyValueStore>()
    const tuner = new Tuner({
      ort,
      fetch: fetchPublic,
      models_path: MODELS,
      openStore: (name) => {
        const store = stores.get(name) ?? new MemoryStore()
        stores.set(name, store)
        return store
      },
      storage: null,
      locks: null,
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
    return new NodeWorker(new TunerClient(port), [port1, port2])
  }

  request<Name extends CommandName>(type: Name, payload: Commands[Name]): Promise<Results[Name]> {
    return this.client.request(type, payload, () => undefined)
  }

  /** Makes a folder of this machine the model `name`. */
  async addModel(name: string, directory: string): Promise<void> {
    const files = await Promise.all(
      listFiles(directory).map(async (path) => ({ path, blob: new Blob([await readFile(join(directory, path))]) })),
    )
    await this.client.request('add_model_files', { name, files }, () => undefined)
  }

  close(): Promise<void> {
    for (const port of this.ports) port.close()
    return Promise.resolve()
  }
}
