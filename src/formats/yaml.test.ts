import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { pythonWith, runPython } from '../../test/support/python'
import { FormatError } from './format-error'
import { toYaml, type YamlValue } from './yaml'

describe('toYaml', () => {
  it('writes what is not text plainly, and text in quotes', () => {
    const value = {
      name: 'no',
      on: true,
      'a key': null,
      count: 20,
      tiny: 1e-7,
      huge: 1.5e21,
      minus: -0.25,
      nested: { deeper: { list: [1, 'a', { b: [] }] }, empty: {} },
      text: 'a: "b"\n#\u0085\u00e9😀',
    }
    expect(toYaml(value)).toBe(`name: "no"
"on": true
"a key": null
count: 20
tiny: 1.0e-7
huge: 1.5e+21
minus: -0.25
nested:
  deeper:
    list: [1, "a", {"b": []}]
  empty: {}
text: "a: \\"b\\"\\n#\\u0085\\u00e9\\U0001f600"
`)
  })

  it('refuses what YAML or a reader has no room for', () => {
    expect(() => toYaml({ a: NaN })).toThrow(new FormatError("NaN can't be written as YAML"))
    let deep: YamlValue = 1
    for (let i = 0; i < 100_000; i++) deep = [deep]
    expect(() => toYaml({ deep })).toThrow(FormatError)
    let tree: YamlValue = 1
    for (let i = 0; i < 100_000; i++) tree = { tree }
    expect(() => toYaml({ tree })).toThrow('nested more than 50 deep')
  })

  const python = pythonWith('yaml')
  it.skipIf(python === null)(`is read by PyYAML as what it was${python === null ? ' (no python3 with yaml here)' : ''}`, () => {
    // Lone surrogates are no text in Python; -0 is 0 in JSON's eyes.
    const text = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.string({ unit: fc.integer({ min: 0, max: 0xd7ff }).map((code) => String.fromCodePoint(code)) }),
      fc.constantFrom(
        'no',
        '1e3',
        '~',
        '',
        ' ',
        '- a',
        '2020-01-01',
        '0o17',
        '=',
        '<<',
        '!!python/object:x',
        '&a',
        '*a',
        '%',
        '\u2028',
        '\ufeff',
      ),
    )
    const scalar = fc.oneof(
      text,
      fc.integer(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.boolean(),
      fc.constant(null),
    )
    const { value } = fc.letrec<{ value: YamlValue }>((tie) => ({
      value: fc.oneof(
        { depthSize: 'small' },
        scalar,
        fc.array(tie('value'), { maxLength: 4 }),
        fc.dictionary(text, tie('value'), { maxKeys: 4 }),
      ),
    }))
    const made = fc.sample(fc.dictionary(text, value, { minKeys: 1, maxKeys: 6 }), { numRuns: 400, seed: 73 })
    const program = 'import json,sys,yaml; print(json.dumps([yaml.safe_load(y) for y in json.load(sys.stdin)]))'
    const read: unknown = JSON.parse(runPython(python ?? '', ['-c', program], JSON.stringify(made.map(toYaml))))
    expect(read).toEqual(JSON.parse(JSON.stringify(made)))
  })
})
