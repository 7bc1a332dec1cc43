/**
 * Bytes that need not lie in memory: a model file is read by slices, and passed on by slices. Reading is synchronous, as everything that
 * works on weights is (kernels, onnxruntime asking for external data); what a source reads from is its maker's business.
 */

/** Bytes of known number that do not change. Offsets are from its first byte, and may be beyond 2^32. */
export interface ByteSource {
  readonly size: number
  /** Whether `read` costs nothing: then it gives views, which nobody may write to, and else new memory at every call. */
  readonly in_memory: boolean
  /** @throws RangeError beyond the end; what the source throws when it can't be read any more */
  read(offset: number, length: number): Uint8Array
  /** Copies the bytes from `offset` on over all of `into`. @throws as `read` does */
  readInto(offset: number, into: Uint8Array): void
  /** The same bytes as a part of a Blob, unread where they don't lie in memory and the source has them as a Blob. */
  part(offset: number, length: number): Uint8Array | Blob
}

/** Some of a source's bytes. */
export interface ByteSlice {
  readonly source: ByteSource
  readonly offset: number
  readonly length: number
}

/** A piece of a file being written: bytes, or a slice that is read (or passed on unread) when the file is. */
export type Chunk = Uint8Array | ByteSlice

export function checkRange(source: ByteSource, offset: number, length: number): void {
  if (offset >= 0 && length >= 0 && offset + length <= source.size) return
  throw new RangeError(`bytes ${offset} to ${offset + length} of ${source.size}`)
}

class MemorySource implements ByteSource {
  readonly in_memory = true

  constructor(private readonly bytes: Uint8Array) {}

  get size(): number {
    return this.bytes.byteLength
  }

  read(offset: number, length: number): Uint8Array {
    checkRange(this, offset, length)
    return this.bytes.subarray(offset, offset + length)
  }

  readInto(offset: number, into: Uint8Array): void {
    into.set(this.read(offset, into.byteLength))
  }

  part(offset: number, length: number): Uint8Array {
    return this.read(offset, length)
  }
}

/** Bytes in memory as a source; a source as it is. */
export const asSource = (bytes: Uint8Array | ByteSource): ByteSource =>
  bytes instanceof Uint8Array ? new MemorySource(bytes) : bytes

export const chunkLength = (chunk: Chunk): number => (chunk instanceof Uint8Array ? chunk.byteLength : chunk.length)

export const readChunk = (chunk: Chunk): Uint8Array =>
  chunk instanceof Uint8Array ? chunk : chunk.source.read(chunk.offset, chunk.length)

export const totalLength = (chunks: readonly Chunk[]): number => chunks.reduce((sum, chunk) => sum + chunkLength(chunk), 0)

/** One array of all chunks, in order: everything in memory at once. */
export function concatBytes(chunks: readonly Chunk[]): Uint8Array {
  const out = new Uint8Array(totalLength(chunks))
  copyChunks(chunks, out)
  return out
}

/** @param into has room for all of the chunks */
function copyChunks(chunks: readonly Chunk[], into: Uint8Array): void {
  let offset = 0
  for (const chunk of chunks) {
    const length = chunkLength(chunk)
    if (chunk instanceof Uint8Array) into.set(chunk, offset)
    else chunk.source.readInto(chunk.offset, into.subarray(offset, offset + length))
    offset += length
  }
}

/** All chunks, in order, as a Blob; slices of what already is a Blob are not read. */
export function blobOf(chunks: readonly Chunk[]): Blob {
  // Chunks are views of files that were read or of new bytes; none is shared memory.
  return new Blob(
    chunks.map((chunk) => (chunk instanceof Uint8Array ? chunk : chunk.source.part(chunk.offset, chunk.length)) as BlobPart),
  )
}

/** How much of a source is in memory while it is gone through. */
const PIECE_BYTES = 4 * 2 ** 20

/** The source's bytes in order, a few MiB at a time. */
export function* piecesOf({ source, offset, length }: ByteSlice): Generator<Uint8Array, void> {
  for (let at = 0; at < length; at += PIECE_BYTES) yield source.read(offset + at, Math.min(PIECE_BYTES, length - at))
}

export const wholeOf = (source: ByteSource): ByteSlice => ({ source, offset: 0, length: source.size })

/** Chunks as one source, for what reads a file that is only being made. */
class JoinedSource implements ByteSource {
  readonly size: number
  /** Of several chunks a read has to make one array. */
  readonly in_memory = false
  /** Where each chunk begins. */
  private readonly starts: readonly number[]

  constructor(private readonly chunks: readonly Chunk[]) {
    let size = 0
    this.starts = chunks.map((chunk) => {
      const start = size
      size += chunkLength(chunk)
      return start
    })
    this.size = size
  }

  read(offset: number, length: number): Uint8Array {
    return concatBytes(this.within(offset, length))
  }

  readInto(offset: number, into: Uint8Array): void {
    copyChunks(this.within(offset, into.byteLength), into)
  }

  part(offset: number, length: number): Blob {
    return blobOf(this.within(offset, length))
  }

  /** The chunks, or parts of them, that make up a range. */
  private within(offset: number, length: number): Chunk[] {
    checkRange(this, offset, length)
    const found: Chunk[] = []
    for (let i = this.chunkAt(offset); i < this.chunks.length && length > 0; i++) {
      const chunk = this.chunks[i]
      const start = this.starts[i]
      if (chunk === undefined || start === undefined) break
      const from = offset - start
      const taken = Math.min(length, chunkLength(chunk) - from)
      if (taken > 0) found.push(sliceOf(chunk, from, taken))
      offset += taken
      length -= taken
    }
    return found
  }

  private chunkAt(offset: number): number {
    let low = 0
    let high = this.starts.length - 1
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if ((this.starts[middle] ?? Infinity) <= offset) low = middle
      else high = middle - 1
    }
    return low
  }
}

function sliceOf(chunk: Chunk, from: number, length: number): Chunk {
  if (chunk instanceof Uint8Array) return chunk.subarray(from, from + length)
  return { source: chunk.source, offset: chunk.offset + from, length }
}

export const joinedSource = (chunks: readonly Chunk[]): ByteSource => new JoinedSource(chunks)

/**
 * Memory that reads share, each overwriting the one before, instead of leaving an array each for the collector: those stay for long, and where
 * weights are read they are as large as the model. As many bytes as the largest read; none once it is freed.
 */
export class ReadBuffer {
  // Resizable, since only such memory is given back at once.
  private readonly buffer: ArrayBuffer

  /** @param most_bytes of one read */
  constructor(most_bytes: number) {
    this.buffer = new ArrayBuffer(0, { maxByteLength: most_bytes })
  }

  /** The slice's bytes, good until the next call. @throws RangeError for more than `most_bytes`, and as the source does */
  read({ source, offset, length }: ByteSlice): Uint8Array<ArrayBuffer> {
    if (length > this.buffer.byteLength) this.buffer.resize(length)
    const bytes = new Uint8Array(this.buffer, 0, length)
    source.readInto(offset, bytes)
    return bytes
  }

  free(): void {
    this.buffer.resize(0)
  }
}

/**
 * A Uint8Array for onnxruntime's external data, which reads when it is asked for: onnxruntime-web's glue checks `byteLength` and takes
 * `subarray(offset, end)` of what it was given, once for each tensor while a session is made, and copies that at once (ort-wasm-*.mjs, MountedFiles).
 */
export class DeferredBytes extends Uint8Array {
  /** @param shared where the bytes are read to, for as long as the glue takes to copy them; without it, to new memory */
  constructor(
    private readonly deferred: ByteSlice,
    private readonly shared: ReadBuffer | null = null,
  ) {
    super(0)
    Object.defineProperty(this, 'byteLength', { value: deferred.length })
  }

  override subarray(begin = 0, end = this.deferred.length): Uint8Array<ArrayBuffer> {
    const { source, offset } = this.deferred
    const asked = { source, offset: offset + begin, length: end - begin }
    return this.shared ? this.shared.read(asked) : (readChunk(asked) as Uint8Array<ArrayBuffer>)
  }
}
