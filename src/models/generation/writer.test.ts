import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AnswerWriter, type WriterOptions } from './writer'

/** Tokens are bytes: characters come in pieces, as with byte-level tokenizers. */
const bytesOf = (text: string): number[] => [...new TextEncoder().encode(text)]
const decodeBytes = (ids: readonly number[]): string => new TextDecoder().decode(Uint8Array.from(ids))

const writer = (options: Partial<WriterOptions> = {}): AnswerWriter =>
  new AnswerWriter({ decode: decodeBytes, input_ids: [], stop_sequences: [], min_new_tokens: 0, ...options })

function write(one: AnswerWriter, ids: readonly number[]): { pieces: string[]; used: number; stopped: boolean } {
  const pieces: string[] = []
  let used = 0
  for (const id of ids) {
    used++
    const { piece, stopped } = one.add(id)
    pieces.push(piece)
    if (stopped) return { pieces, used, stopped }
  }
  pieces.push(one.end())
  return { pieces, used, stopped: false }
}

describe('text as it is written', () => {
  test('characters come when all their bytes are there', () => {
    const { pieces } = write(writer(), bytesOf('aé😀'))
    expect(pieces).toEqual(['a', '', 'é', '', '', '', '😀', ''])
  })

  test('what tidying up may still change is held back', () => {
    const words = ['I', ' do', " n't", ' know', ' .', ' "', " '", ' x']
    const tidy = (ids: readonly number[]): string =>
      ids
        .map((id) => words[id] ?? '')
        .join('')
        .replace(/ \./g, '.')
        .replace(/ ' /g, "'")
        .replace(/ n't/g, "n't")
    const one = writer({ decode: tidy })
    const { pieces } = write(one, [0, 1, 2, 3, 4, 5, 6, 7])
    expect(pieces.join('')).toBe(`I don't know. "'x`)
    expect(one.text).toBe(tidy([0, 1, 2, 3, 4, 5, 6, 7]))
  })

  test('begins with the input where asked to', () => {
    const one = writer({ input_ids: bytesOf('to be') })
    const { pieces } = write(one, bytesOf(' or'))
    expect(pieces[0]).toBe('to be')
    expect(one.text).toBe('to be or')
  })
})

describe('stop sequences', () => {
  test('end inside a token, and the text ends with them', () => {
    const words = ['one', ' two. Th', 'ree']
    const one = writer({ decode: (ids) => ids.map((id) => words[id] ?? '').join(''), stop_sequences: ['. '] })
    expect(write(one, [0, 1, 2])).toEqual({ pieces: ['one', ' two. '], used: 2, stopped: true })
    expect(one.text).toBe('one two. ')
  })

  test('the first to end wins, and the input has none', () => {
    const one = writer({ input_ids: bytesOf('a.b.'), stop_sequences: ['.', 'x\n'] })
    expect(write(one, bytesOf('cx\ny.')).used).toBe(3)
    expect(one.text).toBe('a.b.cx\n')
  })

  test('before min_new_tokens they stop nothing, and do not stop it later either', () => {
    const one = writer({ stop_sequences: ['.'], min_new_tokens: 3 })
    expect(write(one, bytesOf('.a.b.')).used).toBe(3)
    const other = writer({ stop_sequences: ['.'], min_new_tokens: 3 })
    expect(write(other, bytesOf('.ab.')).used).toBe(4)
  })

  test('also those of characters that come in pieces', () => {
    expect(write(writer({ stop_sequences: ['é'] }), bytesOf('aéb'))).toMatchObject({ used: 3, stopped: true })
  })

  test('any text, any sequences: pieces make the text, which ends right behind the first sequence', () => {
    const some = fc.string({ unit: fc.constantFrom('a', 'b', '.', ' ', "'", 'n', 'é', '😀'), maxLength: 20 })
    const sequences = fc.array(
      some.filter((text) => text !== ''),
      { maxLength: 3 },
    )
    fc.assert(
      fc.property(some, sequences, (text, stop_sequences) => {
        const one = writer({ stop_sequences })
        const { pieces, stopped } = write(one, bytesOf(text))
        const ends = stop_sequences.flatMap((sequence) =>
          text.includes(sequence) ? [text.indexOf(sequence) + sequence.length] : [],
        )
        const expected = ends.length === 0 ? text : text.slice(0, Math.min(...ends))
        expect(pieces.join('')).toBe(expected)
        expect(one.text).toBe(expected)
        expect(stopped).toBe(ends.length > 0)
      }),
    )
  })
})
