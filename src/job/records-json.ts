/**
 * Rows of a .json array or a .jsonl file. The array is split into its elements first and each parsed on its own, so that every
 * row and every error has its line, which JSON.parse alone doesn't give.
 */
import type { RawRow, RawRows } from './records'
import { RecordsError } from './records-error'

/** Only the first rows' keys are collected: they are for a person to choose from. */
const ROWS_WITH_COLUMNS = 1000
const COLUMNS = 200

function rowOf(json: string, line: number): RawRow {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch (error) {
    return { line, problem: `not valid JSON: ${error instanceof Error ? error.message.slice(0, 120) : 'unreadable'}` }
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return { line, problem: 'not a JSON object' }
  return { line, fields: { ...value } }
}

function columnsOf(rows: readonly RawRow[]): string[] {
  const columns = new Set<string>()
  for (const row of rows.slice(0, ROWS_WITH_COLUMNS)) {
    if ('fields' in row) for (const key of Object.keys(row.fields)) if (columns.size < COLUMNS) columns.add(key)
  }
  return [...columns]
}

/** One object a line; blank lines are skipped, lines that are no object are listed. */
export function readJsonLines(text: string, name: string): RawRows {
  const rows: RawRow[] = []
  let line = 0
  for (const content of text.split('\n')) {
    line++
    if (content.trim() !== '') rows.push(rowOf(content, line))
  }
  const first = rows[0]
  if (first && rows.every((row) => 'problem' in row)) {
    const problem = 'problem' in first ? first.problem : ''
    throw new RecordsError(
      `${name}, line ${first.line}: ${problem}; a .jsonl file holds one whole {...} object on each line`,
      first.line,
      [],
    )
  }
  return { rows, columns: columnsOf(rows) }
}

interface Element {
  readonly start: number
  readonly end: number
  readonly line: number
}

/** The elements between the brackets of a top-level array, by walking over strings and brackets only. */
function elementsOf(text: string, name: string): Element[] {
  const fail = (line: number, message: string): never => {
    throw new RecordsError(`${name}, line ${line}: ${message}`, line, [])
  }
  const elements: Element[] = []
  let line = 1
  let depth = 0
  let inString = false
  let start = -1
  let startLine = 1
  let stringLine = 1
  let closed = false
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c === 0x0a) line++
    if (inString) {
      if (c === 0x5c) i++
      else if (c === 0x22) inString = false
      else if (c === 0x0a) fail(stringLine, 'this line ends inside a "..." text; its closing quote is missing')
      continue
    }
    if (c === 0x20 || c === 0x09 || c === 0x0a || c === 0x0d) continue
    if (closed) fail(line, 'something follows the closing ] of the array')
    if (depth === 0) {
      if (c !== 0x5b) fail(line, 'not a JSON array; a .json file holds one list [{...}, {...}] of records')
      depth = 1
      continue
    }
    const separator = depth === 1 && (c === 0x2c || c === 0x5d)
    if (separator) {
      const empty = start < 0 && (c === 0x2c || elements.length > 0)
      if (empty) fail(line, 'a record is missing between two commas or before the closing ]')
      if (start >= 0) elements.push({ start, end: i, line: startLine })
      start = -1
      if (c === 0x5d) closed = true
      continue
    }
    if (start < 0) [start, startLine] = [i, line]
    if (c === 0x22) [inString, stringLine] = [true, line]
    else if (c === 0x7b || c === 0x5b) depth++
    else if (c === 0x7d || c === 0x5d) {
      depth--
      if (depth < 1) fail(line, 'a bracket closes that was never opened')
    }
  }
  if (!closed)
    fail(
      start >= 0 ? startLine : line,
      start >= 0 ? 'the file ends inside the record that begins here' : 'the file ends before the closing ]',
    )
  return elements
}

/** A top-level array of objects. */
export function readJsonArray(text: string, name: string): RawRows {
  const rows = elementsOf(text, name).map(({ start, end, line }) => rowOf(text.slice(start, end), line))
  return { rows, columns: columnsOf(rows) }
}
