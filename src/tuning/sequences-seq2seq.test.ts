/** What an encoder-decoder reads and says: special tokens, EOS, start token, truncation; and upstream's way. Causal models: data.test.ts. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { charTokenizer, seq2seqTokenizer } from '../../test/support/char-tokenizer'
import { jobOf } from '../../test/support/tuning'
import { previewTuning } from './preview'
import { builderFor, buildSequence, buildSource, limitsOf, positionsOf, templateOf } from './sequences'
import type { SequenceLimits } from './sequences'
import type { Tokenizer } from './tokenizer'

const t5 = seq2seqTokenizer()
const limits: SequenceLimits = {
  kind: 'seq2seq',
  max_source_length: 10,
  max_target_length: 4,
  virtual_tokens: { encoder: 3, decoder: 0 },
  max_positions: null,
}
const textOf = (ids: readonly number[]): string => t5.decode(ids, { skip_special_tokens: false })
const build = (input: string, output: string, template = '{{input}}', more: Partial<SequenceLimits> = {}, tokenizer = t5) =>
  buildSequence({ input, output }, templateOf(template), { ...limits, ...more }, tokenizer, 0)

describe('sequences of an encoder-decoder', () => {
  test('the encoder reads the source and EOS; the decoder begins with the start token and says the target and EOS', () => {
    const built = build('ab', 'no', '[{{input}}]')
    expect(textOf(built.encoder ?? [])).toBe('[ab]<1>')
    expect(textOf(built.source)).toBe('<0>')
    expect(textOf(built.target)).toBe('no<1>')
    expect([built.truncated_source, built.truncated_target]).toEqual([false, false])
    // The start token and all of the target but EOS are fed.
    expect(positionsOf(built)).toBe(3)
  })

  test('a tokenizer that adds no EOS gets one on the target, and none on the source', () => {
    const plain: Tokenizer = { ...charTokenizer(), decoder_start_token_id: 0 }
    const built = build('ab', 'no', '{{input}}', {}, plain)
    expect([textOf(built.encoder ?? []), textOf(built.target)]).toEqual(['ab', 'no<1>'])
  })

  test('spaces before an answer go: they part it from a source that the decoder does not read', () => {
    expect(textOf(build('ab', '  no way').target)).toBe('no w<1>')
  })

  test('special tokens in front of a target are said, too', () => {
    const bart: Tokenizer = {
      ...t5,
      encode: (text, o) => [...(o.add_special_tokens ? [0] : []), ...t5.encode(text, o)],
    }
    const built = build('ab', 'no', '{{input}}', {}, bart)
    expect([textOf(built.encoder ?? []), textOf(built.source), textOf(built.target)]).toEqual(['<0>ab<1>', '<0>', '<0>no<1>'])
  })

  test('the input is cut, never the template or EOS; a target keeps EOS', () => {
    const built = build('a long input', 'answer', 'T:{{input}}:L')
    expect(textOf(built.encoder ?? [])).toBe('T:a lon:L<1>')
    expect(textOf(built.target)).toBe('answ<1>')
    expect([built.truncated_source, built.truncated_target]).toEqual([true, true])
    expect(() => build('a', 'b', 'a long template {{input}}')).toThrow(/template.*10 tokens/)
  })

  test('an empty source or target is still something to read and to say', () => {
    const plain: Tokenizer = { ...charTokenizer(), decoder_start_token_id: 0 }
    const built = build('', '', '{{input}}', {}, plain)
    expect([built.encoder, built.target]).toEqual([[1], [1]])
  })

  test('each stack has its positions behind its own virtual tokens', () => {
    const more = { max_source_length: 100, max_target_length: 100, max_positions: 12, virtual_tokens: { encoder: 3, decoder: 5 } }
    const built = build('abcdefghijkl', 'abcdefghijkl', '{{input}}', more)
    expect(built.encoder).toHaveLength(9)
    expect(5 + positionsOf(built)).toBe(12)
    expect(textOf(built.target)).toBe('abcdef<1>')
    const none = (stack: 'encoder' | 'decoder') => ({ ...more, virtual_tokens: { encoder: 0, decoder: 0, [stack]: 11 } })
    expect(() => build('a', 'b', '{{input}}', none('encoder'))).toThrow(/num_virtual_tokens is 11.*12 positions/)
    expect(() => build('a', 'b', '{{input}}', none('decoder'))).toThrow(/num_virtual_tokens is 11.*12 positions/)
  })

  test('for generating the source is that of training: what is said takes no positions from it', () => {
    const more = { ...limits, max_source_length: 100, max_positions: 12 }
    const source = buildSource(templateOf('{{input}}'), 'abcdefghijkl', more, t5, 50)
    expect(source).toEqual({ ids: build('abcdefghijkl', '', '{{input}}', more).encoder, truncated: true })
    expect(source.ids).toHaveLength(9)
  })

  test('without a start token the pad token starts, as in T5; without both it is an error', () => {
    expect(build('a', 'b', '{{input}}', {}, { ...t5, decoder_start_token_id: null, pad_token_id: 7 }).source).toEqual([7])
    const none = { ...t5, decoder_start_token_id: null, pad_token_id: null }
    expect(() => build('a', 'b', '{{input}}', {}, none)).toThrow(/names no decoder_start_token_id/)
  })

  test('properties: limits hold, whatever is cut is cut at the end, EOS ends both', () => {
    const text = fc.string({ minLength: 1, maxLength: 40 })
    const bounds = fc.record({
      max_source_length: fc.integer({ min: 4, max: 30 }),
      max_target_length: fc.integer({ min: 1, max: 30 }),
      virtual_tokens: fc.record({ encoder: fc.nat(5), decoder: fc.nat(5) }),
      max_positions: fc.option(fc.integer({ min: 12, max: 40 })),
    })
    fc.assert(
      fc.property(text, text, bounds, (input, output, bound) => {
        const built = build(input, output, '[{{input}}]', bound)
        const encoder = built.encoder ?? []
        const room = bound.max_positions ?? Infinity
        expect(encoder.length).toBeLessThanOrEqual(Math.min(bound.max_source_length, room - bound.virtual_tokens.encoder))
        expect(bound.virtual_tokens.decoder + positionsOf(built)).toBeLessThanOrEqual(room)
        expect(built.target.length).toBeLessThanOrEqual(bound.max_target_length + 1)
        expect([encoder.at(-1), built.target.at(-1)]).toEqual([1, 1])
        expect(textOf(encoder)).toMatch(/^\[[^]*\]<1>$/)
        const whole = t5.encode(output.replace(/^ +/, ''), { add_special_tokens: true })
        expect(whole.slice(0, built.target.length - 1)).toEqual(built.target.slice(0, -1))
        expect(built.truncated_target).toBe(built.target.length < whole.length)
        if (!built.truncated_source) expect(encoder).toEqual(t5.encode(`[${input}]`, { add_special_tokens: true }))
      }),
    )
  })
})

describe("the caikit preset builds upstream's sequences", () => {
  const job = jobOf({ preset: 'caikit', max_source_length: 6, max_target_length: 4, verbalizer: '{{input}}:' })
  const its = limitsOf(job, { kind: 'seq2seq', max_positions: null, virtual_tokens: limits.virtual_tokens })
  const caikit = (input: string, output: string, tokenizer: Tokenizer = t5, bound = its) =>
    builderFor(job, 'seq2seq')({ input, output }, templateOf(job.verbalizer), bound, tokenizer, 1)

  test('whole: as ours', () => {
    const built = caikit('ab', 'no')
    expect([textOf(built.encoder ?? []), textOf(built.source), textOf(built.target)]).toEqual(['ab:<1>', '<0>', 'no<1>'])
    expect([built.truncated_source, built.truncated_target, built.task]).toEqual([false, false, 1])
  })

  test("cut: the template goes first, the tokenizer's EOS stays within S and T tokens", () => {
    const built = caikit('abcdefgh', 'answer')
    expect([textOf(built.encoder ?? []), textOf(built.target)]).toEqual(['abcde<1>', 'ans<1>'])
    expect([built.truncated_source, built.truncated_target]).toEqual([true, true])
  })

  test('no EOS is added where the tokenizer adds none', () => {
    const built = caikit('abcdefgh', 'answer', { ...charTokenizer(), decoder_start_token_id: 0 })
    expect([textOf(built.encoder ?? []), textOf(built.target)]).toEqual(['abcdef', 'answ'])
  })

  test("the model's positions hold for it as well", () => {
    const tight = { ...its, max_positions: 7, virtual_tokens: { encoder: 3, decoder: 4 } }
    const built = caikit('abcdefgh', 'answer', t5, tight)
    expect([built.encoder?.length, built.target.length]).toEqual([4, 3])
    expect(4 + positionsOf(built)).toBeLessThanOrEqual(7)
  })
})

test('the preview shows what the encoder reads, and counts cut rows', () => {
  const job = jobOf({ max_source_length: 8, validation: 0, verbalizer: 'Q:{{input}}' })
  const rows = ['ab', 'abcdefghi'].map((input) => ({ input, output: 'no' }))
  const preview = previewTuning(job, { kind: 'seq2seq', hidden_size: 4, max_positions: null }, t5, rows, null)
  expect(preview.rows).toEqual([
    { source: 'Q:ab', target: 'no', source_tokens: 5, target_tokens: 3, truncated: false },
    { source: 'Q:abcde', target: 'no', source_tokens: 8, target_tokens: 3, truncated: true },
  ])
  // Twenty virtual tokens in front of what the encoder reads.
  expect(preview).toMatchObject({ truncated_sources: 1, truncated_targets: 0, longest: 28 })
})
