/** Unknown JSON values: what they are, and how a message shows them. Nothing here throws, however large or deep the value. */

export type Json = Readonly<Record<string, unknown>>

/** A JSON object, as opposed to null, an array or anything else. */
export const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)

/** Characters of a value that a message shows at most. */
const LONGEST = 60

const clipped = (text: string): string => (text.length > LONGEST ? `${text.slice(0, LONGEST)}...` : text)

/** Control characters and line separators as \u1234: a message stays on its line, and a terminal takes nothing in it as a command. */
const escaped = (text: string): string =>
  text.replaceAll(/[\p{Cc}\u2028\u2029]/gu, (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`)

function showItem(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? '[]' : `a list of ${value.length}`
  if (isObject(value)) return 'an object'
  return typeof value === 'string' ? escaped(JSON.stringify(clipped(value))) : escaped(clipped(String(value)))
}

/** A value for a message: short, on one line. Lists within lists are only counted. */
export function show(value: unknown): string {
  if (!Array.isArray(value) || value.length === 0 || value.length > 4) return showItem(value)
  return `[${value.map(showItem).join(', ')}]`
}

/** The key of an unknown field as a message shows it. */
export const showKey = (key: string): string => escaped(clipped(key))
