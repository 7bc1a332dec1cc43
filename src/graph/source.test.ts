/** Sources, and models read through them by slices: the same as in memory, and no more read than is asked for. */
import { readFileSync, readdirSync } from 'node:fs'
import fc from 'fast-check'
import * as ort from 'onnxruntime-web/webgpu'
import { describe, expect, test } from 'vitest'
import { logitsOf } from '../../test/support/onnxruntime'
import { CountingSource } from '../../test/support/sliced-source'
import { bakePrompt } from './bake'
import { findEmbeddings, readEmbeddingRows } from './embedding'
import type { Graph, Tensor } from './ir'
import { outsource } from './outsource'
import { readModel } from './read'
import {
  asSource,
  blobOf,
  concatBytes,
  DeferredBytes,
  joinedSource,
  piecesOf,
  ReadBuffer,
  readChunk,
  wholeOf,
  type ByteSource,
  type Chunk,
} from './source'
import { byteLength, toFloat32, viewAs } from './tensor'
import { writeModel } from './write'

const ONNX = 'test/fixtures/onnx'
const FIXTURES = readdirSync(ONNX).filter((name) => name.endsWith('.onnx'))
const fixture = (name: string): Uint8Array => new Uint8Array(readFileSync(`${ONNX}/${name}`))

/** A graph with its tensors' bytes read, for comparing. */
const readOut = (graph: Graph): unknown => ({
  ...graph,
  initializers: [...graph.initializers].map(([name, tensor]) => [name, plain(tensor)]),
  nodes: graph.nodes.map((node) => ({
    ...node,
    attributes: [...node.attributes].map(([name, attribute]) => {
      if (attribute.type === 'tensor') return [name, plain(attribute.value)]
      return [name, attribute.type === 'graph' ? readOut(attribute.value) : attribute]
    }),
  })),
})
const plain = ({ dtype, dims, bytes }: Tensor) => ({ dtype, dims, bytes: Buffer.from(bytes).toString('base64') })

describe('chunks as one source', () => {
  test('any range of any chunks is that range of all of them', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.uint8Array({ maxLength: 20 }), fc.boolean()), { maxLength: 6 }),
        fc.nat(),
        fc.nat(),
        async (pieces, a, b) => {
          const chunks: Chunk[] = pieces.map(([bytes, sliced]) => {
            const around = Uint8Array.of(255, ...bytes, 254)
            return sliced ? { source: new CountingSource(around), offset: 1, length: bytes.length } : bytes
          })
          const all = concatBytes(chunks)
          const source = joinedSource(chunks)
          expect(source.size).toBe(all.length)
          const from = all.length === 0 ? 0 : a % (all.length + 1)
          const length = b % (all.length - from + 1)
          expect(source.read(from, length)).toEqual(all.slice(from, from + length))
          const into = new Uint8Array(length + 2).fill(9)
          source.readInto(from, into.subarray(1, 1 + length))
          expect(into).toEqual(Uint8Array.of(9, ...all.slice(from, from + length), 9))
          expect(new Uint8Array(await blobOf([{ source, offset: from, length }]).arrayBuffer())).toEqual(
            all.slice(from, from + length),
          )
          expect(() => source.read(from, all.length - from + 1)).toThrow(RangeError)
        },
      ),
    )
  })

  test('pieces of a slice are the slice', () => {
    const bytes = new Uint8Array(9 * 2 ** 20 + 5).map((_, i) => i * 7)
    const pieces = [...piecesOf({ source: new CountingSource(bytes), offset: 3, length: bytes.length - 5 })]
    expect(pieces.length).toBe(3)
    expect(Buffer.compare(concatBytes(pieces), bytes.subarray(3, -2))).toBe(0)
  })
})

describe('bytes that onnxruntime asks for', () => {
  const bytes = Uint8Array.from({ length: 5000 }, (_, i) => i * 7)
  const source = new CountingSource(bytes)

  test('of several weights are read to one memory, which is given back', () => {
    const shared = new ReadBuffer(3000)
    const [first, second] = [1000, 3000].map((length, i) => new DeferredBytes({ source, offset: 100 * i, length }, shared))
    const one = first?.subarray(10, 20)
    expect([...(one ?? [])]).toEqual([...bytes.slice(10, 20)])
    const two = second?.subarray()
    expect(two).toEqual(bytes.slice(100, 3100))
    expect(two?.buffer).toBe(one?.buffer)
    shared.free()
    expect([one?.byteLength, two?.buffer.byteLength]).toEqual([0, 0])
    // Good for another session.
    expect(second?.subarray()).toEqual(bytes.slice(100, 3100))
    expect(() => shared.read({ source, offset: 0, length: 3001 })).toThrow(RangeError)
  })

  test('are memory of their own without it', () => {
    const deferred = new DeferredBytes({ source, offset: 1, length: 4 })
    expect([deferred.byteLength, deferred.subarray().buffer === deferred.subarray().buffer]).toEqual([4, false])
    expect(deferred.subarray(1, 3)).toEqual(bytes.slice(2, 4))
  })
})

describe('a model file read by slices', () => {
  test.each(FIXTURES)('%s is what it is in memory; no weight is read', (name) => {
    const bytes = fixture(name)
    const source = new CountingSource(bytes)
    const model = readModel(source)
    for (const tensor of model.graph.initializers.values())
      expect(tensor.stored !== undefined).toBe(byteLength(tensor) > 16 * 1024)
    expect(source.largest_read).toBeLessThanOrEqual(64 * 1024)
    expect(readOut(model.graph)).toEqual(readOut(readModel(bytes).graph))
  })

  test('written anew, stored weights are passed on as slices', () => {
    const bytes = fixture('gpt2_t433_past.onnx')
    const source = new CountingSource(bytes)
    const model = readModel(source)
    const { read_bytes } = source
    const chunks = writeModel(model)
    expect(source.read_bytes).toBe(read_bytes)
    expect(Buffer.compare(concatBytes(chunks), concatBytes(writeModel(readModel(bytes))))).toBe(0)
  })

  test('damaged files say the same', () => {
    const bytes = fixture('gpt2_t433_past.onnx')
    const message = (file: Uint8Array | ByteSource): string => {
      try {
        readModel(file)
        return 'read'
      } catch (error) {
        return String(error)
      }
    }
    for (let i = 1; i < 60; i++) {
      const cut = bytes.slice(0, Math.floor((bytes.length * i) / 60))
      expect(message(new CountingSource(cut))).toBe(message(cut))
      const damaged = bytes.slice()
      damaged[Math.floor((40_000 * i) / 60)] = 0xff
      expect(message(new CountingSource(damaged))).toBe(message(damaged))
    }
  })

  test('a file of 6 GB, and a tensor beyond 4 GiB of its external data', () => {
    // Two weights of 3 GB each; the file is made up as it is read.
    const weight = 3 * 2 ** 30
    const tensor = (name: string): Tensor => ({
      dtype: 'uint8',
      dims: [weight],
      get bytes(): Uint8Array {
        throw new Error(`${name} was read`)
      },
      stored: { source: pattern(weight), offset: 0, length: weight },
    })
    const initializers = new Map([
      ['a', tensor('a')],
      ['b', tensor('b')],
    ])
    const file = joinedSource(
      writeModel({
        ir_version: 8,
        producer_name: '',
        opsets: new Map([['', 17]]),
        graph: { name: 'g', nodes: [], inputs: [], outputs: [], initializers },
      }),
    )
    expect(file.size).toBeGreaterThan(6 * 2 ** 30)
    const { graph } = readModel(file)
    const b = graph.initializers.get('b')
    expect(b?.stored?.offset).toBeGreaterThan(weight)
    expect(b?.stored?.source.read(b.stored.offset + weight - 2, 2)).toEqual(Uint8Array.of((weight - 2) % 251, (weight - 1) % 251))

    const external = (offset: number) =>
      readModel(
        concatBytes(
          writeModel(
            {
              ...readModel(file),
              graph: { ...graph, initializers: new Map([['w', { dtype: 'uint8', dims: [5000], bytes: new Uint8Array(5000) }]]) },
            },
            new Map([['w', 'data']]),
          ),
        ).map((byte) => byte),
        { external: new Map([['data', shifted(pattern(6 * 2 ** 30), offset)]]) },
      ).graph.initializers.get('w')
    expect(external(5 * 2 ** 30)?.bytes).toEqual(pattern(6 * 2 ** 30).read(5 * 2 ** 30, 5000))
  })
})

/** Byte i is i % 251. */
function pattern(size: number): ByteSource {
  const read = (offset: number, length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (offset + i) % 251)
  return slowSource(size, read)
}

function slowSource(size: number, read: (offset: number, length: number) => Uint8Array): ByteSource {
  return { size, in_memory: false, read, readInto: (offset, into) => into.set(read(offset, into.byteLength)), part: read }
}

function shifted(source: ByteSource, by: number): ByteSource {
  return slowSource(source.size - by, (offset, length) => source.read(offset + by, length))
}

describe('embedding rows', () => {
  test.each(FIXTURES.filter((name) => !/decoder_model_merged/.test(name)))(
    '%s: the same rows by slices, and no others are read',
    (name) => {
      const bytes = fixture(name)
      const [whole] = findEmbeddings(readModel(bytes).graph)
      const source = new CountingSource(bytes)
      const [sliced] = findEmbeddings(readModel(source).graph)
      if (!whole || !sliced) throw new Error('no embedding')
      const ids = [5, 3, 5, whole.vocab_size - 1, 0, 3]
      const before = source.read_bytes
      expect(readEmbeddingRows(sliced, ids)).toEqual(readEmbeddingRows(whole, ids))
      if (!sliced.table.stored) return
      const read = source.read_bytes - before
      expect(read).toBeLessThanOrEqual(byteLength(sliced.table) + byteLength(sliced.scale ?? sliced.table) * 2)
      const after = source.read_bytes
      const again = readEmbeddingRows(sliced, [3, 0])
      expect(again).toEqual(readEmbeddingRows(whole, [3, 0]))
      if (!sliced.scale) expect(source.read_bytes).toBe(after)
    },
  )

  test('of a large table: neighbours in one read, strangers alone, and what is read is kept', () => {
    const [vocab_size, hidden_size] = [50_000, 64]
    const floats = Float32Array.from({ length: vocab_size * hidden_size }, (_, i) => i % 9973)
    const source = new CountingSource(new Uint8Array(floats.buffer))
    const table: Tensor = { dtype: 'float32', dims: [vocab_size, hidden_size], get bytes(): Uint8Array { throw new Error('all of it was read') }, stored: wholeOf(source) } // prettier-ignore
    const [found] = findEmbeddings(readModel(fixture('gpt2_t433_past.onnx')).graph)
    if (!found) throw new Error('no embedding')
    const embedding = { ...found, table, vocab_size, hidden_size, transposed: false }
    const rowOf = (id: number) => floats.slice(id * hidden_size, (id + 1) * hidden_size)
    const rows = readEmbeddingRows(embedding, [40_000, 10, 11])
    expect(rows).toEqual(Float32Array.from([...rowOf(40_000), ...rowOf(10), ...rowOf(11)]))
    expect(source.read_bytes).toBe(3 * 4 * hidden_size)
    rows.fill(0)
    expect(readEmbeddingRows(embedding, [10])).toEqual(rowOf(10))
    expect(source.read_bytes).toBe(3 * 4 * hidden_size)
    const flipped = { ...embedding, table: viewAs(table, [hidden_size, vocab_size]), transposed: true }
    expect([...readEmbeddingRows(flipped, [7])]).toEqual(
      Array.from({ length: hidden_size }, (_, h) => floats[h * vocab_size + 7]),
    )
    expect(source.largest_read).toBe(4 * vocab_size)
  })
})

describe('weights left outside', () => {
  test.each(FIXTURES.filter((name) => !/t5|genai/.test(name)))(
    '%s: onnxruntime says the same, and is handed little',
    async (name) => {
      const bytes = fixture(name)
      const source = new CountingSource(bytes)
      const { onnx, external } = outsource(source, 'w')
      const outside = [...external.values()].reduce((sum, { length }) => sum + length, 0)
      expect(outside).toBeGreaterThan(bytes.length / 3)
      expect(onnx.length).toBeLessThan(bytes.length - outside + 200 * external.size)
      expect(source.largest_read).toBeLessThanOrEqual(Math.max(64 * 1024, onnx.length))
      // Read again with what was left out: the same model.
      const files = new Map([...external].map(([path, slice]) => [path, readChunk(slice)]))
      expect(readOut(readModel(onnx, { external: files }).graph)).toEqual(readOut(readModel(bytes).graph))

      const reads: number[] = []
      const logging = (path: string): Uint8Array => {
        const slice = external.get(path)
        if (!slice) throw new Error(path)
        const logged = slowSource(slice.length, (offset, length) => {
          reads.push(length)
          return source.read(slice.offset + offset, length)
        })
        return new DeferredBytes(wholeOf(logged))
      }
      const session = await ort.InferenceSession.create(onnx, {
        externalData: [...external.keys()].map((path) => ({ path, data: logging(path) })),
      })
      await session.release()
      // Every weight is read, and only once: nothing keeps it, and nothing asks twice.
      expect(reads.sort()).toEqual([...external.values()].map(({ length }) => length).sort())
    },
    30_000,
  )

  test('of a file with a prompt baked in, while it is only chunks', async () => {
    const source = new CountingSource(fixture('gpt2_t433_past.onnx'))
    const [embedding] = findEmbeddings(readModel(source).graph)
    const { hidden_size = 0 } = embedding ?? {}
    const rows = Float32Array.from({ length: hidden_size }, (_, i) => Math.sin(i))
    const { chunks } = bakePrompt(source, { rows, num_virtual_tokens: 1, hidden_size })
    expect(source.largest_read).toBeLessThanOrEqual(64 * 1024)
    const { onnx, external } = outsource(joinedSource(chunks), 'w')
    const files = new Map([...external].map(([path, slice]) => [path, readChunk(slice)]))
    const whole = concatBytes(chunks)
    expect(readOut(readModel(onnx, { external: files }).graph)).toEqual(readOut(readModel(whole).graph))
    expect((await logitsOf(whole, [3, embedding?.vocab_size ?? 0])).data.length).toBeGreaterThan(0)
  })

  test('float_data in one run is read where it lies', () => {
    const values = Float32Array.from({ length: 9000 }, (_, i) => i / 7)
    const model = readModel(fixture('gpt2_t433_past.onnx'))
    const file = concatBytes(
      writeModel({
        ...model,
        graph: {
          ...model.graph,
          initializers: new Map([['w', { dtype: 'float32', dims: [9000], bytes: new Uint8Array(values.buffer) }]]),
        },
      }),
    )
    // raw_data (field 9) of the only initializer as float_data (field 4): both are length-delimited.
    const at = Buffer.from(file).indexOf(Buffer.from([9 * 8 + 2, ...varint(36_000)]))
    file[at] = 4 * 8 + 2
    const tensor = readModel(new CountingSource(file)).graph.initializers.get('w')
    expect(tensor?.stored?.length).toBe(36_000)
    expect(tensor && toFloat32(tensor)).toEqual(values)
    expect(asSource(file).in_memory).toBe(true)
  })
})

const varint = (value: number): number[] => (value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)])
