/**
 * A Blob as a source that reads by slices: a dropped File, or what lies in the browser's storage, stays on the disk. Synchronous reading of
 * Blobs exists in workers only (FileReaderSync); anywhere else a Blob's bytes come into memory.
 */
import { asSource, checkRange, type ByteSource } from '../graph/source'
import { ModelError } from './model-error'

/** Of the worker's lib, which is not among this project's. */
declare const FileReaderSync: (new () => { readAsArrayBuffer(blob: Blob): ArrayBuffer }) | undefined

/** Smaller Blobs are not worth leaving where they are. */
const MEMORY_BYTES = 2 ** 20

/** FileReaderSync has no memory but new one for what it reads: this much at a time, where it goes elsewhere. */
const PIECE_BYTES = 4 * 2 ** 20

/** Whether Blobs can be read by slices here. */
export const readsBlobs = (): boolean => typeof FileReaderSync !== 'undefined'

class BlobSource implements ByteSource {
  readonly in_memory = false

  constructor(
    private readonly what: string,
    private readonly blob: Blob,
    private readonly reader: { readAsArrayBuffer(blob: Blob): ArrayBuffer },
  ) {}

  get size(): number {
    return this.blob.size
  }

  read(offset: number, length: number): Uint8Array {
    checkRange(this, offset, length)
    try {
      return new Uint8Array(this.reader.readAsArrayBuffer(this.blob.slice(offset, offset + length)))
    } catch (cause) {
      throw unreadable(this.what, cause)
    }
  }

  readInto(offset: number, into: Uint8Array): void {
    checkRange(this, offset, into.byteLength)
    for (let at = 0; at < into.byteLength; at += PIECE_BYTES) {
      into.set(this.read(offset + at, Math.min(PIECE_BYTES, into.byteLength - at)), at)
    }
  }

  part(offset: number, length: number): Blob {
    checkRange(this, offset, length)
    return this.blob.slice(offset, offset + length)
  }
}

/**
 * @param what the file's name, for messages
 * @throws ModelError when the Blob can't be read (now, or by the source later)
 */
export async function blobSource(what: string, blob: Blob): Promise<ByteSource> {
  if (typeof FileReaderSync !== 'undefined' && blob.size > MEMORY_BYTES) return new BlobSource(what, blob, new FileReaderSync())
  try {
    return asSource(new Uint8Array(await blob.arrayBuffer()))
  } catch (cause) {
    // Too large for the memory is another matter.
    throw cause instanceof RangeError ? cause : unreadable(what, cause)
  }
}

const unreadable = (what: string, cause: unknown): ModelError =>
  new ModelError(
    'storage',
    `${what} can't be read any more (${cause instanceof Error ? cause.message : String(cause)})`,
    'The file was changed, moved or removed since it was opened, or the browser dropped it. Add the folder again, or download the model again.',
    { cause },
  )
