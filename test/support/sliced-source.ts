/** Byte sources that are not in memory: over bytes, counting what is read of them, and over a file of this machine. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { checkRange, type ByteSource } from '../../src/graph/source'

export class CountingSource implements ByteSource {
  readonly in_memory = false
  /** Bytes read so far, and of the largest read. */
  read_bytes = 0
  largest_read = 0

  constructor(private readonly bytes: Uint8Array) {}

  get size(): number {
    return this.bytes.byteLength
  }

  read(offset: number, length: number): Uint8Array {
    checkRange(this, offset, length)
    this.read_bytes += length
    this.largest_read = Math.max(this.largest_read, length)
    return new Uint8Array(this.bytes.subarray(offset, offset + length))
  }

  readInto(offset: number, into: Uint8Array): void {
    into.set(this.read(offset, into.byteLength))
  }

  part(offset: number, length: number): Blob {
    return new Blob([new Uint8Array(this.bytes.subarray(offset, offset + length))])
  }
}

/** A file, read by slices. Close it when done. */
export class FileSource implements ByteSource {
  readonly in_memory = false
  readonly size: number
  private readonly descriptor: number

  constructor(path: string) {
    this.descriptor = openSync(path, 'r')
    this.size = fstatSync(this.descriptor).size
  }

  read(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length)
    this.readInto(offset, bytes)
    return bytes
  }

  readInto(offset: number, into: Uint8Array): void {
    const length = into.byteLength
    checkRange(this, offset, length)
    for (let done = 0; done < length;) {
      const read = readSync(this.descriptor, into, done, length - done, offset + done)
      if (read === 0) throw new RangeError(`the file ends at byte ${offset + done}`)
      done += read
    }
  }

  part(offset: number, length: number): Uint8Array {
    return this.read(offset, length)
  }

  close(): void {
    closeSync(this.descriptor)
  }
}
