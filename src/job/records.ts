/**
 * Training examples from files: .json (an array), .jsonl, .csv and .tsv, with the records caikit knows ({input, output} or
 * {text, labels}). Rows that can't be used are skipped and listed, never silently lost. It knows nothing of tokens.
 */
import { readCsv, readTsv } from './records-csv'
import { RecordsError, type Columns } from './records-error'
import { readJsonArray, readJsonLines } from './records-json'
import { MOST_ROWS, SAMPLE_ROWS } from './records-limits'
import { exampleOf, sampleText, type ColumnMapping, type Example, type Fields, type RawRow } from './records-row'

export { RecordsError, type Columns } from './records-error'
export type { ColumnMapping, Example } from './records-row'

export interface RecordOptions {
  readonly columns?: ColumnMapping
  /** Called now and then while a file is read, with the characters read so far and in all. */
  readonly onProgress?: (read: number, total: number) => void
}

export interface SkippedRow {
  /** Line of the file where the row begins, from 1 (for inline records: their number). */
  readonly line: number
  readonly reason: string
}

export interface ParsedRecords extends Columns {
  readonly examples: readonly Example[]
  readonly skipped: readonly SkippedRow[]
  /** Rows equal to an earlier one; they are kept among the examples. */
  readonly duplicates: readonly { readonly line: number; readonly first_line: number }[]
  /** Examples with a number or true/false in them, taken as its text. */
  readonly converted: number
}

/** Only the first rows' keys are collected of JSON: they are for a person to choose from. */
const ROWS_WITH_COLUMNS = 1000
const COLUMNS_TO_CHOOSE_FROM = 200
const ROWS_PER_PROGRESS = 2000

/** Columns and sample, as the rows go by. */
class Seen {
  private readonly names: Set<string>
  private readonly first: Fields[] = []
  private rows = 0

  /** @param header null: the rows' keys tell the columns. */
  constructor(private readonly header: readonly string[] | null) {
    this.names = new Set(header)
  }

  add(fields: Fields): void {
    if (this.first.length < SAMPLE_ROWS) this.first.push(fields)
    if (this.header !== null || this.rows++ >= ROWS_WITH_COLUMNS) return
    for (const key in fields) {
      if (this.names.size >= COLUMNS_TO_CHOOSE_FROM) break
      this.names.add(key)
    }
  }

  get found(): Columns {
    const columns = [...this.names]
    return { columns, sample: this.first.map((fields) => columns.map((column) => sampleText(fields, column))) }
  }
}

/** What to say where the columns can't hold examples at all; null where they can. */
function columnProblem(columns: readonly string[], mapping: ColumnMapping | undefined): string | null {
  const has = (...names: string[]): boolean => names.every((name) => columns.includes(name))
  const task = typeof mapping?.task === 'string' ? [mapping.task] : []
  if (mapping ? has(mapping.input, mapping.output, ...task) : has('input', 'output') || has('text', 'labels')) return null
  const list = (names: readonly string[]): string => names.map((name) => `"${name.slice(0, 40)}"`).join(', ')
  const wanted = mapping ? list([mapping.input, mapping.output, ...task]) : '"input" and "output" (or "text" and "labels")'
  return `no columns ${wanted}; found ${list(columns.slice(0, 12))}. Say which column is the input and which the output.`
}

/** The rows as examples. @throws what the rows throw while they are read, and for too many of them. */
function toExamples(rows: Iterable<RawRow>, seen: Seen, name: string, options: RecordOptions, total: number): ParsedRecords {
  const examples: Example[] = []
  const skipped: SkippedRow[] = []
  const duplicates: { line: number; first_line: number }[] = []
  const firstLines = new Map<string, number>()
  let converted = 0
  let count = 0
  for (const row of rows) {
    if (++count > MOST_ROWS)
      throw new RecordsError(
        `${name}, line ${row.line}: more than ${MOST_ROWS.toLocaleString('en')} rows; give a part of the file`,
        row.line,
      )
    if (count % ROWS_PER_PROGRESS === 0) options.onProgress?.(row.end, total)
    if ('fields' in row) seen.add(row.fields)
    const reading = 'problem' in row ? row.problem : exampleOf(row.fields, options.columns)
    if (typeof reading === 'string') {
      skipped.push({ line: row.line, reason: reading })
      continue
    }
    const { example } = reading
    examples.push(example)
    if (reading.converted) converted++
    const key = JSON.stringify([example.input, example.output, example.task])
    const first_line = firstLines.get(key)
    if (first_line === undefined) firstLines.set(key, row.line)
    else duplicates.push({ line: row.line, first_line })
  }
  return { examples, skipped, duplicates, converted, ...seen.found }
}

/** Records that are already JSON values, as in a job file. `line` is a record's number from 1. */
export function recordsFromObjects(values: readonly unknown[], options: RecordOptions = {}): ParsedRecords {
  function* rows(): Generator<RawRow> {
    for (const [index, value] of values.entries()) {
      const row = { line: index + 1, end: index + 1 }
      const isFields = typeof value === 'object' && value !== null && !Array.isArray(value)
      yield isFields ? { ...row, fields: { ...value } } : { ...row, problem: 'not a JSON object' }
    }
  }
  // Rows of different shapes may be mixed here, so each is judged on its own.
  return toExamples(rows(), new Seen(null), 'records', options, values.length)
}

type Reader = (text: string, name: string) => { readonly columns: readonly string[] | null; readonly rows: Iterable<RawRow> }

const jsonLines: Reader = (text, name) => ({ columns: null, rows: readJsonLines(text, name) })
const jsonArray: Reader = (text, name) => ({ columns: null, rows: readJsonArray(text, name) })

const READERS: Readonly<Record<string, Reader>> = {
  json: (text, name) => (/^\s*\{/.test(text) ? jsonLines(text, name) : jsonArray(text, name)),
  jsonl: jsonLines,
  ndjson: jsonLines,
  csv: readCsv,
  tsv: readTsv,
}

/** Files named so say nothing about what is in them. */
const UNSPECIFIC = ['', 'txt', 'data', 'text']

function sniff(text: string): Reader {
  const [, line = ''] = /^\s*([^\r\n]*)/.exec(text) ?? []
  if (line.startsWith('[')) return jsonArray
  if (line.startsWith('{')) return jsonLines
  return line.includes('\t') ? readTsv : readCsv
}

function readerFor(text: string, filename: string): Reader {
  const name = filename.slice(Math.max(filename.lastIndexOf('/'), filename.lastIndexOf('\\')) + 1)
  const dot = name.lastIndexOf('.')
  const extension = dot < 0 ? '' : name.slice(dot + 1).toLowerCase()
  if (UNSPECIFIC.includes(extension)) return sniff(text)
  const reader = Object.hasOwn(READERS, extension) ? READERS[extension] : undefined
  if (!reader) throw new RecordsError(`${filename}: .${extension} files are not read; give .json, .jsonl, .csv or .tsv`, null)
  return reader
}

/** The first rows, for the choice of columns. */
function head(rows: Iterable<RawRow>, seen: Seen): Columns {
  let count = 0
  for (const row of rows) {
    if ('fields' in row) seen.add(row.fields)
    if (++count === SAMPLE_ROWS) break
  }
  return seen.found
}

/**
 * Reads a whole file of records. The kind of file is told by its name, or by its content when the name says nothing.
 * @throws RecordsError naming file and line when the file as a whole can't be read, or holds no columns to use.
 */
export function parseRecords(text: string, filename: string, options: RecordOptions = {}): ParsedRecords {
  const content = text.startsWith('\uFEFF') ? text.slice(1) : text
  if (content.slice(0, 4096).includes('\0')) throw new RecordsError(`${filename}: this is not a text file (or not UTF-8)`, 1)
  const { columns, rows } = readerFor(content, filename)(content, filename)
  const seen = new Seen(columns)
  const refuse = ({ columns, sample }: Columns): void => {
    const problem = columnProblem(columns, options.columns)
    if (problem !== null && columns.length > 0) throw new RecordsError(`${filename}, line 1: ${problem}`, 1, { columns, sample })
  }
  // A header says before all rows whether there is any use in reading them; objects say it together.
  if (columns !== null && columnProblem(columns, options.columns) !== null) refuse(head(rows, seen))
  const parsed = toExamples(rows, seen, filename, options, content.length)
  if (parsed.examples.length === 0) refuse(parsed)
  if (parsed.examples.length + parsed.skipped.length === 0) throw new RecordsError(`${filename}: holds no records`, 1)
  return parsed
}
