/**
 * What is kept of files that are not whole: downloads that were stopped or broke off (or are under way), so that a later one can go on behind
 * their last whole shard. It does not write shards.
 */
import * as v from 'valibot'
import type { KeyValueStore } from '../library/store'
import { count, isReadable, isShard, put, shard_bytes, shardKey, shardSize } from './shard-writer'

const PartialSchema = v.object({
  put,
  shards: count,
  shard_bytes,
  /** What tells whether the content is still the same. */
  validator: v.pipe(v.string(), v.minLength(1)),
  /** Bytes the whole content has; null: not known. */
  total: v.nullable(count),
  revision: v.nullable(v.string()),
  /** Of the bytes so far. */
  hash: v.object({
    state: v.pipe(v.array(v.pipe(v.number(), v.safeInteger())), v.length(8)),
    rest: v.pipe(v.array(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(255))), v.maxLength(63)),
    total: count,
  }),
})
export type Partial = Readonly<v.InferOutput<typeof PartialSchema>>

const PARTIAL = 'partial:'
const partialKey = (path: string): string => `${PARTIAL}${path}`

/** All of it is best effort: what can't be read is not there, and what can't be written is not gone on from. */
export class Partials {
  constructor(private readonly store: KeyValueStore) {}

  async note(path: string, partial: Partial): Promise<void> {
    await this.store.set(partialKey(path), partial).catch(() => undefined)
  }

  /** Forgets the note, not the shards. */
  async forget(path: string): Promise<void> {
    await this.store.delete(partialKey(path)).catch(() => undefined)
  }

  /** Removes what is kept of a file. */
  async drop(path: string): Promise<void> {
    const partial = await this.read(path)
    await this.forget(path)
    for (let i = 0; i < (partial?.shards ?? 0); i++) {
      await this.store.delete(shardKey(partial?.put ?? '', i)).catch(() => undefined)
    }
  }

  /** Whole shards that are all there and readable; undefined when there is nothing to go on from. */
  async find(path: string): Promise<Partial | undefined> {
    const partial = await this.read(path)
    if (!partial || partial.shards === 0) return undefined
    const bytes = partial.shards * partial.shard_bytes
    if (partial.hash.total !== bytes || (partial.total !== null && bytes > partial.total)) return undefined
    for (let i = 0; i < partial.shards; i++) {
      const shard = await this.store.get(shardKey(partial.put, i)).catch(() => null)
      if (!isShard(shard) || shardSize(shard) !== partial.shard_bytes) return undefined
      if (shard instanceof Blob && !(await isReadable(shard))) return undefined
    }
    return partial
  }

  /** All of them, by the path of their file. */
  async list(): Promise<ReadonlyMap<string, Partial>> {
    const found = new Map<string, Partial>()
    for (const key of await this.store.keys().catch(() => [])) {
      const path = key.startsWith(PARTIAL) ? key.slice(PARTIAL.length) : null
      const partial = path === null ? undefined : await this.read(path)
      if (path !== null && partial) found.set(path, partial)
    }
    return found
  }

  private async read(path: string): Promise<Partial | undefined> {
    const parsed = v.safeParse(PartialSchema, await this.store.get(partialKey(path)).catch(() => null))
    return parsed.success ? parsed.output : undefined
  }
}
