/**
 * Rows of a .json array or a .jsonl file. The array is split into its elements first and each parsed on its own, so that every
 * row and every error has its line, which JSON.parse alone doesn't give.
 */
import { RecordsError } from './records-error'
import type { Fields, RawRow } from './records-row'

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value)

function rowOf(json: string, line: number, end: number): RawRow {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch (error) {
    return { line, end, problem: `not valid JSON: ${error instanceof Error ? error.message.slice(0, 120) : 'unreadable'}` }
  }
  return isFields(value) ? { line, end, fields: value } : { line, end, problem: 'not a JSON object' }
}

/** Pieces between line feeds, with their lines; blank ones are passed over. */
function* pieces(text: string): Generator<{ content: string; line: number; end: number }> {
  let line = 0
  for (let start = 0; start <= text.length;) {
    const found = text.indexOf('\n', start)
    const end = found < 0 ? text.length : found
    line++
    const content = text.slice(start, end)
    if (content.trim() !== '') yield { content, line, end }
    start = end + 1
  }
}

/**
 * One object a line; blank lines are skipped, lines that are no object are listed.
 * @throws RecordsError at the end when not one line was an object.
 */
export function* readJsonLines(text: string, name: string): Generator<RawRow> {
  let usable = false
  let first: { line: number; problem: string } | null = null
  for (const { content, line, end } of pieces(text)) {
    const row = rowOf(content, line, end)
    if ('problem' in row) first ??= { line, problem: row.problem }
    else usable = true
    yield row
  }
  if (first && !usable) {
    const message = `${name}, line ${first.line}: ${first.problem}; a .jsonl file holds one whole {...} object on each line`
    throw new RecordsError(message, first.line)
  }
}

interface Element {
  readonly start: number
  readonly end: number
  readonly line: number
}

/** The elements between the brackets of a top-level array, by walking over strings and brackets only. */
function* elementsOf(text: string, name: string): Generator<Element> {
  const fail = (line: number, message: string): never => {
    throw new RecordsError(`${name}, line ${line}: ${message}`, line)
  }
  let elements = 0
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
      const empty = start < 0 && (c === 0x2c || elements > 0)
      if (empty) fail(line, 'a record is missing between two commas or before the closing ]')
      if (start >= 0) {
        elements++
        yield { start, end: i, line: startLine }
      }
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
  if (closed) return
  if (inString) fail(stringLine, 'the file ends inside a "..." text that begins here')
  if (start >= 0) fail(startLine, 'the file ends inside the record that begins here')
  fail(line, 'the file ends before the closing ]')
}

/** A top-level array of objects. @throws RecordsError while its rows are read, where the array is broken. */
export function* readJsonArray(text: string, name: string): Generator<RawRow> {
  for (const { start, end, line } of elementsOf(text, name)) yield rowOf(text.slice(start, end), line, end)
}
