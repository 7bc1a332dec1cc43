import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fromHash, toHash } from './url-state'

describe('the job in the address', () => {
  it('reads like a sentence', () => {
    expect(
      toHash({ sample: 'plural', values: { num_epochs: 30, verbalizer: '{{input}} ->', 'tuning_config.num_virtual_tokens': 8 } }),
    ).toBe('sample=plural&num_epochs=30&verbalizer={{input}}+-%3E&tuning_config.num_virtual_tokens=8')
  })

  it('comes back as it was', () => {
    const value = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 30 }),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.boolean(),
      fc.constant(null),
    )
    const state = fc.record({
      sample: fc.option(fc.string({ unit: 'grapheme', maxLength: 10 })),
      values: fc.dictionary(fc.constantFrom('num_epochs', 'verbalizer', 'tuning_config.a'), value, { noNullPrototype: true }),
    })
    const known = ['num_epochs', 'verbalizer', 'tuning_config.a']
    fc.assert(
      fc.property(state, ({ sample, values }) => {
        const back = fromHash(`#${toHash({ sample, values })}`, known)
        expect(back.sample).toBe(sample)
        expect(JSON.stringify(back.values)).toBe(JSON.stringify(values))
      }),
    )
  })

  it('keeps known fields only and names the others', () => {
    const back = fromHash('#num_epochs=5&__proto__=1&evil=2', ['num_epochs'])
    expect(back.values).toEqual({ num_epochs: 5 })
    expect(back.unknown).toEqual(['__proto__', 'evil'])
  })

  it('keeps text that looks like a number text', () => {
    const hash = toHash({ sample: null, values: { verbalizer: '5' } })
    expect(hash).toBe('verbalizer=%225%22')
    expect(fromHash(hash, ['verbalizer']).values).toEqual({ verbalizer: '5' })
  })

  it('gives up on what is too long for an address', () => {
    expect(toHash({ sample: null, values: { verbalizer: 'x'.repeat(9000) } })).toBe('')
    expect(fromHash(`#num_epochs=${'1'.repeat(9000)}`, ['num_epochs']).values).toEqual({})
  })
})
