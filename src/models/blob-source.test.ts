/** Blobs as sources where they can be read synchronously, which in Node a stand-in for the worker's FileReaderSync does. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { blobSource } from './blob-source'

/** A Blob whose bytes can be had at once, as a worker's can. */
class OpenBlob extends Blob {
  constructor(readonly open: Uint8Array<ArrayBuffer>) {
    super([open])
  }

  override slice(start = 0, end = this.size): OpenBlob {
    return new OpenBlob(this.open.slice(start, end))
  }
}

const reads: number[] = []

beforeEach(() => {
  reads.length = 0
  vi.stubGlobal(
    'FileReaderSync',
    class {
      readAsArrayBuffer({ open }: OpenBlob): ArrayBuffer {
        reads.push(open.byteLength)
        return open.buffer
      }
    },
  )
})
afterEach(() => {
  vi.unstubAllGlobals()
})

const MIB = 2 ** 20
const bytes = Uint8Array.from({ length: 10 * MIB }, (_, i) => (i * 31 + (i >> 12)) & 255)

test('what is read into memory of one’s own is what is read, a few MiB at a time', async () => {
  const source = await blobSource('weights', new OpenBlob(bytes))
  const into = new Uint8Array(9 * MIB).fill(7)
  source.readInto(12_345, into.subarray(3, 3 + 8 * MIB + 5))
  expect(reads).toEqual([4 * MIB, 4 * MIB, 5])
  expect(Buffer.compare(into.subarray(3, 3 + 8 * MIB + 5), bytes.subarray(12_345, 12_345 + 8 * MIB + 5))).toBe(0)
  expect([into[2], into[3 + 8 * MIB + 5]]).toEqual([7, 7])
  expect(Buffer.compare(source.read(12_345, 9 * MIB), bytes.subarray(12_345, 12_345 + 9 * MIB))).toBe(0)
})

test('nothing is written past the Blob’s end', async () => {
  const source = await blobSource('weights', new OpenBlob(bytes))
  const into = new Uint8Array(10)
  expect(() => {
    source.readInto(10 * MIB - 9, into)
  }).toThrow(RangeError)
  expect([...into]).toEqual(new Array(10).fill(0))
})
