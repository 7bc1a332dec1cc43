/**
 * Rows of a .csv or .tsv file with a header row: RFC 4180 as spreadsheets write it, read in one pass and one row at a time, so that a row
 * always has its line, a reader can stop early, and a file that is one huge row stays one row.
 *
 * Not papaparse, which the tests use to write: it takes one kind of line end for the whole file, tells no lines, and holds all rows at once.
 */
import { RecordsError } from './records-error'
import { MOST_COLUMNS } from './records-limits'
import type { RawRow } from './records-row'

/** Cells kept of a row; the others are counted. */
const MOST_CELLS = MOST_COLUMNS + 1

const TAB = '\t'
const QUOTE = '"'

interface Line {
  readonly line: number
  /** Characters up to the row's end. */
  readonly end: number
  readonly cells: readonly string[]
  /** How many cells there are, kept or not. */
  readonly width: number
  readonly problem: string | null
}

const isBreak = (c: string | undefined): boolean => c === '\n' || c === '\r'

/** Line breaks in a piece of text; \r\n is one. */
const breaks = (text: string): number =>
  text.includes('\n') || text.includes('\r') ? (text.match(/\r\n|\n|\r/g)?.length ?? 0) : 0

class Scanner {
  private at = 0
  private line = 1

  constructor(
    private readonly text: string,
    private readonly name: string,
    private readonly delimiter: string,
    private readonly quoting: boolean,
  ) {}

  *lines(): Generator<Line> {
    while (this.at < this.text.length) yield this.row()
  }

  private row(): Line {
    const { line } = this
    const cells: string[] = []
    let width = 0
    let problem: string | null = null
    for (;;) {
      const quoted = this.quoting && this.text[this.at] === QUOTE
      const { cell, stray } = quoted ? this.quoted() : { cell: this.bare(), stray: false }
      if (stray) {
        const span = this.line > line ? ` (its row goes from line ${line} to ${this.line})` : ''
        problem ??= `a " stands inside a cell that begins with "; write it twice, or quote no cell${span}`
      }
      width++
      if (cells.length < MOST_CELLS) cells.push(cell)
      if (this.text[this.at] !== this.delimiter) break
      this.at++
    }
    if (this.text[this.at] === '\r' && this.text[this.at + 1] === '\n') this.at++
    this.at++
    this.line++
    return { line, end: Math.min(this.at, this.text.length), cells, width, problem }
  }

  /** Up to the next separator or line end. */
  private bare(): string {
    const { text, delimiter } = this
    const start = this.at
    let end = start
    while (end < text.length && text[end] !== delimiter && !isBreak(text[end])) end++
    this.at = end
    return text.slice(start, end)
  }

  /** From an opening " to the " before a separator or line end; blanks may follow that one. */
  private quoted(): { cell: string; stray: boolean } {
    const { text, delimiter } = this
    const start = this.at + 1
    let from = start
    let stray = false
    for (;;) {
      const quote = text.indexOf(QUOTE, from)
      if (quote < 0) {
        const message = `${this.name}, line ${this.line}: a cell opens with " and never closes`
        throw new RecordsError(message, this.line)
      }
      if (text[quote + 1] === QUOTE) {
        from = quote + 2
        continue
      }
      let after = quote + 1
      while (text[after] === ' ') after++
      if (after >= text.length || text[after] === delimiter || isBreak(text[after])) {
        const cell = text.slice(start, quote)
        this.at = after
        this.line += breaks(cell)
        return { cell: cell.replaceAll('""', QUOTE), stray }
      }
      stray = true
      from = after
    }
  }
}

const isBlank = ({ cells, width }: Line): boolean => width === cells.length && cells.every((cell) => cell.trim() === '')

function rowOf({ line, end, cells, width, problem }: Line, columns: readonly string[]): RawRow {
  if (problem !== null) return { line, end, problem }
  const extra = width > cells.length || cells.slice(columns.length).some((cell) => cell.trim() !== '')
  if (extra)
    return {
      line,
      end,
      problem: `${width} cells where the header has ${columns.length}; quote a text that holds the separator`,
    }
  const fields: Record<string, unknown> = {}
  // The first of two columns of the same name counts.
  for (let i = columns.length - 1; i >= 0; i--) {
    const column = columns[i]
    if (column !== undefined && column !== '' && column !== '__proto__') fields[column] = cells[i]
  }
  return { line, end, fields }
}

export interface Table {
  readonly columns: readonly string[]
  readonly rows: Iterable<RawRow>
}

function tableOf(lines: Iterator<Line, void>, name: string): Table {
  const next = (): Line | null => {
    for (;;) {
      const found = lines.next()
      if (found.done === true) return null
      if (!isBlank(found.value)) return found.value
    }
  }
  const header = next()
  if (!header) return { columns: [], rows: [] }
  if (header.width > MOST_COLUMNS) {
    const message = `${name}, line ${header.line}: ${header.width} columns; at most ${MOST_COLUMNS} are read`
    throw new RecordsError(message, header.line)
  }
  const columns = header.cells.map((cell) => cell.trim())
  function* rows(): Generator<RawRow> {
    for (let line = next(); line !== null; line = next()) yield rowOf(line, columns)
  }
  return { columns: [...new Set(columns)].filter((column) => column !== ''), rows: rows() }
}

/** What separates the header's cells: the candidate seen most often outside quotes, the comma where none or several are. */
function delimiterOf(text: string): string {
  const header = /[^\r\n]+/.exec(text)?.[0] ?? ''
  const bare = header.replace(/"[^"]*"/g, '')
  const times = (delimiter: string): number => bare.split(delimiter).length
  return [';', TAB].reduce((best, candidate) => (times(candidate) > times(best) ? candidate : best), ',')
}

/**
 * Comma-separated; semicolons and tabs too where the header is plainly split by them (spreadsheets in many countries write those).
 * @throws RecordsError for too many columns; and while its rows are read, for a quote that never closes.
 */
export const readCsv = (text: string, name: string): Table =>
  tableOf(new Scanner(text, name, delimiterOf(text), true).lines(), name)

/** Whether reading quotes goes well in the whole file. */
function quotesWell(text: string, name: string): boolean {
  try {
    for (const { problem } of new Scanner(text, name, TAB, true).lines()) if (problem !== null) return false
  } catch (error) {
    if (error instanceof RecordsError) return false
    throw error
  }
  return true
}

/**
 * Tab-separated. Many such files never quote and hold stray " characters; where reading quotes goes wrong, every " is taken as it
 * stands and a line break always ends a row.
 */
export const readTsv = (text: string, name: string): Table =>
  tableOf(new Scanner(text, name, TAB, text.includes(QUOTE) && quotesWell(text, name)).lines(), name)
