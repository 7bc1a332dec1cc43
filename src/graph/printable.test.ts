import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { printable } from './printable'

describe('printable', () => {
  it('leaves ordinary messages alone', () => {
    const message = `this model can't be tuned: it is the decoder of an encoder-decoder model, without its encoder (input 'encoder_attention_mask')`
    expect(printable(message)).toBe(message)
    expect(printable('naïve 模型 🤖')).toBe('naïve 模型 🤖')
  })

  it('shortens long names and keeps what is said around them', () => {
    const text = printable(`this model can't be tuned: '${'a'.repeat(5000)}' is used but nothing defines it`)
    expect(text).toMatch(/^this model can't be tuned: 'a+\.\.\.a+' is used but nothing defines it$/)
  })

  it('escapes what would break a line, a terminal or the direction of writing', () => {
    expect(printable('a\0b\nc\u001b[2Jd\u202ee\ud800')).toBe('a\\u{0}b\\u{a}c\\u{1b}[2Jd\\u{202e}e\\u{d800}')
  })

  it('any text becomes short and showable, at once', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 3000 }), (text) => {
        const shown = printable(text)
        expect(shown).not.toMatch(/\p{Cc}/u)
        expect(shown.length).toBeLessThan(700)
      }),
    )
    const start = performance.now()
    expect(printable(`'${'\0'.repeat(2e7)}`).length).toBeLessThan(700)
    expect(performance.now() - start).toBeLessThan(2000)
  })
})
