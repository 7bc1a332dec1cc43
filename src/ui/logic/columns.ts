/** Which columns are probably the input, the output and the task, by the names data sets usually give them. Pure. */

const INPUTS = [
  'input',
  'text',
  'sentence',
  'question',
  'prompt',
  'source',
  'instruction',
  'review',
  'document',
  'article',
  'content',
]
const OUTPUTS = [
  'output',
  'labels',
  'label',
  'answer',
  'completion',
  'target',
  'response',
  'summary',
  'category',
  'class',
  'intent',
]

/** A column that may name tasks. */
export const isTaskColumn = (column: string): boolean => /^task([ _-]?(id|name|type))?s?$/i.test(column.trim())

const find = (columns: readonly string[], names: readonly string[]): string | undefined => {
  const lower = columns.map((column) => column.trim().toLowerCase())
  for (const name of names) {
    const at = lower.indexOf(name)
    if (at >= 0) return columns[at]
  }
  return undefined
}

export interface GuessedColumns {
  readonly input: string
  readonly output: string
  readonly task: string | null
}

/** Input and output differ where there are two columns; without a known name they are the first that are left. */
export function guessColumns(columns: readonly string[]): GuessedColumns {
  const knownOutput = find(columns, OUTPUTS)
  const left = columns.filter((column) => column !== knownOutput && !isTaskColumn(column))
  const input = find(columns, INPUTS) ?? left[0] ?? columns.find((column) => column !== knownOutput) ?? ''
  const output = knownOutput ?? left.find((column) => column !== input) ?? columns.find((column) => column !== input) ?? ''
  const task = columns.find((column) => column !== input && column !== output && isTaskColumn(column)) ?? null
  return { input, output, task }
}

/** The columns parseRecords takes by itself; null where a person has to choose. */
export function namedColumns(columns: readonly string[]): GuessedColumns | null {
  const has = (name: string): boolean => columns.includes(name)
  const task = has('task') ? 'task' : null
  if (has('input') && has('output')) return { input: 'input', output: 'output', task }
  return has('text') && has('labels') ? { input: 'text', output: 'labels', task } : null
}
