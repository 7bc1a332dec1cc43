import fc from 'fast-check'
import { unzipSync } from 'fflate'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { CountingSource } from '../support/sliced-source'
import { FormatError } from '../../src/formats/format-error'
import { JsonObject, jsonBytes, parseJson } from '../../src/formats/json'
import { readSafetensors, writeSafetensors } from '../../src/formats/safetensors'
import { zipFiles } from '../../src/formats/zip'
import { toFloat32 } from '../../src/graph/tensor'
import { concatBytes } from '../../src/graph/write'

const text = (value: string) => new TextEncoder().encode(value)
const fixture = (path: string) => new Uint8Array(readFileSync(`test/fixtures/peft/${path}`))

/** A file with this header (padded as it is) and so many bytes of data. */
function safetensors(header: unknown, dataBytes: number): Uint8Array {
  const head = text(JSON.stringify(header))
  const length = new Uint8Array(8)
  new DataView(length.buffer).setUint32(0, head.byteLength, true)
  return concatBytes([length, head, new Uint8Array(dataBytes)])
}

describe('safetensors', () => {
  it('reads several tensors', () => {
    const { tensors } = readSafetensors(fixture('gpt2_mpt/adapter_model.safetensors'))
    expect([...tensors.keys()].sort()).toEqual(['prefix_task_cols', 'prefix_task_rows', 'prompt_embeddings'])
    expect(tensors.get('prompt_embeddings')?.dims).toEqual([3, 16])
  })

  it('gives back what was written', () => {
    const values = fc.float32Array({ maxLength: 24 })
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.string({ minLength: 1 }).filter((name) => !name.startsWith('__')),
          values,
        ),
        (made) => {
          const tensors = new Map(Object.entries(made).map(([name, data]) => [name, { shape: [1, data.length], data }]))
          const bytes = writeSafetensors(tensors)
          const read = readSafetensors(bytes)
          expect([...read.metadata]).toEqual([['format', 'pt']])
          expect(read.tensors.size).toBe(tensors.size)
          for (const [name, { data }] of tensors) {
            const tensor = read.tensors.get(name)
            expect(tensor && [...toFloat32(tensor)]).toEqual([...data])
          }
        },
      ),
    )
  })

  it('refuses what does not add up, by name', () => {
    const entry = (shape: unknown, data_offsets: unknown, dtype = 'F32') => ({ dtype, shape, data_offsets })
    const refuse = (header: unknown, dataBytes: number, message: string) =>
      expect(() => readSafetensors(safetensors(header, dataBytes), 'f')).toThrow(message)
    refuse({ a: entry([2], [0, 8]) }, 4, 'f: tensor "a" takes bytes 0 to 8 of 4')
    refuse({ a: entry([3], [0, 8]) }, 8, 'tensor "a", F32[3], takes 12 bytes, not 8')
    refuse({ a: entry([2], [0, 8]), b: entry([2], [4, 12]) }, 12, 'tensor "b" starts at byte 4, the one before ends at 8')
    refuse({ a: entry([2], [4, 12]) }, 12, 'tensor "a" starts at byte 4, the one before ends at 0')
    refuse({ a: entry([2], [0, 8]) }, 9, '1 bytes belong to no tensor')
    refuse({ a: entry([2], [0, 8], 'F4') }, 8, 'dtype F4')
    refuse({ a: entry([-2], [0, 8]) }, 8, 'tensor "a", shape.0')
    refuse({ a: entry([2], [8, 0]) }, 8, 'takes bytes 8 to 0')
    refuse({ a: entry([2 ** 52, 2 ** 52], [0, 8]) }, 8, 'takes')
    const twice = text(
      '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\\u0061":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
    )
    const length = Uint8Array.of(twice.byteLength, 0, 0, 0, 0, 0, 0, 0)
    expect(() => readSafetensors(concatBytes([length, twice, new Uint8Array(1)]), 'f')).toThrow('f: "a" is there twice')
    refuse({ __metadata__: { a: 1 } }, 0, '__metadata__ must map text to text')
    expect(() => readSafetensors(new Uint8Array(3))).toThrow('3 bytes are too few')
    expect(() => readSafetensors(new Uint8Array(8).fill(255))).toThrow('is announced')
    expect(() => readSafetensors(concatBytes([Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0), text('[]')]))).toThrow('header')
    expect(() => writeSafetensors(new Map([['a', { shape: [2], data: new Float32Array(3) }]]))).toThrow(FormatError)
  })

  it('survives damage', () => {
    const file = fixture('gpt2_pt/adapter_model.safetensors')
    fc.assert(
      fc.property(fc.nat(150), fc.nat(255), fc.nat(file.length), (at, value, length) => {
        const damaged = file.slice(0, Math.max(length, 1))
        damaged[at % damaged.length] = value
        try {
          readSafetensors(damaged)
        } catch (error) {
          if (!(error instanceof FormatError)) throw error
        }
      }),
      { numRuns: 2000 },
    )
  })
})

it('JSON nested deeper than it can be written is refused', () => {
  const deep = parseJson(text(`{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`), JsonObject, 'tokenizer.json')
  expect(() => jsonBytes(deep)).toThrow(FormatError)
})

describe('zip', () => {
  it('holds the files, uncopied and the same each time', () => {
    const large = new Uint8Array(100_000).map((_, i) => i)
    const files = [
      { path: 'a/b.bin', chunks: [large.subarray(0, 60_000), large.subarray(60_000)] },
      { path: 'é.txt', chunks: [text('x')] },
      { path: 'empty', chunks: [] },
    ]
    const chunks = zipFiles(files)
    expect(chunks.filter((chunk) => chunk instanceof Uint8Array && chunk.buffer === large.buffer)).toHaveLength(2)
    expect(unzipSync(concatBytes(chunks))).toEqual({ 'a/b.bin': large, 'é.txt': text('x'), empty: new Uint8Array(0) })
    expect(concatBytes(zipFiles(files))).toEqual(concatBytes(chunks))
  })

  it('of slices is the zip of their bytes, with the slices in it', () => {
    const large = new Uint8Array(9 * 2 ** 20).map((_, i) => i * 13)
    const source = new CountingSource(large)
    const slices = [0, 4 * 2 ** 20].map((offset) => ({ source, offset, length: 4 * 2 ** 20 + 77 }))
    const after = { path: 'b.txt', chunks: [text('x')] }
    const chunks = zipFiles([{ path: 'a.bin', chunks: slices }, after])
    expect(chunks.filter((chunk) => !(chunk instanceof Uint8Array))).toEqual(slices)
    expect(source.largest_read).toBeLessThan(5 * 2 ** 20)
    const bytes = slices.map(({ offset, length }) => large.subarray(offset, offset + length))
    // Which piece of a file its bytes came in leaves no trace in the archive.
    expect(Buffer.compare(concatBytes(chunks), concatBytes(zipFiles([{ path: 'a.bin', chunks: bytes }, after])))).toBe(0)
  })

  it('refuses paths that leave the folder, twins, and more than a zip can hold', () => {
    for (const path of ['', '/a', '../a', 'a/../b', 'a//b', 'a\\b', './a']) {
      expect(() => zipFiles([{ path, chunks: [] }])).toThrow(FormatError)
    }
    expect(() =>
      zipFiles([
        { path: 'a', chunks: [] },
        { path: 'a', chunks: [] },
      ]),
    ).toThrow('"a" comes twice')
    const chunk = new Uint8Array(2 ** 28)
    expect(() => zipFiles([{ path: 'a', chunks: Array.from({ length: 16 }, () => chunk) }])).toThrow('4 GiB')
  })
})
