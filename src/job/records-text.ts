/** The text of a file's bytes: UTF-8, or UTF-16 that says so at its start. What is neither is named, with the line where it goes wrong. */
import { RecordsError } from './records-error'
import { LARGEST_FILE_BYTES } from './records-limits'

const startsWith = (bytes: Uint8Array, ...start: readonly number[]): boolean => start.every((byte, i) => bytes[i] === byte)

/** Zip (and so .xlsx, .parquet's neighbours), gzip, PDF: files people drop that are no text. */
const KINDS: readonly { readonly start: readonly number[]; readonly name: string }[] = [
  { start: [0x50, 0x4b, 0x03, 0x04], name: 'a zip file or a spreadsheet (.xlsx); export it as .csv' },
  { start: [0x1f, 0x8b], name: 'compressed with gzip; unpack it first' },
  { start: [0x25, 0x50, 0x44, 0x46], name: 'a PDF' },
  { start: [0x50, 0x41, 0x52, 0x31], name: 'a Parquet file; export it as .jsonl or .csv' },
]

/** NUL bytes at every second place are what UTF-16 makes of plain English. */
function looksLikeUtf16(bytes: Uint8Array): boolean {
  const start = bytes.subarray(0, 64)
  const zeros = [0, 0]
  start.forEach((byte, i) => {
    if (byte === 0) zeros[i % 2] = (zeros[i % 2] ?? 0) + 1
  })
  const [even = 0, odd = 0] = zeros
  return Math.max(even, odd) > start.length / 4 && Math.min(even, odd) === 0
}

/** The first line whose bytes are no UTF-8: 0x0A is never part of a longer character, so lines can be tried one by one. */
function firstWrongLine(bytes: Uint8Array): number {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let line = 1
  for (let start = 0; start < bytes.length; line++) {
    const found = bytes.indexOf(0x0a, start)
    const end = found < 0 ? bytes.length : found
    try {
      decoder.decode(bytes.subarray(start, end))
    } catch {
      return line
    }
    start = end + 1
  }
  return line
}

/** @throws RecordsError for what is no text, in another encoding, or larger than LARGEST_FILE_BYTES. */
export function decodeText(bytes: Uint8Array, filename: string): string {
  const fail = (problem: string, line: number | null = null): never => {
    throw new RecordsError(`${filename}${line === null ? '' : `, line ${line}`}: ${problem}`, line)
  }
  if (bytes.length > LARGEST_FILE_BYTES) fail(tooLarge(bytes.length))
  for (const { start, name } of KINDS) if (startsWith(bytes, ...start)) fail(`this is ${name}`)
  const utf32 = startsWith(bytes, 0xff, 0xfe, 0, 0) || startsWith(bytes, 0, 0, 0xfe, 0xff)
  if (utf32) fail('this is UTF-32; save it as UTF-8')
  const encoding = startsWith(bytes, 0xff, 0xfe) ? 'utf-16le' : startsWith(bytes, 0xfe, 0xff) ? 'utf-16be' : 'utf-8'
  if (encoding === 'utf-8' && looksLikeUtf16(bytes)) fail('this looks like UTF-16 without its mark; save it as UTF-8')
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes)
  } catch {
    if (encoding !== 'utf-8') return fail(`not readable as ${encoding.toUpperCase()}, which its first bytes say it is`)
    return fail('not readable as UTF-8 text; save the file as UTF-8 and try again', firstWrongLine(bytes))
  }
}

/** Why a file of so many bytes is not read. */
export function tooLarge(bytes: number): string {
  const mebibytes = (n: number): string => (n / 2 ** 20).toFixed(0)
  return `${mebibytes(bytes)} MiB is more than the ${mebibytes(LARGEST_FILE_BYTES)} MiB that are read: rows are held in memory beside the model, and a prompt needs a few thousand at most; give a part of the file`
}
