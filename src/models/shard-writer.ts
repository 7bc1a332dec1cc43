/**
 * The writing half of the sharded files: the manifest's form, the keys, and a writer that changes over to memory when the store
 * refuses. What a file is, and when it exists, is in shards.ts.
 */
import * as v from 'valibot'
import type { KeyValueStore } from '../library/store'

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
export const ManifestSchema = v.object({
  size: count,
  sha256: v.pipe(v.string(), v.hexadecimal(), v.length(64)),
  shards: count,
  shard_bytes: v.pipe(count, v.minValue(1)),
  /** Name under which this put wrote its shards. */
  put: v.pipe(v.string(), v.minLength(1)),
  /** The repository's commit, where the server said it. */
  revision: v.nullable(v.string()),
})
export type Manifest = Readonly<v.InferOutput<typeof ManifestSchema>>

export const MANIFEST = 'manifest:'
export const manifestKey = (path: string): string => `${MANIFEST}${path}`
export const shardKey = (put: string, index: number): string => `shard:${put}:${index}`

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

/** The writing half of one put: to the store while it takes it, from then on to memory, with what was already stored. */
export class ShardWriter {
  written = 0

  constructor(
    private readonly put: string,
    private store: KeyValueStore | null,
    private readonly memory: KeyValueStore,
    private readonly onRefused: (error: unknown) => void,
  ) {}

  async write(buffer: ArrayBuffer): Promise<void> {
    await this.set(shardKey(this.put, this.written), buffer)
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

  private async set(key: string, value: unknown): Promise<void> {
    if (this.store) {
      try {
        return await this.store.set(key, value)
      } catch (error) {
        await this.moveToMemory(this.store)
        this.onRefused(error)
      }
    }
    await this.memory.set(key, value)
  }

  private async moveToMemory(store: KeyValueStore): Promise<void> {
    for (let i = 0; i < this.written; i++) {
      const key = shardKey(this.put, i)
      const shard = await store.get(key)
      if (!(shard instanceof ArrayBuffer)) throw new Error('what was stored could not be read back')
      await this.memory.set(key, shard)
    }
    this.store = null
    for (let i = 0; i <= this.written; i++) await store.delete(shardKey(this.put, i)).catch(() => undefined)
  }
}
