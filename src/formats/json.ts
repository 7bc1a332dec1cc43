/** JSON files from outside: bytes to a value of a given schema, with errors that name file and field. */
import * as v from 'valibot'
import { FormatError } from './format-error'

/**
 * Any JSON object, passed on as it is. valibot's own records are copies that leave out keys such as "constructor", which
 * are ordinary words in a vocabulary.
 */
export const JsonObject = v.custom<Readonly<Record<string, unknown>>>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  'an object is expected',
)

/**
 * @param name the file's name, for messages
 * @throws FormatError for bytes that are not UTF-8 JSON, or for the first field that does not fit the schema
 */
export function parseJson<TSchema extends v.GenericSchema>(
  bytes: Uint8Array,
  schema: TSchema,
  name: string,
): v.InferOutput<TSchema> {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (error) {
    throw new FormatError(`${name} is not JSON: ${error instanceof Error ? error.message : String(error)}`)
  }
  const result = v.safeParse(schema, value)
  if (result.success) return result.output
  const [issue] = result.issues
  const path = v.getDotPath(issue)
  throw new FormatError(`${name}${path === null ? '' : `, ${path}`}: ${issue.message}`)
}

export function jsonBytes(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value, null, 2))
}
