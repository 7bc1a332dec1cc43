/** A file of one of our formats that can't be read or written; the message names the file and the place in it. */
export class FormatError extends Error {
  override readonly name = 'FormatError'
}
