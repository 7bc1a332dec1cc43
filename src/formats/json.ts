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

/** @throws FormatError for what is nested deeper than JSON.stringify follows (JSON.parse follows any depth) */
export function jsonBytes(value: unknown): Uint8Array {
  try {
    return new TextEncoder().encode(JSON.stringify(value, null, 2))
  } catch (error) {
    if (error instanceof RangeError) throw new FormatError('JSON that is nested too deeply to be written')
    throw error
  }
}

/**
 * A key that a JSON object has twice, at its top level; null if none. JSON.parse silently takes the last one.
 * @param text what JSON.parse accepted as an object
 */
export function duplicateKey(text: string): string | null {
  const seen = new Set<string>()
  let depth = 0
  // Strings whole, so that what stands inside them is not looked at; colons tell keys from values.
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"\s*:?|[{}[\]]/g)) {
    if (token === '{' || token === '[') depth += 1
    else if (token === '}' || token === ']') depth -= 1
    else if (depth === 1 && token.endsWith(':')) {
      const key: unknown = JSON.parse(token.slice(0, token.lastIndexOf('"') + 1))
      if (typeof key !== 'string') continue
      if (seen.has(key)) return key
      seen.add(key)
    }
  }
  return null
}
