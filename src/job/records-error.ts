/** A file of records that can't be read as a whole. The message names file and line. */
export class RecordsError extends Error {
  override readonly name = 'RecordsError'

  constructor(
    message: string,
    /** Where, counted from 1; null when no line is to blame. */
    readonly line: number | null,
    /** The columns found, when choosing among them would help. */
    readonly columns: readonly string[],
  ) {
    super(message)
  }
}
