/**
 * From a row's fields to an example, or to the reason it can't be one: which column is what, and which values pass as text. It knows
 * nothing of files.
 */
import { SAMPLE_CHARACTERS } from './records-limits'

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
  /** The column that names each row's task; then every row needs one. Left out: a column called `task`, where a row has it. null: none. */
  readonly task?: string | null
}

export type Fields = Readonly<Record<string, unknown>>

/** A row as a reader gives it: its fields, or why it has none. */
export type RawRow = {
  /** Line of the file where the row begins, from 1. */
  readonly line: number
  /** Characters of the file up to the row's end. */
  readonly end: number
} & ({ readonly fields: Fields } | { readonly problem: string })

export interface Reading {
  readonly example: Example
  /** A number or true/false was taken as its text. */
  readonly converted: boolean
}

const kind = (value: unknown): string =>
  value === null ? 'null' : Array.isArray(value) ? 'a list' : typeof value === 'object' ? 'an object' : `a ${typeof value}`

const own = (fields: Fields, column: string): unknown => (Object.hasOwn(fields, column) ? fields[column] : undefined)

/**
 * A value as text, or why it has none. Numbers and true/false are taken as JSON writes them: label columns of 0 and 1 are common (caikit's
 * protobuf reader refuses them). A whole number too large to be held exactly would turn into another one, so it is refused.
 */
function asText(value: unknown): { text: string; converted: boolean } | { reason: string } {
  if (typeof value === 'string') return { text: value, converted: false }
  if (typeof value === 'boolean') return { text: String(value), converted: true }
  if (typeof value !== 'number') return { reason: `is ${kind(value)}, not text` }
  if (!Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value)))
    return { reason: 'is a number too large to be read exactly; write it in quotes' }
  return { text: String(value), converted: true }
}

type Read = { readonly text: string; readonly converted: boolean } | { readonly reason: string }

function check(column: string, { text, converted }: { text: string; converted: boolean }): Read {
  if (text.trim() === '') return { reason: `"${column}" is empty` }
  if (text.includes('\0')) return { reason: `"${column}" holds a NUL character, which no text has` }
  return { text, converted }
}

/** A field that must be text and not blank, or why it isn't. */
function textOf(fields: Fields, column: string): Read {
  const value = own(fields, column)
  if (value === undefined || value === null) return { reason: `no "${column}"` }
  const found = asText(value)
  return 'reason' in found ? { reason: `"${column}" ${found.reason}` } : check(column, found)
}

/** As textOf; a list is joined with a bare comma, as caikit joins labels (toolkit/task_specific_utils.py). */
function listOrText(fields: Fields, column: string): Read {
  const value = own(fields, column)
  if (!Array.isArray(value)) return textOf(fields, column)
  const texts: string[] = []
  let converted = false
  for (const item of value) {
    const found = asText(item)
    if ('reason' in found) return { reason: `"${column}" holds something that ${found.reason}` }
    texts.push(found.text)
    converted ||= found.converted
  }
  return check(column, { text: texts.join(','), converted })
}

function taskOf(fields: Fields, column: string | null | undefined): Read | null {
  if (column === null) return null
  if (column !== undefined) return textOf(fields, column)
  const found = textOf(fields, 'task')
  return 'reason' in found ? null : found
}

/** The example in a row, by the mapping or by the names caikit knows ({input, output} or {text, labels}); or why there is none. */
export function exampleOf(fields: Fields, columns: ColumnMapping | undefined): Reading | string {
  const has = (column: string): boolean => Object.hasOwn(fields, column)
  const classification = !columns && has('text') && has('labels') && !(has('input') && has('output'))
  const input = textOf(fields, classification ? 'text' : (columns?.input ?? 'input'))
  if ('reason' in input) return input.reason
  const output = listOrText(fields, classification ? 'labels' : (columns?.output ?? 'output'))
  if ('reason' in output) return output.reason
  const task = taskOf(fields, columns?.task)
  if (task && 'reason' in task) return task.reason
  const example = { input: input.text, output: output.text }
  const converted = input.converted || output.converted
  return { example: task ? { ...example, task: task.text } : example, converted }
}

const brief = (text: string): string =>
  text.length > SAMPLE_CHARACTERS ? `${text.slice(0, SAMPLE_CHARACTERS).replace(/[\uD800-\uDBFF]$/, '')}…` : text

/** A field as it is shown to a person who chooses columns. */
export function sampleText(fields: Fields, column: string): string {
  const value = own(fields, column)
  if (value === undefined || value === null) return ''
  const found = asText(value)
  if ('text' in found) return brief(found.text)
  if (!Array.isArray(value)) return kind(value)
  const texts = value.slice(0, 20).map(asText)
  return brief(texts.map((item) => ('text' in item ? item.text : '…')).join(','))
}
