/**
 * Large files in a key-value store, in shards: browsers fail to store, or to read back, single values beyond some hundred MB. A file
 * exists once its manifest is written, which is the last thing a put does; each put writes under a name of its own, so what is
 * being served stays whole until the new file is. It knows nothing of models.
 */
import * as v from 'valibot'
import { MemoryStore, storageTrouble, type KeyValueStore } from '../library/store'
import { Sha256 } from './sha256'
import { MANIFEST, ManifestSchema, manifestKey, ShardBuffer, shardKey, ShardWriter, type Manifest } from './shard-writer'

export type { Manifest }

/** Largest value known to be stored and read back everywhere, private windows included (133 MB fails in Chromium's). */
export const SHARD_BYTES = 64 * 2 ** 20

export interface StoredFile {
  readonly manifest: Manifest
  /** The content, one shard in memory at a time. */
  stream(): ReadableStream<Uint8Array<ArrayBuffer>>
  /** The content in one piece. @throws RangeError when the browser has no memory for it */
  bytes(): Promise<Uint8Array<ArrayBuffer>>
}

export interface PutOptions {
  readonly revision?: string | null
  readonly signal?: AbortSignal | undefined
  /** Called with the bytes so far. */
  readonly onProgress?: ((loaded: number) => void) | undefined
  /** Called with the first shard before anything is stored; throws to refuse the file. */
  readonly check?: ((head: Uint8Array) => void) | undefined
  /** Fewer bytes than these are a truncated download. */
  readonly minimum_size?: number | null
}

/** The content ended early: nothing was stored. */
export class TruncatedError extends Error {
  override readonly name = 'TruncatedError'
  constructor(
    readonly received: number,
    readonly expected: number,
  ) {
    super(`only ${received} of ${expected} bytes arrived`)
  }
}

let puts = 0
const newPut = (): string => `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 10)}-${(puts++).toString(36)}`
/** Shards without a manifest may belong to a download in another tab; after a day they don't. */
const ORPHAN_AGE_MS = 24 * 3600 * 1000
const ageOf = (put: string): number => Date.now() - parseInt(put.split('-')[0] ?? '', 36)

export interface ShardedFilesOptions {
  readonly store: KeyValueStore
  readonly shard_bytes?: number
  /** Told once when the store refuses and files are kept in memory instead: why. */
  readonly onMemoryOnly?: (reason: string) => void
}

export class ShardedFiles {
  /** Why files are kept in memory only; null while the store works. */
  memory_only: string | null = null
  private readonly store: KeyValueStore
  private readonly memory = new MemoryStore()
  private readonly shardBytes: number
  private readonly onMemoryOnly: (reason: string) => void
  /** Manifests whose shards were all seen, by put: not looked at again. */
  private readonly verified = new Set<string>()

  constructor(options: ShardedFilesOptions) {
    this.store = options.store
    this.shardBytes = options.shard_bytes ?? SHARD_BYTES
    this.onMemoryOnly = options.onMemoryOnly ?? (() => undefined)
  }

  /**
   * Stores `content` as `path`. When it rejects, nothing of it is left and a file that was there before still is.
   * @throws TruncatedError, the signal's reason, what `check` or the stream throws
   */
  async put(path: string, content: ReadableStream<Uint8Array>, options: PutOptions = {}): Promise<Manifest> {
    const put = newPut()
    const hash = new Sha256()
    const writer = new ShardWriter(put, this.memory_only === null ? this.store : null, this.memory, (error) =>
      this.useMemory(error),
    )
    const reader = content.getReader()
    const onAbort = (): void => void reader.cancel(options.signal?.reason).catch(() => undefined)
    options.signal?.addEventListener('abort', onAbort)
    let size = 0
    try {
      let shard = new ShardBuffer(this.shardBytes)
      const flush = async (): Promise<void> => {
        const bytes = shard.take()
        if (writer.written === 0) options.check?.(bytes)
        hash.update(bytes)
        await writer.write(bytes.buffer)
        shard = new ShardBuffer(this.shardBytes)
      }
      for (;;) {
        options.signal?.throwIfAborted()
        const { done, value } = await reader.read()
        options.signal?.throwIfAborted()
        if (done) break
        size += value.byteLength
        for (let rest = value; rest.byteLength > 0;) {
          rest = shard.add(rest)
          if (shard.full) await flush()
        }
        options.onProgress?.(size)
      }
      if (typeof options.minimum_size === 'number' && size < options.minimum_size)
        throw new TruncatedError(size, options.minimum_size)
      if (shard.length > 0 || writer.written === 0) await flush()
      options.signal?.throwIfAborted()
      const manifest: Manifest = {
        size,
        sha256: hash.hex(),
        shards: writer.written,
        shard_bytes: this.shardBytes,
        put,
        revision: options.revision ?? null,
      }
      const replaced = await this.manifest(path)
      await writer.commit(manifestKey(path), manifest)
      this.verified.add(put)
      if (replaced) await this.dropShards(replaced)
      return manifest
    } catch (error) {
      await writer.discard()
      throw error
    } finally {
      options.signal?.removeEventListener('abort', onAbort)
      await reader.cancel().catch(() => undefined)
    }
  }

  /** The file, or undefined when it isn't there or not whole; a damaged one is removed. */
  async open(path: string): Promise<StoredFile | undefined> {
    const manifest = await this.manifest(path)
    if (!manifest) return undefined
    if (!this.verified.has(manifest.put)) {
      for (let i = 0; i < manifest.shards; i++) {
        if (await this.shard(manifest, i)) continue
        await this.delete(path)
        return undefined
      }
      this.verified.add(manifest.put)
    }
    const shardAt = async (index: number): Promise<Uint8Array<ArrayBuffer>> => {
      const shard = await this.shard(manifest, index)
      if (shard) return shard
      this.verified.delete(manifest.put)
      throw new Error(`${path}: part ${index + 1} of ${manifest.shards} is gone from the browser's storage`)
    }
    return {
      manifest,
      stream: () => {
        let next = 0
        return new ReadableStream({
          async pull(controller) {
            if (next >= manifest.shards) return controller.close()
            const shard = await shardAt(next++)
            // An empty file has one empty shard; a stream's chunks are better not empty.
            if (shard.byteLength > 0) controller.enqueue(shard)
            else controller.close()
          },
        })
      },
      bytes: async () => {
        const whole = new Uint8Array(manifest.size)
        for (let i = 0, at = 0; i < manifest.shards; i++) {
          const shard = await shardAt(i)
          whole.set(shard, at)
          at += shard.byteLength
        }
        return whole
      },
    }
  }

  /** Size and hash without looking at the content; undefined when there is no valid manifest. */
  async manifest(path: string): Promise<Manifest | undefined> {
    const found = (await this.memory.get(manifestKey(path))) ?? (await this.read(manifestKey(path)))
    const parsed = v.safeParse(ManifestSchema, found)
    if (!parsed.success) return undefined
    const { size, shards, shard_bytes } = parsed.output
    return shards === Math.max(1, Math.ceil(size / shard_bytes)) ? parsed.output : undefined
  }

  async delete(path: string): Promise<boolean> {
    const manifest = await this.manifest(path)
    // The manifest goes first: without it the shards are nothing.
    await this.memory.delete(manifestKey(path))
    await this.attempt(() => this.store.delete(manifestKey(path)))
    if (manifest) await this.dropShards(manifest)
    return manifest !== undefined
  }

  /** Paths and manifests of all files. */
  async list(): Promise<ReadonlyMap<string, Manifest>> {
    const files = new Map<string, Manifest>()
    for (const key of await this.keys()) {
      if (!key.startsWith(MANIFEST)) continue
      const path = key.slice(MANIFEST.length)
      const manifest = await this.manifest(path)
      if (manifest) files.set(path, manifest)
    }
    return files
  }

  /** Removes what crashed downloads left behind. */
  async sweep(): Promise<void> {
    const used = new Set([...(await this.list()).values()].map((manifest) => manifest.put))
    for (const key of await this.keys()) {
      const [kind, put] = key.split(':')
      if (kind !== 'shard' || put === undefined || used.has(put) || !(ageOf(put) > ORPHAN_AGE_MS)) continue
      await this.attempt(() => this.store.delete(key))
    }
  }

  /** Removes everything. @throws what the store throws */
  async clear(): Promise<void> {
    this.verified.clear()
    await this.memory.clear()
    await this.store.clear()
    this.memory_only = null
  }

  private async keys(): Promise<readonly string[]> {
    return [...new Set([...((await this.attempt(() => this.store.keys())) ?? []), ...(await this.memory.keys())])]
  }

  /** The shard if it is there with exactly the bytes it should have. */
  private async shard(manifest: Manifest, index: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const key = shardKey(manifest.put, index)
    const value = (await this.memory.get(key)) ?? (await this.read(key))
    const expected = Math.min(manifest.shard_bytes, manifest.size - index * manifest.shard_bytes)
    return value instanceof ArrayBuffer && value.byteLength === expected ? new Uint8Array(value) : undefined
  }

  private async dropShards(manifest: Manifest): Promise<void> {
    this.verified.delete(manifest.put)
    for (let i = 0; i < manifest.shards; i++) {
      await this.memory.delete(shardKey(manifest.put, i))
      await this.attempt(() => this.store.delete(shardKey(manifest.put, i)))
    }
  }

  private read(key: string): Promise<unknown> {
    return this.attempt(() => this.store.get(key))
  }

  /** What can't be read is not there; what can't be deleted is swept later. */
  private async attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work()
    } catch {
      return undefined
    }
  }

  private useMemory(error: unknown): void {
    if (this.memory_only !== null) return
    this.memory_only = storageTrouble(error)
    this.onMemoryOnly(this.memory_only)
  }
}
