import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { changes, differing, flatten, nest } from './job-values'

describe('flatten and nest', () => {
  it('undo each other on job-shaped JSON', () => {
    const key = fc.stringMatching(/^[a-z_]{1,8}$/)
    const leaf = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null), fc.array(fc.string(), { maxLength: 3 }))
    const job = fc.dictionary(key, fc.oneof(leaf, fc.dictionary(key, leaf, { minKeys: 1, maxKeys: 4, noNullPrototype: true })), {
      maxKeys: 6,
      noNullPrototype: true,
    })
    fc.assert(
      fc.property(job, (json) => {
        expect(nest(flatten(json))).toEqual(json)
      }),
    )
  })

  it('never touch a prototype', () => {
    expect(flatten(JSON.parse('{"__proto__": {"polluted": 1}, "a": {"constructor": 2, "b": 3}}'))).toEqual({ 'a.b': 3 })
    expect(nest({ '__proto__.polluted': 1, 'constructor.prototype.polluted': 1, a: 1 })).toEqual({ a: 1 })
    expect(Reflect.get({}, 'polluted')).toBeUndefined()
  })

  it('take what is no object as nothing', () => {
    expect([flatten(null), flatten([1]), flatten('x')]).toEqual([{}, {}, {}])
  })

  it('keep the table where a path is both a value and a table', () => {
    expect(nest({ a: 1, 'a.b': 2 })).toEqual({ a: { b: 2 } })
    expect(nest({ 'a.b': 2, a: 1 })).toEqual({ a: { b: 2 } })
  })
})

describe('changes and differing', () => {
  it('compare by value', () => {
    expect(changes({ a: 1, b: ['x'], c: 3 }, { a: 1, b: ['x'], c: 4 })).toEqual({ c: 3 })
    expect(
      differing([
        { a: 1, b: 2 },
        { a: 1, b: 3, c: 1 },
      ]),
    ).toEqual(['b', 'c'])
    expect(differing([{ a: 1 }])).toEqual([])
  })
})
