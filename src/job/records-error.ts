/** What a file's columns look like: their names and the first rows' texts under them. Made for choosing a mapping. */
export interface Columns {
  readonly columns: readonly string[]
  /** The first rows, each with a text per column, cut where it is long. */
  readonly sample: readonly (readonly string[])[]
}

/** A file of records that can't be read as a whole. The message names file and line. */
export class RecordsError extends Error {
  override readonly name = 'RecordsError'

  constructor(
    message: string,
    /** Where, counted from 1; null when no line is to blame. */
    readonly line: number | null,
    /** The columns found, when choosing among them would help. */
    readonly found: Columns | null = null,
  ) {
    super(message)
  }
}
