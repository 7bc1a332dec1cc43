/**
 * What a file of records may have at most. A prompt of a few rows learns from hundreds of examples; these limits are far beyond that, and
 * keep a wrong or hostile file from taking the memory the model needs. Each is named in the message that refuses a file.
 */

/** The whole text and its rows are held in memory, several times the file's size, beside the model. */
export const LARGEST_FILE_BYTES = 64 * 2 ** 20

/** Rows cost more than their text: a file of two-letter lines is small, its rows are not. */
export const MOST_ROWS = 1_000_000

/** Columns of a table's header. */
export const MOST_COLUMNS = 1000

/** Longer texts are cut in the sample a person chooses columns by. */
export const SAMPLE_CHARACTERS = 120
export const SAMPLE_ROWS = 5
