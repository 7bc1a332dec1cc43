/** Rows of a .csv or .tsv file with a header row, through papaparse. */
import Papa from 'papaparse'
import type { RawRow, RawRows } from './records'
import { RecordsError } from './records-error'

interface Line {
  readonly line: number
  readonly cells: readonly string[]
  readonly problem: string | null
}

const breaks = (cell: string): number =>
  cell.includes('\n') || cell.includes('\r') ? (cell.match(/\r\n|\n|\r/g)?.length ?? 0) : 0

/** Cells with the line each row begins on (a quoted cell may span several). */
function split(text: string, name: string, delimiter: string): Line[] {
  const { data, errors } = Papa.parse<string[]>(text, { delimiter, header: false, skipEmptyLines: false })
  const problems = new Map(errors.map((error) => [error.row ?? -1, error]))
  let line = 1
  return data.map((cells, row) => {
    const begins = line
    line += 1 + cells.reduce((sum, cell) => sum + breaks(cell), 0)
    const problem = problems.get(row)
    if (problem?.code === 'MissingQuotes') {
      throw new RecordsError(`${name}, line ${begins}: a cell opens with " and never closes`, begins, [])
    }
    return { line: begins, cells, problem: problem ? problem.message : null }
  })
}

const isBlank = ({ cells }: Line): boolean => cells.every((cell) => cell.trim() === '')

function toRows(lines: readonly Line[]): RawRows {
  const [header, ...body] = lines.filter((line) => !isBlank(line))
  if (!header) return { rows: [], columns: [] }
  const columns = header.cells.map((cell) => cell.trim())
  const rows = body.map(({ line, cells, problem }): RawRow => {
    if (problem !== null) return { line, problem: `malformed: ${problem}` }
    const extra = cells.slice(columns.length).some((cell) => cell.trim() !== '')
    if (extra)
      return {
        line,
        problem: `${cells.length} cells where the header has ${columns.length}; quote a text that holds the separator`,
      }
    const fields: Record<string, unknown> = {}
    // The first of two columns of the same name counts.
    for (let i = columns.length - 1; i >= 0; i--) {
      const column = columns[i]
      if (column !== undefined && column !== '' && column !== '__proto__') fields[column] = cells[i]
    }
    return { line, fields }
  })
  return { rows, columns: [...new Set(columns)].filter((column) => column !== '') }
}

/** Comma-separated; semicolons and tabs too where the header is plainly split by them (spreadsheets in many countries write those). */
export function readCsv(text: string, name: string): RawRows {
  const header = /[^\r\n]+/.exec(text)?.[0] ?? ''
  const delimiter = header.includes(',') ? ',' : header.includes(';') ? ';' : header.includes('\t') ? '\t' : ','
  return toRows(split(text, name, delimiter))
}

/**
 * Tab-separated. Many such files never quote and hold stray " characters; where reading quotes goes wrong, every " is taken as it
 * stands and a line break always ends a row.
 */
export function readTsv(text: string, name: string): RawRows {
  try {
    const lines = split(text, name, '\t')
    if (lines.every((line) => line.problem === null)) return toRows(lines)
  } catch (error) {
    if (!(error instanceof RecordsError)) throw error
  }
  return toRows(
    text.split(/\r\n|\n|\r/).map((content, index) => ({ line: index + 1, cells: content.split('\t'), problem: null })),
  )
}
