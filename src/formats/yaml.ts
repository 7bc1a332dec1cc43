/**
 * Plain data as YAML, for readers of YAML 1.1 (PyYAML) and 1.2 alike. A writer only, and a cautious one: text is always quoted,
 * in ASCII, so that nothing in it can be taken for anything else ("no", "1e3", ": ", a line break).
 */
import { FormatError } from './format-error'

export type YamlValue = string | number | boolean | null | readonly YamlValue[] | { readonly [key: string]: YamlValue }

const MAX_DEPTH = 50
/** Keys that need no quotes: words YAML 1.1 has no meaning for. */
const PLAIN_KEY = /^(?!(?:y|n|yes|no|on|off|true|false|null)$)[a-z_][a-z0-9_]*$/i

/**
 * A JSON object as a mapping that toYaml takes.
 * @throws FormatError for anything else, and for data nested more than 50 deep
 */
export function yamlMapping(json: unknown): { readonly [key: string]: YamlValue } {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw new FormatError('not a JSON object')
  return Object.fromEntries(Object.entries(json).map(([key, value]) => [key, yamlValue(value, 1)]))
}

function yamlValue(json: unknown, depth: number): YamlValue {
  if (depth > MAX_DEPTH) throw new FormatError(`nested more than ${MAX_DEPTH} deep`)
  if (json === null || typeof json === 'string' || typeof json === 'number' || typeof json === 'boolean') return json
  if (Array.isArray(json)) return json.map((item) => yamlValue(item, depth + 1))
  if (typeof json !== 'object') throw new FormatError(`a ${typeof json} is no JSON value`)
  return Object.fromEntries(Object.entries(json).map(([key, value]) => [key, yamlValue(value, depth + 1)]))
}

/**
 * A mapping as a YAML document: block style, lists and what is in them in flow style.
 * @throws FormatError for numbers that are not finite, and for data nested more than 50 deep
 */
export function toYaml(value: { readonly [key: string]: YamlValue }): string {
  return mapping(value, '', 0)
}

function mapping(value: { readonly [key: string]: YamlValue }, indent: string, depth: number): string {
  if (depth > MAX_DEPTH) throw new FormatError(`nested more than ${MAX_DEPTH} deep`)
  return Object.entries(value)
    .map(([key, entry]) => {
      const start = `${indent}${keyOf(key)}:`
      const nested = isMapping(entry) && Object.keys(entry).length > 0
      return nested ? `${start}\n${mapping(entry, `${indent}  `, depth + 1)}` : `${start} ${flow(entry, depth + 1)}\n`
    })
    .join('')
}

function flow(value: YamlValue, depth: number): string {
  if (depth > MAX_DEPTH) throw new FormatError(`nested more than ${MAX_DEPTH} deep`)
  if (typeof value === 'string') return quoted(value)
  if (typeof value === 'number') return numeral(value)
  if (isList(value)) return `[${value.map((entry) => flow(entry, depth + 1)).join(', ')}]`
  if (!isMapping(value)) return String(value)
  return `{${Object.entries(value)
    .map(([key, entry]) => `${quoted(key)}: ${flow(entry, depth + 1)}`)
    .join(', ')}}`
}

const isList = (value: YamlValue): value is readonly YamlValue[] => Array.isArray(value)
const isMapping = (value: YamlValue): value is { readonly [key: string]: YamlValue } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const keyOf = (key: string): string => (PLAIN_KEY.test(key) ? key : quoted(key))

/** Double-quoted, as YAML and JSON both read it; beyond the BMP by YAML's own \U, since it joins no surrogates. */
function quoted(text: string): string {
  return JSON.stringify(text).replace(/[\u{7f}-\u{10ffff}]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0
    return code > 0xffff ? `\\U${code.toString(16).padStart(8, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`
  })
}

/** YAML 1.1 takes 1e-6 for text: a float needs a point, and a sign at its exponent. */
function numeral(value: number): string {
  if (!Number.isFinite(value)) throw new FormatError(`${value} can't be written as YAML`)
  const text = String(value)
  const [mantissa = '', exponent] = text.split('e')
  if (exponent === undefined) return text
  return `${mantissa.includes('.') ? mantissa : `${mantissa}.0`}e${/^[+-]/.test(exponent) ? exponent : `+${exponent}`}`
}
