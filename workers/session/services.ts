/**
 * What all parts of the session share: stores, the model cache, onnxruntime, the way to the page. Made once per worker; everything a
 * browser gives comes in as an Environment, so that the session also runs in Node.
 */
import { env } from '@huggingface/transformers'
import type { OrtLibrary } from '../../src/engine/ort/ort-library'
import { PromptLibrary } from '../../src/library/prompts'
import { RunStore } from '../../src/library/runs'
import { FallbackStore, type KeyValueStore } from '../../src/library/store'
import { ModelCache } from '../../src/models/cache'
import type { Locks } from '../../src/models/file-locks'
import { Generator } from '../../src/models/generate'
import { ModelLoader } from '../../src/models/load'
import { ShardedFiles } from '../../src/models/shards'
import { ModelUsage } from '../../src/models/usage'
import type { Event, Progress } from '../../src/protocol'

export interface Environment {
  readonly ort: OrtLibrary
  readonly fetch: typeof fetch
  /** Where the embedded models lie: a path on our origin that ends with a slash. */
  readonly models_path: string
  /** A store of that name that is still there after a reload. */
  readonly openStore: (name: string) => KeyValueStore
  /** null where the browser has none. */
  readonly storage: StorageManager | null
  readonly locks: Locks | null
  readonly post: (event: Event) => void
}

/** Reports on the way to a command's result. */
export type Report = (progress: Progress) => void

export class Services {
  readonly ort: OrtLibrary
  readonly storage: StorageManager | null
  readonly locks: Locks | null
  /** For what is no model file: the hub's API. */
  readonly fetch: typeof fetch
  readonly cache: ModelCache
  readonly usage: ModelUsage
  readonly loader: ModelLoader
  readonly generator: Generator
  readonly prompts: PromptLibrary
  readonly runs: RunStore
  readonly promptStore: KeyValueStore
  readonly runStore: KeyValueStore
  /** Why prompts and runs are kept in memory only; null while they are stored. */
  library_memory_only: string | null = null

  constructor(private readonly environment: Environment) {
    const { ort, storage, locks, openStore, models_path } = environment
    this.ort = ort
    this.storage = storage
    this.locks = locks
    this.fetch = environment.fetch
    this.usage = new ModelUsage(openStore('promptlathe-usage'))
    env.localModelPath = models_path
    const files = new ShardedFiles({
      store: openStore('promptlathe-models'),
      onMemoryOnly: (reason) => this.warn(`Downloaded models are kept only until this page is closed: ${reason}.`),
      locks,
    })
    this.cache = new ModelCache({ files, remote_host: env.remoteHost, local_path: models_path })
    this.loader = new ModelLoader(this.cache, environment.fetch)
    this.generator = new Generator(this.cache)
    this.promptStore = new FallbackStore(openStore('promptlathe-prompts'), (reason) => {
      this.library_memory_only = reason
      this.warn(`Prompts are kept only until this page is closed: ${reason}. Download those you want to keep.`)
    })
    this.runStore = new FallbackStore(openStore('promptlathe-runs'), (reason) =>
      this.warn(`A run can't be resumed after a reload: ${reason}.`),
    )
    this.prompts = new PromptLibrary(this.promptStore, (text) => this.warn(text))
    this.runs = new RunStore(this.runStore, (text) => this.warn(text))
  }

  warn(text: string): void {
    this.environment.post({ type: 'notice', request: null, level: 'warning', text })
  }

  inform(text: string): void {
    this.environment.post({ type: 'notice', request: null, level: 'info', text })
  }
}
