import { describe, expect, test } from 'vitest'
import { parseRecords, RecordsError } from './records'
import { readRecords, type ReaderPort } from './records-client'
import { LARGEST_FILE_BYTES } from './records-limits'
import type { RecordsReport, RecordsRequest } from './records-messages'
import { answerRequest } from './records-reading'
import { decodeText } from './records-text'

const bytes = (...values: readonly number[]): Uint8Array<ArrayBuffer> => Uint8Array.from(values)
const utf16 = (text: string, bigEndian: boolean): Uint8Array =>
  Uint8Array.from(
    [...text].flatMap((c) => {
      const code = c.charCodeAt(0)
      return bigEndian ? [code >> 8, code & 255] : [code & 255, code >> 8]
    }),
  )

describe('bytes to text', () => {
  const text = 'input,output\nÄ,b\n'
  test('UTF-8 with and without its mark, UTF-16 with', () => {
    const utf8 = new TextEncoder().encode(text)
    expect(decodeText(utf8, 'f')).toBe(text)
    expect(decodeText(bytes(0xef, 0xbb, 0xbf, ...utf8), 'f')).toBe(text)
    expect(decodeText(bytes(0xff, 0xfe, ...utf16(text, false)), 'f')).toBe(text)
    expect(decodeText(bytes(0xfe, 0xff, ...utf16(text, true)), 'f')).toBe(text)
    expect(decodeText(bytes(), 'f')).toBe('')
  })
  test('what is no text is named', () => {
    expect(() => decodeText(utf16(text, false), 'f.csv')).toThrow(/f\.csv: .*UTF-16 without its mark/)
    expect(() => decodeText(utf16(text, true), 'f.csv')).toThrow(/UTF-16 without/)
    expect(() => decodeText(bytes(0xff, 0xfe, 0, 0, 0x61, 0, 0, 0), 'f.csv')).toThrow(/UTF-32/)
    expect(() => decodeText(bytes(0xff, 0xfe, 0x61), 'f.csv')).toThrow(/UTF-16LE/)
    expect(() => decodeText(bytes(0x50, 0x4b, 3, 4, 1), 'f.xlsx')).toThrow(/spreadsheet/)
    expect(() => decodeText(bytes(0x1f, 0x8b, 8), 'f.gz')).toThrow(/gzip/)
    // Latin-1, as Excel saves "CSV": the line is the one with the letter.
    const latin = bytes(...new TextEncoder().encode('input,output\n'), 0xc4, 0x2c, 0x62, 0x0a)
    expect(() => decodeText(latin, 'f.csv')).toThrow(/f\.csv, line 2: not readable as UTF-8/)
    expect(() => decodeText(new Uint8Array(LARGEST_FILE_BYTES + 1), 'f.csv')).toThrow(
      /64 MiB is more than the 64 MiB that are read/,
    )
  })
})

/** The worker's code at the other end of a port, in the same thread; what is posted is cloned and arrives later. */
class FakeWorker implements ReaderPort {
  terminated = 0
  readonly reports: RecordsReport[] = []
  private readonly listeners = new Map<string, ((event: never) => void)[]>()

  constructor(private readonly answer: (data: unknown, post: (report: RecordsReport) => void) => unknown = answerRequest) {}

  postMessage(message: unknown): void {
    this.answer(structuredClone(message), (report) => {
      this.reports.push(report)
      this.emit('message', { data: structuredClone(report) })
    })
  }
  addEventListener(type: string, listener: (event: never) => void): void {
    this.listeners.set(type, [...(this.listeners.get(type) ?? []), listener])
  }
  emit(type: string, event: unknown): void {
    for (const listener of this.listeners.get(type) ?? []) listener(event as never)
  }
  terminate(): void {
    this.terminated++
  }
}

const CSV = ['input,output,task', ...Array.from({ length: 9000 }, (_, i) => `row ${i % 8000},${i % 4},t`), ',x,'].join('\n')
const request = (data: string | Blob, more: Partial<RecordsRequest> = {}): RecordsRequest => ({
  name: 'd.csv',
  data,
  mapping: null,
  ...more,
})

describe('reading in a worker', () => {
  test('the same as parseRecords, in several messages, with progress; the worker is ended', async () => {
    const worker = new FakeWorker()
    const shares: number[] = []
    const parsed = await readRecords(worker, request(new Blob([CSV])), { onProgress: (share) => shares.push(share) })
    expect(parsed).toEqual(parseRecords(CSV, 'd.csv'))
    expect(parsed.examples).toHaveLength(9000)
    expect(parsed.duplicates).toHaveLength(1000)
    expect(worker.reports.filter(({ type }) => type === 'rows')).toHaveLength(3)
    expect(shares).toHaveLength(4)
    expect(shares.every((share) => share > 0 && share <= 1)).toBe(true)
    expect(worker.terminated).toBe(1)
  })
  test('mapping travels along; text needs no file', async () => {
    const mapping = { input: 'output', output: 'input', task: null }
    const parsed = await readRecords(new FakeWorker(), request(CSV, { mapping }))
    expect(parsed.examples[5]).toEqual({ input: '1', output: 'row 5' })
  })
  test('what parseRecords throws arrives whole', async () => {
    const worker = new FakeWorker()
    const failed = await readRecords(worker, request('a,b\n1,2')).catch((error: unknown) => error)
    expect(failed).toBeInstanceOf(RecordsError)
    expect(failed).toMatchObject({ line: 1, found: { columns: ['a', 'b'], sample: [['1', '2']] } })
    expect(worker.terminated).toBe(1)
    await expect(readRecords(new FakeWorker(), request(new Blob([bytes(0xff, 0xfe, 1)])))).rejects.toThrow(/UTF-16LE/)
  })
  test('too large a file is refused before it is read', async () => {
    const blob = new Blob(['x'])
    Object.defineProperty(blob, 'size', { value: 200 * 2 ** 20 })
    const reports: RecordsReport[] = []
    await answerRequest({ name: 'big.csv', data: blob, mapping: null }, (report) => reports.push(report))
    expect(reports).toEqual([
      expect.objectContaining({ type: 'failed', message: expect.stringMatching(/big\.csv: 200 MiB.*64 MiB/) as string }),
    ])
  })
  test('a request or a report that is none', async () => {
    const reports: RecordsReport[] = []
    await answerRequest({ name: 5 }, (report) => reports.push(report))
    expect(reports).toHaveLength(1)
    expect(reports[0]?.type).toBe('failed')
    const liar = new FakeWorker((_, post) => post({ type: 'rows', examples: [{ input: 1 }] } as never))
    await expect(readRecords(liar, request('x'))).rejects.toThrow(/d\.csv could not be read/)
    expect(liar.terminated).toBe(1)
  })
  test('cancelled: the worker ends at once and the promise with it', async () => {
    const worker = new FakeWorker(() => undefined)
    const controller = new AbortController()
    const reading = readRecords(worker, request(CSV), { signal: controller.signal })
    controller.abort()
    await expect(reading).rejects.toMatchObject({ name: 'AbortError' })
    expect(worker.terminated).toBe(1)
    const late = new FakeWorker(() => expect.unreachable())
    await expect(readRecords(late, request(CSV), { signal: controller.signal })).rejects.toMatchObject({ name: 'AbortError' })
    expect(late.terminated).toBe(1)
  })
  test('a worker that dies', async () => {
    const worker = new FakeWorker(() => undefined)
    const reading = readRecords(worker, request(CSV))
    worker.emit('error', { message: 'out of memory' })
    await expect(reading).rejects.toThrow(/d\.csv could not be read: out of memory/)
    expect(worker.terminated).toBe(1)
  })
})
