/** Between what a person types, in the form or as a flag, and the parameters' JSON. Pure; whether a value is accepted is for check.ts to say. */
import { LENGTH_PENALTY, type GenerationField } from './parameters'

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', '\\': '\\' }
const unescape = (text: string): string => text.replaceAll(/\\([ntr\\])/g, (_, letter: string) => ESCAPES[letter] ?? letter)
const escape = (text: string): string =>
  text.replaceAll(
    /[\n\t\r\\]/g,
    (character) => `\\${Object.keys(ESCAPES).find((letter) => ESCAPES[letter] === character) ?? character}`,
  )

/** The value of typed text. What is no number stays text, so that the check can name it. */
export function fromText(field: GenerationField, typed: string): unknown {
  if (field.type === 'texts') {
    return typed
      .split(/\r?\n/)
      .filter((line) => line !== '')
      .map(unescape)
  }
  const text = typed.trim()
  if (text === '' && field.nullable) return null
  if (field.type === 'boolean') return text === 'true' ? true : text === 'false' ? false : text
  if (field.type !== 'integer' && field.type !== 'number') return text
  const number = Number(text)
  return text !== '' && Number.isFinite(number) ? number : text
}

/** How a value is shown in a text box. */
export function toText(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (Array.isArray(value)) return value.map((one) => escape(String(one))).join('\n')
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** Values by path as the JSON of parameters. A length penalty whose two numbers are both empty is none. */
export function nestParameters(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const json: Record<string, unknown> = {}
  const penalty: Record<string, unknown> = {}
  for (const [path, value] of Object.entries(values)) {
    if (!path.startsWith(`${LENGTH_PENALTY}.`)) json[path] = value
    else if (value !== null && value !== undefined) penalty[path.slice(LENGTH_PENALTY.length + 1)] = value
  }
  if (Object.keys(penalty).length > 0) json[LENGTH_PENALTY] = penalty
  return json
}
