/**
 * Large files in a key-value store, in shards: browsers fail to store, or to read back, single values beyond some hundred MB. A file
 * exists once its manifest is written, which is the last thing a put does; each put writes under a name of its own, so what is
 * being served stays whole until the new file is. Of a put that breaks off, whole shards may be kept for a later one to go on from.
 * It knows nothing of models.
 */
import * as v from 'valibot'
import { MemoryStore, storageTrouble, type KeyValueStore } from '../library/store'
import { asSource, type ByteSource } from '../graph/source'
import { blobSource, readsBlobs } from './blob-source'
import { FileLocks, type Locks } from './file-locks'
import { Partials, type Partial } from './partials'
import { Sha256 } from './sha256'
import * as shards from './shard-writer'
import { manifestKey, ShardBuffer, shardKey, ShardWriter, type Manifest, type Shard } from './shard-writer'

export type { Manifest }

/** Largest value known to be stored and read back everywhere, private windows included (133 MB fails in Chromium's). */
export const SHARD_BYTES = 64 * 2 ** 20

export interface StoredFile {
  readonly manifest: Manifest
  /** The content, one shard in memory at a time. */
  stream(): ReadableStream<Uint8Array<ArrayBuffer>>
  /** The content in one piece. @throws RangeError when the browser has no memory for it */
  bytes(): Promise<Uint8Array<ArrayBuffer>>
  /** The content, read by slices where that can be done, else in memory. @throws as `bytes` */
  source(): Promise<ByteSource>
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
  /** Exactly these bytes, in number and by hash, where they are known. */
  readonly size?: number | null
  readonly sha256?: string | null
  /** When this is given, whole shards of a put that breaks off are kept. */
  readonly resumable?: { readonly validator: string; readonly total: number | null } | null
  /** What was kept of an earlier put: `content` goes on behind it. The validator must be the same. */
  readonly resume?: Partial | null
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

/** The content is not what was announced: nothing of it was stored. */
export class WrongContentError extends Error {
  override readonly name = 'WrongContentError'
}

let puts = 0
const newPut = (): string => `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 10)}-${(puts++).toString(36)}`
/** Shards without a manifest may belong to a download in another tab; after a day they don't. */
const ORPHAN_AGE_MS = 24 * 3600 * 1000
/** What broke off longer ago than this is not gone on with. */
const PARTIAL_AGE_MS = 14 * 24 * 3600 * 1000
const ageOf = (put: string): number => Date.now() - parseInt(put.split('-')[0] ?? '', 36)

export interface ShardedFilesOptions {
  readonly store: KeyValueStore
  readonly shard_bytes?: number
  /** Told once when the store refuses and files are kept in memory instead: why. */
  readonly onMemoryOnly?: (reason: string) => void
  /** Whether to store shards as Blobs. Default: where they can be read by slices. */
  readonly blobs?: boolean
  /** What keeps other tabs, which write to the same store, from writing the same file. null: there are none, or no way to. */
  readonly locks?: Locks | null
}

export class ShardedFiles {
  /** Why files are kept in memory only; null while the store works. */
  memory_only: string | null = null
  private readonly store: KeyValueStore
  private readonly memory = new MemoryStore()
  private readonly shardBytes: number
  private readonly onMemoryOnly: (reason: string) => void
  /** What is kept of files that are not whole. */
  readonly partials: Partials
  /** Whoever writes or removes a file should have its lock: two at once would undo each other's shards. */
  readonly locks: FileLocks
  /** Manifests whose shards were all seen, by put: not looked at again. */
  private readonly verified = new Set<string>()
  private blobs: boolean

  constructor(options: ShardedFilesOptions) {
    this.store = options.store
    this.partials = new Partials(options.store)
    this.locks = new FileLocks(options.locks ?? null)
    this.shardBytes = options.shard_bytes ?? SHARD_BYTES
    this.onMemoryOnly = options.onMemoryOnly ?? (() => undefined)
    this.blobs = options.blobs ?? readsBlobs()
  }

  /**
   * Stores `content` as `path`. When it rejects, a file that was there before still is, and nothing is left of the new one but, with
   * `resumable`, its whole shards: `partials` tells of them.
   * @throws TruncatedError, WrongContentError, the signal's reason, what `check` or the stream throws
   */
  async put(path: string, content: ReadableStream<Uint8Array>, options: PutOptions = {}): Promise<Manifest> {
    const resume = options.resume ?? null
    if (!resume) await this.partials.drop(path)
    const put = resume?.put ?? newPut()
    const shard_bytes = resume?.shard_bytes ?? this.shardBytes
    const hash = resume ? Sha256.resume(resume.hash) : new Sha256()
    const writer = new ShardWriter({
      put,
      store: this.memory_only === null ? this.store : null,
      memory: this.memory,
      onRefused: (error) => this.useMemory(error),
      written: resume?.shards ?? 0,
      blobs: this.blobs,
    })
    const revision = options.revision ?? resume?.revision ?? null
    const { resumable } = options
    const reader = content.getReader()
    const onAbort = (): void => void reader.cancel(options.signal?.reason).catch(() => undefined)
    options.signal?.addEventListener('abort', onAbort)
    let size = hash.save().total
    try {
      let shard = new ShardBuffer(shard_bytes)
      const flush = async (): Promise<void> => {
        const bytes = shard.take()
        if (writer.written === 0) options.check?.(bytes)
        hash.update(bytes)
        await writer.write(bytes.buffer)
        this.blobs = writer.blobs
        shard = new ShardBuffer(shard_bytes)
        if (resumable && writer.lasting && bytes.byteLength === shard_bytes) {
          await this.partials.note(path, {
            put,
            shards: writer.written,
            shard_bytes,
            ...resumable,
            revision,
            hash: hash.save(),
          })
        }
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
      if (typeof options.size === 'number' && size < options.size) throw new TruncatedError(size, options.size)
      if (typeof options.size === 'number' && size > options.size) {
        throw new WrongContentError(`${size} bytes arrived, it should have ${options.size}`)
      }
      if (shard.length > 0 || writer.written === 0) await flush()
      options.signal?.throwIfAborted()
      const sha256 = hash.hex()
      if (typeof options.sha256 === 'string' && sha256 !== options.sha256) {
        throw new WrongContentError(`its SHA-256 is ${sha256}, it should be ${options.sha256}`)
      }
      const manifest: Manifest = { size, sha256, shards: writer.written, shard_bytes, put, revision }
      const replaced = await this.manifest(path)
      await writer.commit(manifestKey(path), manifest)
      this.verified.add(put)
      await this.partials.forget(path)
      // The same put: another tab went on with the same download, and was done first.
      if (replaced && replaced.put !== put) await this.dropShards(replaced)
      return manifest
    } catch (error) {
      const isKept = resumable && writer.lasting && writer.written > 0 && !(error instanceof WrongContentError)
      if (!isKept) {
        await this.partials.forget(path)
        await writer.discard()
      }
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
        const shard = await this.shard(manifest, i)
        if (shard && (!(shard instanceof Blob) || (await shards.isReadable(shard)))) continue
        await this.delete(path)
        return undefined
      }
      this.verified.add(manifest.put)
    }
    const shardAt = async (index: number): Promise<Shard> => {
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
            const shard = await shards.shardBytes(await shardAt(next++))
            // An empty file has one empty shard; a stream's chunks are better not empty.
            if (shard.byteLength > 0) controller.enqueue(shard)
            else controller.close()
          },
        })
      },
      bytes: () => joined(manifest, shardAt),
      source: async () => {
        if (!readsBlobs()) return asSource(await joined(manifest, shardAt))
        const parts: Blob[] = []
        // One by one: a shard that is no Blob becomes one, which the browser keeps outside of the page's memory.
        for (let i = 0; i < manifest.shards; i++) parts.push(new Blob([await shardAt(i)]))
        return blobSource(path, new Blob(parts))
      },
    }
  }

  /** Size and hash without looking at the content; undefined when there is no valid manifest. */
  async manifest(path: string): Promise<Manifest | undefined> {
    const found = (await this.memory.get(manifestKey(path))) ?? (await this.read(manifestKey(path)))
    const parsed = v.safeParse(shards.ManifestSchema, found)
    if (!parsed.success) return undefined
    const { size, shards: count, shard_bytes } = parsed.output
    return count === Math.max(1, Math.ceil(size / shard_bytes)) ? parsed.output : undefined
  }

  async delete(path: string): Promise<boolean> {
    await this.partials.drop(path)
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
      if (!key.startsWith(shards.MANIFEST)) continue
      const path = key.slice(shards.MANIFEST.length)
      const manifest = await this.manifest(path)
      if (manifest) files.set(path, manifest)
    }
    return files
  }

  /** Removes what crashed downloads left behind, and what broke off long ago. */
  async sweep(): Promise<void> {
    const used = new Set([...(await this.list()).values()].map((manifest) => manifest.put))
    for (const [path, { put }] of await this.partials.list()) {
      const isOld = ageOf(put) > PARTIAL_AGE_MS
      // One that is locked is being gone on with.
      if (!isOld || !(await this.locks.ifFree(path, () => this.partials.drop(path)))) used.add(put)
    }
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
  private async shard(manifest: Manifest, index: number): Promise<Shard | undefined> {
    const key = shardKey(manifest.put, index)
    const value = (await this.memory.get(key)) ?? (await this.read(key))
    const expected = Math.min(manifest.shard_bytes, manifest.size - index * manifest.shard_bytes)
    return shards.isShard(value) && shards.shardSize(value) === expected ? value : undefined
  }

  private async dropShards({ put, shards: count }: Pick<Manifest, 'put' | 'shards'>): Promise<void> {
    this.verified.delete(put)
    for (let i = 0; i < count; i++) {
      await this.memory.delete(shardKey(put, i))
      await this.attempt(() => this.store.delete(shardKey(put, i)))
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

async function joined(
  { size, shards: count }: Manifest,
  shardAt: (index: number) => Promise<Shard>,
): Promise<Uint8Array<ArrayBuffer>> {
  const whole = new Uint8Array(size)
  for (let i = 0, at = 0; i < count; i++) {
    const bytes = await shards.shardBytes(await shardAt(i))
    whole.set(bytes, at)
    at += bytes.byteLength
  }
  return whole
}
