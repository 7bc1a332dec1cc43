/** Whatever JSON comes in, checkJob and parseJobFile answer with a complete job or with problems that name their field. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkJob } from './check-job'
import type { Field } from './field'
import { parseJobFile } from './job-file'
import { fields, JOB_KEYS, TUNING_CONFIG_KEYS } from './parameters'

const PATHS = new Set(fields().map((field) => field.path))
const KEYS = [...JOB_KEYS, ...TUNING_CONFIG_KEYS, 'lr', 'train', 'name', 'columns', 'num_epoch', '__proto__', 'constructor']

/** JSON text and back: own `__proto__` keys and all. */
const reparsed = (json: unknown): unknown => JSON.parse(JSON.stringify(json) ?? 'null')

/** A value that often fits: from a field's options, near its bounds, or anything. */
function nearField(field: Field): fc.Arbitrary<unknown> {
  const near = [
    field.default,
    field.min,
    field.max,
    1,
    2,
    0.5,
    'auto',
    '{{input}} ->',
    ...(field.options ?? []),
    field.options,
    [],
  ]
  return fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...near) }, { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 2 }) })
}
/** A few fields set, the rest left to their defaults. */
const nearJob = fc
  .tuple(
    fc.array(
      fc.constantFrom(...fields()).chain((field) => nearField(field).map((value) => [field.path, value] as const)),
      { maxLength: 5 },
    ),
    fc.option(fc.dictionary(fc.constantFrom(...KEYS), fc.jsonValue(), { maxKeys: 1 }), { freq: 3 }),
  )
  .map(([set, more]) => {
    const inner = set.flatMap(([path, value]) => (path.startsWith('tuning_config.') ? [[path.slice(14), value]] : []))
    const outer = set.filter(([path]) => !path.includes('.'))
    return { base_model: 'm', ...Object.fromEntries(outer), tuning_config: Object.fromEntries(inner) as object, ...more }
  })
const anyJson = fc.oneof(fc.jsonValue(), fc.dictionary(fc.oneof(fc.constantFrom(...KEYS), fc.string()), fc.jsonValue()), nearJob)

/** The keys a field name stands for: of the document, or unknown ones it holds. */
function isNamed(field: string, json: unknown): boolean {
  if (['job', 'tuning_config', 'lr', 'train', 'validation', 'name', 'columns'].includes(field) || PATHS.has(field)) return true
  const keys = (value: unknown) => (typeof value === 'object' && value !== null ? Object.keys(value) : [])
  const inner = typeof json === 'object' && json !== null && 'tuning_config' in json ? json.tuning_config : null
  // Control characters are escaped and long keys cut, so compare what is left of them.
  const plain = (key: string): string => key.slice(0, 60).replaceAll(/[\p{Cc}\u2028\u2029]/gu, '')
  const known = [...keys(json), ...keys(inner).map((key) => `tuning_config.${key}`)].map(plain)
  const cut = plain(field.replaceAll(/\\(?:u[0-9a-f]{4}|[bfnrt])/g, ''))
  return known.some((key) => key.replaceAll(/\\(?:u[0-9a-f]{4}|[bfnrt])/g, '').startsWith(cut.slice(0, 40)))
}

test('any JSON in: a complete job that checks to itself, or problems that name their fields', () => {
  let complete = 0
  fc.assert(
    fc.property(anyJson.map(reparsed), (json) => {
      const checked = checkJob(json)
      if (checked.ok) {
        complete++
        expect(Object.keys(checked.job).sort()).toEqual([...JOB_KEYS].sort())
        expect(Object.keys(checked.job.tuning_config).sort()).toEqual([...TUNING_CONFIG_KEYS].sort())
        const again = checkJob(reparsed(checked.job))
        expect(again.ok && again.job).toEqual(checked.job)
      } else {
        expect(checked.problems.length).toBeGreaterThan(0)
        // A form has one place for a field's problem.
        const known = checked.problems.map(({ field }) => field).filter((field) => PATHS.has(field))
        expect(new Set(known).size).toBe(known.length)
        for (const { field, message } of checked.problems) {
          expect(isNamed(field, json), field).toBe(true)
          expect(message.length).toBeLessThan(600)
        }
      }
      const file = parseJobFile(json)
      if (!file.ok) expect(file.problems.length).toBeGreaterThan(0)
    }),
    { numRuns: 2000 },
  )
  // Otherwise the first half of the property was never tried.
  expect(complete).toBeGreaterThan(50)
})

test('values that are no JSON do not throw either', () => {
  fc.assert(
    fc.property(fc.anything({ withBigInt: true, withMap: true, withNullPrototype: true, withSparseArray: true }), (value) => {
      checkJob(value)
      checkJob({ base_model: 'm', seed: value, baselines: value, tuning_config: value })
      parseJobFile(value)
    }),
  )
})

describe('one field of a valid job turned to junk', () => {
  test.each(fields().map((field) => [field.path, field] as const))('%s', (path, field) => {
    const [first = '', second] = path.split('.')
    const put = (value: unknown) => ({
      base_model: 'm',
      num_epochs: 3,
      tuning_config: { num_virtual_tokens: 4, ...(second === undefined ? {} : { [second]: value }) },
      ...(second === undefined ? { [first]: value } : {}),
    })
    const junk = fc.oneof(
      fc.dictionary(fc.string(), fc.jsonValue()),
      fc.array(fc.jsonValue(), { minLength: 9 }),
      ...(field.nullable ? [] : [fc.constant(null)]),
      ...(field.type === 'boolean' ? [] : [fc.boolean()]),
      ...(field.type === 'integer' || field.type === 'number' ? [fc.string(), fc.constantFrom(-1, -0.5, 1e300)] : [fc.double()]),
      ...(field.options ? [fc.string().filter((text) => field.options?.includes(text) !== true)] : []),
    )
    // A few numbers are no junk for a field without an upper bound, and "auto" is none where it is accepted.
    const accepted = (value: unknown): boolean => (value === 1e300 && field.max === null) || (value === 'auto' && field.auto)
    fc.assert(
      fc.property(
        junk
          .filter((value) => !accepted(value))
          .map(reparsed)
          .filter((value) => !(value === null && field.nullable)),
        (value) => {
          const checked = checkJob(put(value))
          expect(checked.ok ? [] : checked.problems.map((problem) => problem.field)).toContain(path)
        },
      ),
      { numRuns: 60 },
    )
  })
})

describe('hostile documents cost little', () => {
  const nested = (depth: number, open: string, close: string): unknown =>
    JSON.parse(open.repeat(depth) + '1' + close.repeat(depth))
  const deep = [nested(5000, '[', ']'), nested(5000, '{"a":', '}'), nested(5000, '{"tuning_config":', '}')]
  const long = 'x'.repeat(2_000_000)
  const crowd = Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`key_${i}_${'y'.repeat(40)}`, i]))
  const list = Array.from({ length: 200_000 }, () => 'ENCODER')

  const jobs: [string, unknown][] = [
    ...deep.map((value, i): [string, unknown] => [`depth ${i}`, value]),
    ...deep.map((value, i): [string, unknown] => [
      `fields of depth ${i}`,
      Object.fromEntries([...JOB_KEYS, 'train', 'validation', 'name', 'columns'].map((key) => [key, value])),
    ]),
    ['a long value everywhere', Object.fromEntries([...JOB_KEYS, 'name', 'validation', 'columns'].map((key) => [key, long]))],
    ['a long key', { [long]: 1, tuning_config: { [long]: 1 } }],
    ['a crowd of keys', { ...crowd, tuning_config: crowd, columns: crowd }],
    ['long lists', { baselines: list, seed: list, tuning_config: { output_model_types: list } }],
    ['__proto__', JSON.parse('{"__proto__": {"base_model": "m"}, "tuning_config": {"__proto__": {"num_virtual_tokens": 0}}}')],
  ]
  test.each(jobs)('%s', (_, json) => {
    const checked = parseJobFile(json)
    if (checked.ok) throw new Error('accepted')
    expect(checked.problems.length).toBeLessThan(100)
    for (const { field, message } of checked.problems) expect(field.length + message.length).toBeLessThan(800)
  })

  test('no control character reaches a terminal', () => {
    const evil = '\n\u001b[2J\u009b31m\u2028'
    const checked = parseJobFile({ [evil]: 1, seed: evil, verbalizer: evil, name: [evil], columns: { [evil]: 1 } })
    const text = checked.ok ? '' : checked.problems.map(({ field, message }) => field + message).join('')
    expect(text).toContain('\\u009b31m')
    expect(text).not.toMatch(/[\p{Cc}\u2028]/u)
  })

  test('__proto__ is a key like any other', () => {
    const checked = checkJob(JSON.parse('{"base_model": "m", "__proto__": {"num_epochs": 3}}'))
    expect(checked.ok ? [] : checked.problems.map(({ field }) => field)).toEqual(['__proto__'])
    expect(({} as Record<string, unknown>).num_epochs).toBeUndefined()
  })
})
