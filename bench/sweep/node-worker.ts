/**
 * The tuning worker's session in this process, without a browser: the same code and the same onnxruntime (wasm), the app's own models from
 * public/, a library in memory. What a sweep runs on, because it can be given one thread: half the CPU time of two for these small models (each
 * waits for the other, most of all on cores that are shared), and the same numbers bit for bit.
 */
import { readFile } from 'node:fs/promises'
import { register } from 'node:module'
import { join } from 'node:path'
import * as ort from 'onnxruntime-web'
import { connect, fetchOwnModels, MODELS_PATH, storesIn } from '../../cli/in-process'
import { listFiles } from '../../cli/serve'
import type { CommandName, Commands, Results } from '../../src/protocol'

/** A loader hook for Node: files imported as text with "?raw", as Vite has them (src/formats/python). It runs in a thread of its own. */
const RAW_IMPORTS = `
import { readFile } from 'node:fs/promises'
export async function load(url, context, nextLoad) {
  if (!/\\.(py|txt|md)([?]raw)?$/.test(url)) return nextLoad(url, context)
  const text = await readFile(new URL(url.replace('?raw', '')), 'utf8')
  return { format: 'module', shortCircuit: true, source: 'export default ' + JSON.stringify(text) }
}`

export class NodeWorker {
  private constructor(private readonly connection: ReturnType<typeof connect>) {}

  static async open(threads: number): Promise<NodeWorker> {
    ort.env.wasm.numThreads = threads
    // The worker imports files as text, which Node has to be told of before.
    register(`data:text/javascript,${encodeURIComponent(RAW_IMPORTS)}`)
    const { Tuner } = await import('../../workers/session/tuner')
    const surroundings = {
      ort,
      fetch: fetchOwnModels,
      models_path: MODELS_PATH,
      openStore: storesIn(new Map()),
      storage: null,
      locks: null,
    }
    return new NodeWorker(connect((post) => new Tuner({ ...surroundings, post })))
  }

  request<Name extends CommandName>(type: Name, payload: Commands[Name]): Promise<Results[Name]> {
    return this.connection.client.request(type, payload, () => undefined)
  }

  /** Makes a folder of this machine the model `name`. */
  async addModel(name: string, directory: string): Promise<void> {
    const files = await Promise.all(
      listFiles(directory).map(async (path) => ({ path, blob: new Blob([await readFile(join(directory, path))]) })),
    )
    await this.connection.client.request('add_model_files', { name, files }, () => undefined)
  }

  close(): Promise<void> {
    this.connection.close()
    return Promise.resolve()
  }
}
