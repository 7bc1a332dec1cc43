/**
 * The job as a flat table, path -> value ("tuning_config.num_virtual_tokens" -> 20), which is what a form, an address and a
 * comparison want; and back to the nested JSON of the job file. Pure; it does not know which fields there are.
 */

export type Values = Readonly<Record<string, unknown>>

/** Segments that would reach an object's prototype instead of a field. */
const FORBIDDEN = new Set(['__proto__', 'prototype', 'constructor'])

const isTable = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Nested JSON to paths. Arrays are values of their own; empty objects vanish. */
export function flatten(json: unknown, prefix = ''): Record<string, unknown> {
  const flat: Record<string, unknown> = {}
  if (!isTable(json)) return flat
  for (const [key, value] of Object.entries(json)) {
    if (FORBIDDEN.has(key)) continue
    const path = prefix === '' ? key : `${prefix}.${key}`
    if (isTable(value)) Object.assign(flat, flatten(value, path))
    else if (value !== undefined) flat[path] = value
  }
  return flat
}

/** Paths to nested JSON. Undefined values are left out; where "a" and "a.b" are both given, the table wins. */
export function nest(values: Values): Record<string, unknown> {
  const json: Record<string, unknown> = {}
  for (const [path, value] of Object.entries(values)) {
    const keys = path.split('.')
    const last = keys.pop()
    if (value === undefined || last === undefined || FORBIDDEN.has(last) || keys.some((key) => FORBIDDEN.has(key))) continue
    let at = json
    for (const key of keys) {
      const next = at[key]
      if (isTable(next)) {
        at = next
        continue
      }
      const made: Record<string, unknown> = {}
      at[key] = made
      at = made
    }
    if (!isTable(at[last])) at[last] = value
  }
  return json
}

/** Same JSON value? For telling a changed field from an untouched one. */
export const same = (a: unknown, b: unknown): boolean => a === b || JSON.stringify(a) === JSON.stringify(b)

/** The entries of `values` that differ from `base`. */
export function changes(values: Values, base: Values): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([path, value]) => !same(value, base[path])))
}

/** Paths whose values differ between the tables, in order of first appearance. */
export function differing(tables: readonly Values[]): string[] {
  const paths = new Set(tables.flatMap((table) => Object.keys(table)))
  return [...paths].filter((path) => tables.some((table) => !same(table[path], tables[0]?.[path])))
}

/** The table without one of its entries. */
export const omit = <Value>(table: Readonly<Record<string, Value>>, key: string): Record<string, Value> =>
  Object.fromEntries(Object.entries(table).filter(([other]) => other !== key))

/** The list without doubles, in order of first appearance. */
export const unique = <Item>(items: readonly Item[]): Item[] => [...new Set(items)]
