/**
 * The writing half of the sharded files: the manifest's form, the keys, shards as they are kept, and a writer that changes over to memory when
 * the store refuses. What a file is, and when it exists, is in shards.ts.
 */
import * as v from 'valibot'
import type { KeyValueStore } from '../library/store'

export const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
/** Name under which a put wrote its shards. */
export const put = v.pipe(v.string(), v.minLength(1))
export const shard_bytes = v.pipe(count, v.minValue(1))

export const ManifestSchema = v.object({
  size: count,
  sha256: v.pipe(v.string(), v.hexadecimal(), v.length(64)),
  shards: count,
  shard_bytes,
  put,
  /** The repository's commit, where the server said it. */
  revision: v.nullable(v.string()),
})
export type Manifest = Readonly<v.InferOutput<typeof ManifestSchema>>

export const MANIFEST = 'manifest:'
export const manifestKey = (path: string): string => `${MANIFEST}${path}`
export const shardKey = (name: string, index: number): string => `shard:${name}:${index}`

/** A shard as stores give it back: a Blob where they keep those readably. */
export type Shard = Blob | ArrayBuffer

export const isShard = (value: unknown): value is Shard => value instanceof Blob || value instanceof ArrayBuffer
export const shardSize = (shard: Shard): number => (shard instanceof Blob ? shard.size : shard.byteLength)
export const shardBytes = async (shard: Shard): Promise<Uint8Array<ArrayBuffer>> =>
  new Uint8Array(shard instanceof Blob ? await shard.arrayBuffer() : shard)

/** Whether a Blob's ends can be read: some private windows give Blobs back that can't. */
export async function isReadable(blob: Blob): Promise<boolean> {
  try {
    await Promise.all([blob.slice(0, 1).arrayBuffer(), blob.slice(-1).arrayBuffer()])
    return true
  } catch {
    return false
  }
}

/** Collects pieces up to the size of a shard. */
export class ShardBuffer {
  private readonly pieces: Uint8Array[] = []
  length = 0

  constructor(private readonly limit: number) {}

  get full(): boolean {
    return this.length === this.limit
  }

  /** Takes what fits; the rest comes back. */
  add(bytes: Uint8Array): Uint8Array {
    const fits = bytes.subarray(0, this.limit - this.length)
    this.pieces.push(fits)
    this.length += fits.byteLength
    return bytes.subarray(fits.byteLength)
  }

  take(): Uint8Array<ArrayBuffer> {
    const whole = new Uint8Array(this.length)
    let at = 0
    for (const piece of this.pieces) {
      whole.set(piece, at)
      at += piece.byteLength
    }
    return whole
  }
}

export interface ShardWriterOptions {
  readonly put: string
  /** null: to memory from the start. */
  readonly store: KeyValueStore | null
  readonly memory: KeyValueStore
  readonly onRefused: (error: unknown) => void
  /** Shards that are there already. */
  readonly written: number
  /** Whether shards are to be Blobs, which are read by slices. */
  readonly blobs: boolean
}

/** The writing half of one put: to the store while it takes it, from then on to memory, with what was already stored. */
export class ShardWriter {
  written: number
  /** Becomes false when the store gives a Blob back that can't be read. */
  blobs: boolean
  private readonly put: string
  private readonly memory: KeyValueStore
  private store: KeyValueStore | null

  constructor(private readonly options: ShardWriterOptions) {
    this.put = options.put
    this.store = options.store
    this.memory = options.memory
    this.written = options.written
    this.blobs = options.blobs
  }

  /** Whether what was written will still be there after a reload. */
  get lasting(): boolean {
    return this.store !== null
  }

  async write(buffer: ArrayBuffer): Promise<void> {
    const key = shardKey(this.put, this.written)
    await this.set(key, this.blobs ? new Blob([buffer]) : buffer)
    if (this.blobs && this.store && !(await this.readsBack(this.store, key, buffer.byteLength))) {
      this.blobs = false
      await this.set(key, buffer)
    }
    this.written++
  }

  async commit(key: string, manifest: Manifest): Promise<void> {
    await this.set(key, manifest)
    // A manifest of the other kind would be found first, or after a reload, and name shards that are gone.
    if (this.store) await this.memory.delete(key)
  }

  async discard(): Promise<void> {
    // One more than was counted: the write that failed may have gone through.
    for (let i = 0; i <= this.written; i++) {
      await this.memory.delete(shardKey(this.put, i))
      await this.store?.delete(shardKey(this.put, i)).catch(() => undefined)
    }
  }

  private async readsBack(store: KeyValueStore, key: string, size: number): Promise<boolean> {
    const stored = await store.get(key).catch(() => null)
    return stored instanceof Blob && stored.size === size && (await isReadable(stored))
  }

  private async set(key: string, value: unknown): Promise<void> {
    if (this.store) {
      try {
        return await this.store.set(key, value)
      } catch (error) {
        await this.moveToMemory(this.store)
        this.options.onRefused(error)
      }
    }
    await this.memory.set(key, value)
  }

  private async moveToMemory(store: KeyValueStore): Promise<void> {
    for (let i = 0; i < this.written; i++) {
      const key = shardKey(this.put, i)
      const shard = await store.get(key)
      if (!isShard(shard)) throw new Error('what was stored could not be read back')
      // A Blob of the store would be gone with its entry.
      const bytes = await shardBytes(shard)
      await this.memory.set(key, this.blobs ? new Blob([bytes]) : bytes.buffer)
    }
    this.store = null
    for (let i = 0; i <= this.written; i++) await store.delete(shardKey(this.put, i)).catch(() => undefined)
  }
}
