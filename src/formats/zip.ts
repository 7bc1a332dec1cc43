/**
 * A zip archive, uncompressed (weights do not compress), with the chunks of the files passed through uncopied; those not in memory
 * are read once, for the checksums, and passed on as they are.
 * Entries carry a fixed date, so the same files give the same archive.
 */
import { Zip, ZipPassThrough } from 'fflate'
import { piecesOf, totalLength, type ByteSlice, type Chunk } from '../graph/source'
import { FormatError } from './format-error'

/** A file as chunks to put one after the other. */
export interface ChunkedFile {
  readonly path: string
  readonly chunks: readonly Chunk[]
}

/** fflate writes no zip64: sizes and offsets are 32 bits, entry counts 16. */
const MAX_BYTES = 2 ** 32 - 1
const MAX_FILES = 2 ** 16 - 1
/** Name, local header, descriptor and directory entry of one file, generously. */
const OVERHEAD = 200

/**
 * @returns the archive in chunks, in order (ready for a Blob or a file)
 * @throws FormatError for more than 4 GiB, or for a path that is absolute, leaves its folder, or comes twice
 */
export function zipFiles(files: readonly ChunkedFile[]): Chunk[] {
  let total = 0
  const paths = new Set<string>()
  for (const { path, chunks } of files) {
    const parts = path.split('/')
    if (path.includes('\\') || path.includes('\0') || parts.some((part) => part === '' || part === '.' || part === '..')) {
      throw new FormatError(`"${path}" can't be a path in a zip`)
    }
    if (paths.has(path)) throw new FormatError(`"${path}" comes twice`)
    paths.add(path)
    total += OVERHEAD + path.length * 8 + totalLength(chunks)
  }
  if (total > MAX_BYTES || files.length > MAX_FILES) {
    throw new FormatError(`${files.length} files of ${total} bytes are too many for one zip (4 GiB)`)
  }

  const archive: Chunk[] = []
  // A piece of a slice comes out of the Zip as the array that went in: the slice takes the place of its first piece, and the others go.
  const pieces = new WeakMap<Uint8Array, ByteSlice | null>()
  const failures: Error[] = []
  const zip = new Zip((error, chunk) => {
    if (error) failures.push(error)
    else {
      const place = pieces.get(chunk)
      if (place === undefined) archive.push(chunk)
      else if (place) archive.push(place)
    }
  })
  for (const { path, chunks } of files) {
    const entry = new ZipPassThrough(path)
    entry.mtime = new Date(1980, 0, 1)
    zip.add(entry)
    for (const chunk of chunks) {
      if (chunk instanceof Uint8Array) {
        entry.push(chunk)
        continue
      }
      let place: ByteSlice | null = chunk
      for (const piece of piecesOf(chunk)) {
        pieces.set(piece, place)
        entry.push(piece)
        place = null
      }
    }
    entry.push(new Uint8Array(0), true)
  }
  zip.end()
  if (failures[0]) throw failures[0]
  return archive
}
