/** The worker's side of reading a file: takes a request, posts reports. It touches nothing of the browser, so it also runs in Node. */
import { parseRecords, type ParsedRecords } from './records'
import { RecordsError } from './records-error'
import { LARGEST_FILE_BYTES } from './records-limits'
import { parseRequest, type RecordsReport, type RecordsRequest } from './records-messages'
import { decodeText, tooLarge } from './records-text'

type Post = (report: RecordsReport) => void

/** Rows in a message: unpacking and checking them takes the page a few milliseconds. */
const ROWS_PER_MESSAGE = 4000

async function textOf({ name, data }: RecordsRequest): Promise<string> {
  if (typeof data === 'string') return data
  if (data.size > LARGEST_FILE_BYTES) throw new RecordsError(`${name}: ${tooLarge(data.size)}`, null)
  return decodeText(new Uint8Array(await data.arrayBuffer()), name)
}

function postRows({ examples, skipped, duplicates }: ParsedRecords, post: Post): void {
  const longest = Math.max(examples.length, skipped.length, duplicates.length)
  for (let from = 0; from < longest; from += ROWS_PER_MESSAGE) {
    const part = <T>(list: readonly T[]): T[] => list.slice(from, from + ROWS_PER_MESSAGE)
    post({ type: 'rows', examples: part(examples), skipped: part(skipped), duplicates: part(duplicates) })
  }
}

const mutable = ({ columns, sample }: Pick<ParsedRecords, 'columns' | 'sample'>) => ({
  columns: [...columns],
  sample: sample.map((row) => [...row]),
})

/** Reads the file of a request. Never rejects: whatever goes wrong is the last report. */
export async function answerRequest(data: unknown, post: Post): Promise<void> {
  try {
    const request = parseRequest(data)
    const text = await textOf(request)
    const onProgress = (read: number, total: number): void => post({ type: 'progress', read, total })
    const parsed = parseRecords(text, request.name, request.mapping ? { columns: request.mapping, onProgress } : { onProgress })
    postRows(parsed, post)
    post({ type: 'done', converted: parsed.converted, found: mutable(parsed) })
  } catch (error) {
    const { line, found } = error instanceof RecordsError ? error : { line: null, found: null }
    const message = error instanceof Error ? error.message : String(error)
    post({ type: 'failed', message, line, found: found && mutable(found) })
  }
}
