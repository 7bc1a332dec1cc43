import fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import { MemoryStore } from '../library/store'
import { ModelCache } from './cache'
import { ShardedFiles } from './shards'

const HUB = 'https://huggingface.co/'
const key = (path: string, id = 'org/model', revision = 'main'): string => `${HUB}${id}/resolve/${revision}/${path}`
const onnx = (size = 150): Uint8Array<ArrayBuffer> => Uint8Array.from({ length: size }, (_, i) => (i === 0 ? 8 : i & 255))

let store: MemoryStore
let cache: ModelCache
beforeEach(() => {
  store = new MemoryStore()
  cache = new ModelCache({ files: new ShardedFiles({ store, shard_bytes: 64 }), remote_host: HUB, local_path: '/models/' })
})

const text = async (response: Response | undefined): Promise<string | undefined> => response?.text()

describe('the cache given to transformers.js', () => {
  test('keeps a hub file and serves it with its length', async () => {
    await cache.put(key('onnx/model.onnx'), new Response(onnx(), { headers: { 'x-repo-commit': 'abc123' } }))
    const response = await cache.match(key('onnx/model.onnx'))
    expect(response?.headers.get('content-length')).toBe('150')
    expect(new Uint8Array((await response?.arrayBuffer()) ?? new ArrayBuffer())).toEqual(onnx())
    expect(await cache.manifest({ id: 'org/model', revision: 'main', path: 'onnx/model.onnx' })).toMatchObject({
      revision: 'abc123',
    })
    expect(await cache.match(key('onnx/model.onnx', 'org/model', 'v2'))).toBeUndefined()
    expect(await cache.match(key('onnx/model.onnx', 'model'))).toBeUndefined()
    expect(await cache.delete(key('onnx/model.onnx'))).toBe(true)
    expect(await cache.match(key('onnx/model.onnx'))).toBeUndefined()
  })

  test('never keeps what is not a model file: wasm, modules, local paths, other hosts, odd keys', async () => {
    const others = [
      'https://cdn.jsdelivr.net/npm/onnxruntime-web@1/dist/ort-wasm-simd-threaded.asyncify.wasm',
      '/assets/ort-wasm-simd-threaded.asyncify-abc.mjs',
      '/models/org/model/config.json',
      key('onnx/model.wasm'),
      `${HUB}org/model/blob/main/config.json`,
      `https://huggingface.co.evil.org/org/model/resolve/main/config.json`,
      '',
    ]
    for (const other of others) {
      await cache.put(other, new Response('{}'))
      expect(await cache.match(other)).toBeUndefined()
    }
    expect(await store.keys()).toEqual([])
  })

  test('any key at all is answered or passed over', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.string(),
          fc.webUrl(),
          fc.string().map((s) => HUB + s),
          fc.string().map((s) => key(s)),
        ),
        async (any) => {
          const found = await cache.match(any)
          expect(found).toBeUndefined()
        },
      ),
    )
  })

  test('refuses pages, git-lfs pointers, empty and non-JSON files; keeps nothing of them', async () => {
    const bad: [string, string, RegExp][] = [
      ['config.json', '\n<!doctype html><html>', /web page/],
      ['onnx/model.onnx', '<html lang="en">', /web page/],
      ['onnx/model.onnx', 'version https://git-lfs.github.com/spec/v1\noid sha256:', /git-lfs/],
      ['onnx/model.onnx', '', /empty/],
      ['tokenizer.json', 'Repository not found', /not JSON/],
    ]
    for (const [path, content, message] of bad) await expect(cache.put(key(path), new Response(content))).rejects.toThrow(message)
    expect(await store.keys()).toEqual([])
  })

  test('a body shorter than its content-length is not kept', async () => {
    const short = new Response(onnx(40), { headers: { 'content-length': '50' } })
    await expect(cache.put(key('onnx/model.onnx'), short)).rejects.toThrow('only 40 of 50 bytes')
    expect(await store.keys()).toEqual([])
  })

  test('virtual files come first, under the local path and the hub address, and are listed', async () => {
    await cache.put(key('config.json'), new Response('{"stored":1}'))
    cache.setVirtual('org/model', new Map([['config.json', new Blob(['{"virtual":1}'])]]))
    expect(await text(await cache.match(key('config.json')))).toBe('{"virtual":1}')
    expect(await text(await cache.match('/models/org/model/config.json'))).toBe('{"virtual":1}')
    expect(await cache.match('/models/org/model/tokenizer.json')).toBeUndefined()
    expect(await cache.models()).toEqual([
      { id: 'org/model', dropped: true, parts: [{ path: 'config.json', bytes: 13 }], unfinished_bytes: 0 },
    ])
    cache.removeVirtual('org/model')
    expect(await text(await cache.match(key('config.json')))).toBe('{"stored":1}')
    await cache.removeModel('org/model')
    expect(await store.keys()).toEqual([])
  })
})
