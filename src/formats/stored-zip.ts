/**
 * Zip archives whose entries are stored, not compressed, as torch.save writes them. Both ways, in memory; small archives of a
 * few entries. (zip.ts writes what a person downloads.)
 *
 * The reader takes nothing on trust: entries lie inside the file without overlapping, so reading costs no more than the file's
 * own size, and their checksums are checked. Entries are views into the file.
 *
 * Source: PKWARE APPNOTE.TXT 6.3, sections 4.3.7 (local header), 4.3.12 (central directory), 4.3.16 (end record).
 */
import { concatBytes } from '../graph/write'
import { FormatError } from './format-error'

const LOCAL = 0x04034b50
const CENTRAL = 0x02014b50
const END = 0x06054b50
const LOCAL_SIZE = 30
const CENTRAL_SIZE = 46
const END_SIZE = 22
const VERSION_STORED = 10
const UTF8_NAMES = 0x0800
/** Sizes follow the data instead of standing in the local header; the central directory has them either way. */
const DESCRIPTOR = 0x0008
/** 1 January 1980: the same entries give the same archive. */
const DATE = 0x0021
/** Where torch puts padding so that data is aligned: an extra field of this id ("FB"), filled with "Z". */
const PADDING_ID = 0x4246
const ALIGNMENT = 64

let crcTable: Uint32Array | null = null

/** CRC-32 as zip has it (polynomial 0xedb88320). */
export function crc32(bytes: Uint8Array): number {
  crcTable ??= Uint32Array.from({ length: 256 }, (_, index) => {
    let value = index
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1
    return value
  })
  let crc = 0xffffffff
  for (const byte of bytes) crc = (crc >>> 8) ^ (crcTable[(crc ^ byte) & 0xff] ?? 0)
  return ~crc >>> 0
}

/** Little-endian fields one after the other: [bytes, value] with 2 or 4 bytes. */
function record(fields: readonly (readonly [2 | 4, number])[]): Uint8Array {
  const out = new Uint8Array(fields.reduce((sum, [size]) => sum + size, 0))
  const view = new DataView(out.buffer)
  let at = 0
  for (const [size, value] of fields) {
    if (size === 2) view.setUint16(at, value, true)
    else view.setUint32(at, value, true)
    at += size
  }
  return out
}

/** A stored archive; each entry's data begins at a multiple of 64, as torch lays it. At most 4 GiB. */
export function writeStoredZip(entries: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const chunks: Uint8Array[] = []
  const directory: Uint8Array[] = []
  let offset = 0
  for (const [path, bytes] of entries) {
    const name = new TextEncoder().encode(path)
    const unpadded = offset + LOCAL_SIZE + name.byteLength + 4
    const padding = (ALIGNMENT - (unpadded % ALIGNMENT)) % ALIGNMENT
    const common = [
      [2, VERSION_STORED],
      [2, UTF8_NAMES],
      [2, 0],
      [2, 0],
      [2, DATE],
      [4, crc32(bytes)],
      [4, bytes.byteLength],
      [4, bytes.byteLength],
      [2, name.byteLength],
    ] as const
    directory.push(
      record([[4, CENTRAL], [2, VERSION_STORED], ...common, [2, 0], [2, 0], [2, 0], [2, 0], [4, 0], [4, offset]]),
      name,
    )
    const header = record([[4, LOCAL], ...common, [2, 4 + padding]])
    const extra = record([
      [2, PADDING_ID],
      [2, padding],
    ])
    chunks.push(header, name, extra, new Uint8Array(padding).fill(0x5a), bytes)
    offset = unpadded + padding + bytes.byteLength
  }
  const directorySize = directory.reduce((sum, { byteLength }) => sum + byteLength, 0)
  if (offset + directorySize + END_SIZE >= 2 ** 32) throw new FormatError(`${offset} bytes are too many for one zip (4 GiB)`)
  const count = entries.size
  const end = record([
    [4, END],
    [2, 0],
    [2, 0],
    [2, count],
    [2, count],
    [4, directorySize],
    [4, offset],
    [2, 0],
  ])
  return concatBytes([...chunks, ...directory, end])
}

interface Entry {
  readonly path: string
  readonly crc: number
  readonly begin: number
  readonly end: number
}

/**
 * @param name the file's name, for messages
 * @param max_entries more entries than this are refused unread
 * @returns the entries by path, as views
 * @throws FormatError for what is no such archive: damaged, compressed, encrypted, of 4 GiB, with entries twice or overlapping
 */
export function readStoredZip(bytes: Uint8Array, name: string, max_entries: number): Map<string, Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const endAt = bytes.byteLength - END_SIZE
  if (endAt < 0 || view.getUint32(endAt, true) !== END) throw new FormatError(`${name} is no zip archive, or is cut short`)
  const count = view.getUint16(endAt + 10, true)
  const directoryAt = view.getUint32(endAt + 16, true)
  if (count === 0xffff || directoryAt === 0xffffffff) throw new FormatError(`${name}: archives of 4 GiB are not read`)
  if (count > max_entries) throw new FormatError(`${name} has ${count} entries, more than the ${max_entries} expected`)
  const entries: Entry[] = []
  let at = directoryAt
  for (let index = 0; index < count; index++) {
    if (at + CENTRAL_SIZE > endAt || view.getUint32(at, true) !== CENTRAL) {
      throw new FormatError(`${name}, byte ${at}: entry ${index} of the directory is damaged`)
    }
    const nameLength = view.getUint16(at + 28, true)
    const next = at + CENTRAL_SIZE + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true)
    if (next > endAt) throw new FormatError(`${name}, byte ${at}: entry ${index} of the directory is damaged`)
    entries.push(readEntry(bytes, view, at, directoryAt, name))
    at = next
  }
  return checked(bytes, entries, name)
}

/** One entry of the directory, with the place of its data from the local header it points to. */
function readEntry(bytes: Uint8Array, view: DataView, at: number, directoryAt: number, name: string): Entry {
  const pathBytes = bytes.subarray(at + CENTRAL_SIZE, at + CENTRAL_SIZE + view.getUint16(at + 28, true))
  const path = new TextDecoder().decode(pathBytes)
  const place = `${name}, entry "${path.slice(0, 80)}"`
  const flags = view.getUint16(at + 8, true)
  if (flags & ~(DESCRIPTOR | UTF8_NAMES)) throw new FormatError(`${place}: encrypted or otherwise unusual (flags ${flags})`)
  const size = view.getUint32(at + 24, true)
  if (view.getUint16(at + 10, true) !== 0 || view.getUint32(at + 20, true) !== size) {
    throw new FormatError(`${place} is compressed; torch.save stores entries as they are`)
  }
  const local = view.getUint32(at + 42, true)
  if (local + LOCAL_SIZE > directoryAt || view.getUint32(local, true) !== LOCAL) {
    throw new FormatError(`${place}: no entry begins at byte ${local}`)
  }
  const localName = view.getUint16(local + 26, true)
  const begin = local + LOCAL_SIZE + localName + view.getUint16(local + 28, true)
  const same = localName === pathBytes.byteLength && pathBytes.every((byte, i) => byte === bytes[local + LOCAL_SIZE + i])
  if (!same) throw new FormatError(`${place}: the directory and the entry have different names`)
  if (begin + size > directoryAt) throw new FormatError(`${place}: ${size} bytes are announced, the file is too short for them`)
  return { path, crc: view.getUint32(at + 16, true), begin, end: begin + size }
}

function checked(bytes: Uint8Array, entries: readonly Entry[], name: string): Map<string, Uint8Array> {
  let covered = 0
  for (const { path, begin, end } of [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin < covered) throw new FormatError(`${name}, entry "${path.slice(0, 80)}" overlaps another`)
    covered = end
  }
  const files = new Map<string, Uint8Array>()
  for (const { path, crc, begin, end } of entries) {
    const place = `${name}, entry "${path.slice(0, 80)}"`
    if (files.has(path)) throw new FormatError(`${place} is there twice`)
    const data = bytes.subarray(begin, end)
    if (crc32(data) !== crc) throw new FormatError(`${place} is damaged: its checksum does not fit`)
    files.set(path, data)
  }
  return files
}
