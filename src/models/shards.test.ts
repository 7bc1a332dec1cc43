import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MemoryStore } from '../library/store'
import { sha256 } from './sha256'
import { ShardedFiles, TruncatedError } from './shards'

/** A store that can be told to fail, as browsers do. */
class FlakyStore extends MemoryStore {
  /** Sets that still succeed; then QuotaExceededError. */
  room = Infinity
  failReads = false

  override async set(key: string, value: unknown): Promise<void> {
    if (this.room-- <= 0) throw new DOMException('full', 'QuotaExceededError')
    return super.set(key, value)
  }
  override async get(key: string): Promise<unknown> {
    if (this.failReads) throw new DOMException('broken', 'UnknownError')
    return super.get(key)
  }
}

function streamOf(bytes: Uint8Array, piece: number): ReadableStream<Uint8Array> {
  let at = 0
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close()
      controller.enqueue(bytes.slice(at, at + piece))
      at += piece
    },
  })
}

async function drain(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(await new Response(stream as ReadableStream<Uint8Array<ArrayBuffer>>).arrayBuffer())
}

const pattern = (size: number): Uint8Array => Uint8Array.from({ length: size }, (_, i) => (i * 31 + 7) & 255)

describe('sharded files', () => {
  test('come back as they were put, whatever the sizes of content, shards and pieces', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 300 }),
        fc.integer({ min: 1, max: 64 }),
        fc.integer({ min: 1, max: 100 }),
        fc.boolean(),
        async (bytes, shard_bytes, piece, blobs) => {
          const store = new MemoryStore()
          const manifest = await new ShardedFiles({ store, shard_bytes, blobs }).put('a/model.onnx', streamOf(bytes, piece))
          expect(manifest).toMatchObject({ size: bytes.length, sha256: sha256(bytes) })
          // A second instance: nothing depends on what the first remembers.
          const file = await new ShardedFiles({ store, shard_bytes: shard_bytes + 1 }).open('a/model.onnx')
          expect(await file?.bytes()).toEqual(bytes)
          expect(file && (await drain(file.stream()))).toEqual(bytes)
          const source = await file?.source()
          expect(source?.read(0, bytes.length)).toEqual(bytes)
          const shards = (await store.keys()).filter((key) => key.startsWith('shard:'))
          for (const key of shards) expect((await store.get(key)) instanceof Blob).toBe(blobs)
          expect(await store.keys()).toHaveLength(manifest.shards + 1)
        },
      ),
    )
  })

  test('a store that fills up at any moment: the file is kept in memory, and nothing of it in the store', async () => {
    const bytes = pattern(100)
    for (let room = 0; room <= 8; room++) {
      const store = new FlakyStore()
      store.room = room
      const told: string[] = []
      const files = new ShardedFiles({ store, shard_bytes: 16, onMemoryOnly: (reason) => told.push(reason) })
      await files.put('m', streamOf(bytes, 7))
      expect(await (await files.open('m'))?.bytes()).toEqual(bytes)
      const fits = room >= 8 // 7 shards and the manifest
      expect(told).toHaveLength(fits ? 0 : 1)
      expect(await store.keys()).toHaveLength(fits ? 8 : 0)
      expect(files.memory_only === null).toBe(fits)
      if (!fits) expect(told[0]).toContain('no storage left')
    }
  })

  test('where Blobs come back unreadable, shards are stored as bytes', async () => {
    class Unreadable extends Blob {
      override slice(): Blob {
        return this
      }
      override arrayBuffer(): Promise<ArrayBuffer> {
        return Promise.reject(new DOMException('gone', 'NotReadableError'))
      }
    }
    class PrivateStore extends MemoryStore {
      override async get(key: string): Promise<unknown> {
        const value = await super.get(key)
        return value instanceof Blob ? new Unreadable([value]) : value
      }
    }
    const store = new PrivateStore()
    const files = new ShardedFiles({ store, shard_bytes: 16, blobs: true })
    const bytes = pattern(100)
    await files.put('m', streamOf(bytes, 7))
    expect(await (await files.open('m'))?.bytes()).toEqual(bytes)
    for (const key of await store.keys()) expect(await store.get(key)).not.toBeInstanceOf(Blob)
    // One stored when they still were readable, as it seemed, is no file.
    const manifest = await files.manifest('m')
    await store.set(`shard:${manifest?.put ?? ''}:0`, new Blob([bytes.slice(0, 16)]))
    expect(await new ShardedFiles({ store, shard_bytes: 16 }).open('m')).toBeUndefined()
  })

  test('an abort at any piece leaves nothing, and the file that was there before', async () => {
    const before = pattern(40)
    for (let stopAt = 0; stopAt < 10; stopAt++) {
      const store = new MemoryStore()
      const files = new ShardedFiles({ store, shard_bytes: 16 })
      await files.put('m', streamOf(before, 40))
      const keys = await store.keys()
      const abort = new AbortController()
      let pieces = 0
      const put = files.put('m', streamOf(pattern(100), 10), {
        signal: abort.signal,
        onProgress: () => pieces++ === stopAt && abort.abort(new Error('enough')),
      })
      await expect(put).rejects.toThrow('enough')
      expect(await store.keys()).toEqual(keys)
      expect(await (await files.open('m'))?.bytes()).toEqual(before)
    }
  })

  test('a stream that breaks off, a short one and a refused one leave nothing', async () => {
    const store = new MemoryStore()
    const files = new ShardedFiles({ store, shard_bytes: 16 })
    const breaking = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (Math.random() < 0.8) controller.enqueue(pattern(20))
        else controller.error(new TypeError('network error'))
      },
    })
    await expect(files.put('m', breaking)).rejects.toThrow('network error')
    await expect(files.put('m', streamOf(pattern(99), 10), { minimum_size: 100 })).rejects.toThrow(TruncatedError)
    const check = (head: Uint8Array): void => {
      throw new Error(`starts with ${head[0]}`)
    }
    await expect(files.put('m', streamOf(pattern(99), 10), { check })).rejects.toThrow('starts with 7')
    expect(await store.keys()).toEqual([])
    expect(await files.open('m')).toBeUndefined()
  })

  test('a missing, short, long or foreign shard, or a mangled manifest: not served', async () => {
    const damage: ((store: MemoryStore, shard: string) => Promise<void>)[] = [
      (store, shard) => store.delete(shard),
      (store, shard) => store.set(shard, new ArrayBuffer(15)),
      (store, shard) => store.set(shard, new ArrayBuffer(17)),
      (store, shard) => store.set(shard, 'sixteen letters!'),
      (store) => store.set('manifest:m', { size: 40 }),
      (store) => store.set('manifest:m', null),
      async (store) => store.set('manifest:m', { ...((await store.get('manifest:m')) as object), size: 41 }),
      async (store) => store.set('manifest:m', { ...((await store.get('manifest:m')) as object), shards: 2 }),
    ]
    for (const harm of damage) {
      const store = new MemoryStore()
      await new ShardedFiles({ store, shard_bytes: 16 }).put('m', streamOf(pattern(40), 9))
      const shard = (await store.keys()).find((key) => key.startsWith('shard:') && key.endsWith(':1'))
      await harm(store, shard ?? '')
      expect(await new ShardedFiles({ store }).open('m')).toBeUndefined()
    }
  })

  test('replacing drops the old shards; deleting drops all; a broken store reads as empty', async () => {
    const store = new FlakyStore()
    const files = new ShardedFiles({ store, shard_bytes: 16 })
    await files.put('m', streamOf(pattern(100), 50))
    await files.put('m', streamOf(pattern(20), 50))
    expect(await store.keys()).toHaveLength(3)
    expect([...(await files.list()).keys()]).toEqual(['m'])
    store.failReads = true
    expect(await files.open('m')).toBeUndefined()
    store.failReads = false
    expect(await files.delete('m')).toBe(true)
    expect(await files.delete('m')).toBe(false)
    expect(await store.keys()).toEqual([])
  })

  test('two puts of one path at once: one of them, whole', async () => {
    const store = new MemoryStore()
    const files = new ShardedFiles({ store, shard_bytes: 16 })
    await Promise.all([files.put('m', streamOf(pattern(100), 3)), files.put('m', streamOf(pattern(60), 7))])
    const size = (await (await files.open('m'))?.bytes())?.length
    expect([60, 100]).toContain(size)
  })

  test('sweeping takes shards a crash left a day ago, and no others', async () => {
    const store = new MemoryStore()
    const files = new ShardedFiles({ store, shard_bytes: 16 })
    await files.put('m', streamOf(pattern(20), 5))
    const kept = await store.keys()
    const day = 24 * 3600 * 1000
    await store.set(`shard:${(Date.now() - 2 * day).toString(36)}-x-0:0`, new ArrayBuffer(4))
    const recent = `shard:${(Date.now() - 1000).toString(36)}-x-1:0`
    await store.set(recent, new ArrayBuffer(4))
    await files.sweep()
    expect(await store.keys()).toEqual([...kept, recent])
  })
})
