/**
 * Training examples from files: .json (an array), .jsonl, .csv and .tsv, with the records caikit knows ({input, output} or
 * {text, labels}). Rows that can't be used are skipped and listed, never silently lost. It knows nothing of tokens.
 */
import { readCsv, readTsv } from './records-csv'
import { RecordsError } from './records-error'
import { readJsonArray, readJsonLines } from './records-json'

export { RecordsError } from './records-error'

/** One training example: what goes in, what should come out. `task` names the task in multitask source training. */
export interface Example {
  readonly input: string
  readonly output: string
  readonly task?: string
}

/** Which columns hold the input and the output, where they are not called so. */
export interface ColumnMapping {
  readonly input: string
  readonly output: string
}

export interface RecordOptions {
  readonly columns?: ColumnMapping
}

export interface SkippedRow {
  /** Line of the file where the row begins, from 1 (for inline records: their number). */
  readonly line: number
  readonly reason: string
}

export interface ParsedRecords {
  readonly examples: readonly Example[]
  readonly skipped: readonly SkippedRow[]
  /** Rows equal to an earlier one; they are kept among the examples. */
  readonly duplicates: readonly { readonly line: number; readonly first_line: number }[]
  /** All columns seen, for choosing a mapping. */
  readonly columns: readonly string[]
}

/** A row as a reader gives it: its fields, or why it has none. */
export type RawRow =
  | { readonly line: number; readonly fields: Readonly<Record<string, unknown>> }
  | { readonly line: number; readonly problem: string }

export interface RawRows {
  readonly rows: readonly RawRow[]
  readonly columns: readonly string[]
}

const kind = (value: unknown): string =>
  value === null ? 'null' : Array.isArray(value) ? 'a list' : typeof value === 'object' ? 'an object' : `a ${typeof value}`

/** A field that must be text and not blank, or why it isn't. */
function textOf(fields: Readonly<Record<string, unknown>>, column: string): { text: string } | { reason: string } {
  const value = Object.hasOwn(fields, column) ? fields[column] : undefined
  if (value === undefined || value === null) return { reason: `no "${column}"` }
  if (typeof value !== 'string') return { reason: `"${column}" is ${kind(value)}, not text` }
  return value.trim() === '' ? { reason: `"${column}" is empty` } : { text: value }
}

/** caikit joins labels with a bare comma (toolkit/task_specific_utils.py). A table's cell is taken as it is. */
function labelsOf(fields: Readonly<Record<string, unknown>>): { text: string } | { reason: string } {
  const labels = fields.labels
  if (!Array.isArray(labels)) return textOf(fields, 'labels')
  const texts = labels.filter((label): label is string => typeof label === 'string')
  if (texts.length !== labels.length) return { reason: '"labels" holds something that is not text' }
  const joined = texts.join(',')
  return joined.trim() === '' ? { reason: '"labels" is empty' } : { text: joined }
}

function exampleOf(fields: Readonly<Record<string, unknown>>, columns: ColumnMapping | undefined): Example | string {
  const has = (column: string): boolean => Object.hasOwn(fields, column)
  const classification = !columns && has('text') && has('labels') && !(has('input') && has('output'))
  const input = textOf(fields, classification ? 'text' : (columns?.input ?? 'input'))
  if ('reason' in input) return input.reason
  const output = classification ? labelsOf(fields) : textOf(fields, columns?.output ?? 'output')
  if ('reason' in output) return output.reason
  const task = Object.hasOwn(fields, 'task') ? fields.task : undefined
  const example = { input: input.text, output: output.text }
  return typeof task === 'string' && task !== '' ? { ...example, task } : example
}

/** @throws RecordsError when the columns can't hold examples at all. */
function checkColumns(columns: readonly string[], mapping: ColumnMapping | undefined, where: string): void {
  if (columns.length === 0) return
  const has = (...names: string[]): boolean => names.every((name) => columns.includes(name))
  if (mapping ? has(mapping.input, mapping.output) : has('input', 'output') || has('text', 'labels')) return
  const wanted = mapping ? `"${mapping.input}" and "${mapping.output}"` : '"input" and "output" (or "text" and "labels")'
  const found = columns
    .slice(0, 12)
    .map((column) => `"${column.slice(0, 40)}"`)
    .join(', ')
  throw new RecordsError(
    `${where}: no columns ${wanted}; found ${found}. Say which column is the input and which the output.`,
    1,
    columns,
  )
}

function toExamples({ rows, columns }: RawRows, options: RecordOptions, where: string): ParsedRecords {
  checkColumns(columns, options.columns, where)
  const examples: Example[] = []
  const skipped: SkippedRow[] = []
  const duplicates: { line: number; first_line: number }[] = []
  const firstLines = new Map<string, number>()
  for (const row of rows) {
    const example = 'problem' in row ? row.problem : exampleOf(row.fields, options.columns)
    if (typeof example === 'string') {
      skipped.push({ line: row.line, reason: example })
      continue
    }
    examples.push(example)
    const key = JSON.stringify([example.input, example.output, example.task])
    const first_line = firstLines.get(key)
    if (first_line === undefined) firstLines.set(key, row.line)
    else duplicates.push({ line: row.line, first_line })
  }
  return { examples, skipped, duplicates, columns }
}

/** Records that are already JSON values, as in a job file. `line` is a record's number from 1. */
export function recordsFromObjects(values: readonly unknown[], options: RecordOptions = {}): ParsedRecords {
  const columns = new Set<string>()
  const rows = values.map((value, index): RawRow => {
    const line = index + 1
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return { line, problem: `${kind(value)}, not an object` }
    const fields: Record<string, unknown> = { ...value }
    for (const key of Object.keys(fields)) columns.add(key)
    return { line, fields }
  })
  // Rows of different shapes may be mixed here, so each is judged on its own.
  return { ...toExamples({ rows, columns: [] }, options, 'records'), columns: [...columns] }
}

type Reader = (text: string, name: string) => RawRows

const READERS: Readonly<Record<string, Reader>> = {
  json: (text, name) => (text.trimStart().startsWith('{') ? readJsonLines(text, name) : readJsonArray(text, name)),
  jsonl: readJsonLines,
  ndjson: readJsonLines,
  csv: readCsv,
  tsv: readTsv,
}

/** Files named so say nothing about what is in them. */
const UNSPECIFIC = ['', 'txt', 'data', 'text']

function sniff(text: string): Reader {
  const start = text.trimStart()
  if (start.startsWith('[')) return readJsonArray
  if (start.startsWith('{')) return readJsonLines
  const header = start.split(/[\r\n]/, 1)[0] ?? ''
  return header.includes('\t') ? readTsv : readCsv
}

function readerFor(text: string, filename: string): Reader {
  const name = filename.slice(Math.max(filename.lastIndexOf('/'), filename.lastIndexOf('\\')) + 1)
  const dot = name.lastIndexOf('.')
  const extension = dot < 0 ? '' : name.slice(dot + 1).toLowerCase()
  if (UNSPECIFIC.includes(extension)) return sniff(text)
  const reader = Object.hasOwn(READERS, extension) ? READERS[extension] : undefined
  if (!reader) throw new RecordsError(`${filename}: .${extension} files are not read; give .json, .jsonl, .csv or .tsv`, null, [])
  return reader
}

/**
 * Reads a whole file of records. The kind of file is told by its name, or by its content when the name says nothing.
 * @throws RecordsError naming file and line when the file as a whole can't be read, or holds no columns to use.
 */
export function parseRecords(text: string, filename: string, options: RecordOptions = {}): ParsedRecords {
  const content = text.startsWith('\uFEFF') ? text.slice(1) : text
  if (content.slice(0, 4096).includes('\0')) throw new RecordsError(`${filename}: this is not a text file (or not UTF-8)`, 1, [])
  const raw = readerFor(content, filename)(content, filename)
  if (raw.rows.length === 0) throw new RecordsError(`${filename}: holds no records`, 1, raw.columns)
  return toExamples(raw, options, `${filename}, line 1`)
}
