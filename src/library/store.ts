/**
 * Where records are kept: a small key-value interface, IndexedDB behind it (through idb-keyval), a map in memory, and the
 * two put together for browsers that refuse to store. It knows nothing of what is stored.
 */
import { clear, createStore, del, get, keys, set } from 'idb-keyval'

/** Values are structured-cloneable data. Every call may reject (quota, private window, broken database). */
export interface KeyValueStore {
  get(key: string): Promise<unknown>
  set(key: string, value: unknown): Promise<void>
  delete(key: string): Promise<void>
  keys(): Promise<readonly string[]>
  clear(): Promise<void>
}

/** One IndexedDB database per concern: idb-keyval can't add a store to an existing one. */
export function indexedDbStore(database: string): KeyValueStore {
  // Opening is the first thing that fails where storage is forbidden; as a rejection it can be caught like the rest.
  const opened = Promise.resolve().then(() => createStore(database, 'kv'))
  opened.catch(() => undefined)
  return {
    get: async (key) => get<unknown>(key, await opened),
    set: async (key, value) => set(key, value, await opened),
    delete: async (key) => del(key, await opened),
    keys: async () => (await keys<IDBValidKey>(await opened)).filter((key) => typeof key === 'string'),
    clear: async () => clear(await opened),
  }
}

/** Keeps everything in memory, cloned as IndexedDB would. */
export class MemoryStore implements KeyValueStore {
  private readonly values = new Map<string, unknown>()

  get(key: string): Promise<unknown> {
    return Promise.resolve(this.values.get(key))
  }
  set(key: string, value: unknown): Promise<void> {
    return Promise.resolve().then(() => void this.values.set(key, structuredClone(value)))
  }
  delete(key: string): Promise<void> {
    return Promise.resolve(void this.values.delete(key))
  }
  keys(): Promise<readonly string[]> {
    return Promise.resolve([...this.values.keys()])
  }
  clear(): Promise<void> {
    return Promise.resolve(this.values.clear())
  }
}

/**
 * A store that never loses what it is given while the page lives: what the first store refuses is kept in memory, and
 * `onTrouble` is told why, once. Reads look in memory first.
 */
export class FallbackStore implements KeyValueStore {
  private readonly memory = new MemoryStore()
  /** Deleted while the first store would not hear of it: must not come back. */
  private readonly gone = new Set<string>()
  private told = false

  constructor(
    private readonly first: KeyValueStore,
    private readonly onTrouble: (reason: string) => void,
  ) {}

  async get(key: string): Promise<unknown> {
    const kept = await this.memory.get(key)
    if (kept !== undefined || this.gone.has(key)) return kept
    return this.attempt(() => this.first.get(key), undefined)
  }

  async set(key: string, value: unknown): Promise<void> {
    try {
      await this.first.set(key, value)
      await this.memory.delete(key)
    } catch (error) {
      await this.memory.set(key, value)
      this.tell(error)
    }
    this.gone.delete(key)
  }

  async delete(key: string): Promise<void> {
    await this.memory.delete(key)
    this.gone.add(key)
    await this.attempt(async () => {
      await this.first.delete(key)
      this.gone.delete(key)
    }, undefined)
  }

  async keys(): Promise<readonly string[]> {
    const first = await this.attempt(() => this.first.keys(), [])
    return [...new Set([...first, ...(await this.memory.keys())])].filter((key) => !this.gone.has(key))
  }

  async clear(): Promise<void> {
    await this.memory.clear()
    await this.first.clear()
    this.gone.clear()
  }

  private async attempt<T>(work: () => Promise<T>, otherwise: T): Promise<T> {
    try {
      return await work()
    } catch (error) {
      this.tell(error)
      return otherwise
    }
  }

  private tell(error: unknown): void {
    if (this.told) return
    this.told = true
    this.onTrouble(storageTrouble(error))
  }
}

/** A storage error in words: the browser's own are often just "UnknownError". */
export function storageTrouble(error: unknown): string {
  const name = error instanceof Error ? error.name : ''
  const message = error instanceof Error ? error.message : String(error)
  if (name === 'QuotaExceededError') return 'the browser has no storage left for this page'
  if (name === 'ReferenceError' || name === 'SecurityError' || name === 'InvalidStateError') {
    return 'this browser does not let the page store anything (a private window, perhaps)'
  }
  return `the browser could not store it (${message === '' ? name : message})`
}
