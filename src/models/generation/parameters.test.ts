import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkGeneration } from './check'
import { GENERATION_DEFAULTS, GENERATION_KEYS, generationFields } from './parameters'
import { fromText, nestParameters, toText } from './text'

const problems = (json: unknown): readonly { field: string; message: string }[] => {
  const checked = checkGeneration(json)
  return checked.ok ? [] : checked.problems
}

describe('the parameters of an answer', () => {
  test('nothing given: the defaults', () => {
    expect(checkGeneration({})).toEqual({ ok: true, parameters: GENERATION_DEFAULTS, notices: [] })
  })

  test('every problem at once, each naming value and range', () => {
    const wrong = {
      max_new_tokens: 0,
      decoding_method: 'greedy',
      top_p: 0,
      temperature: 0,
      stop_sequences: ['a', ''],
      exponential_decay_length_penalty: { start_index: 2, decay: 1.1 },
      max_time: -1,
      typicalp: 0.3,
      seed: 1.5,
    }
    expect(problems(wrong)).toEqual([
      { field: 'typicalp', message: 'no such field; the nearest is typical_p' },
      {
        field: 'exponential_decay_length_penalty.decay',
        message: 'no such field; the nearest is exponential_decay_length_penalty.decay_factor',
      },
      { field: 'decoding_method', message: '"greedy" is not accepted; give one of "GREEDY", "SAMPLING"' },
      { field: 'max_new_tokens', message: '0 is not accepted; give a whole number from 1 to 4096' },
      { field: 'stop_sequences', message: '["a", ""] is not accepted; give a list of at most 6 texts of 1 to 240 characters' },
      { field: 'seed', message: '1.5 is not accepted; give a whole number from 0 to 4294967295' },
      { field: 'temperature', message: '0 is not accepted; give a number from 0.05 to 100' },
      { field: 'top_p', message: '0 is not accepted; give a number above 0, up to 1' },
      { field: 'exponential_decay_length_penalty.decay_factor', message: 'missing; give a number from 1 to 10' },
      { field: 'max_time', message: '-1 is not accepted; give null or a number above 0' },
    ])
  })

  test('the shortest answer may not be longer than the longest', () => {
    const field = 'max_new_tokens'
    expect(problems({ min_new_tokens: 30 })).toEqual([
      { field, message: '24 is less than min_new_tokens, which is 30; give at least as much' },
    ])
    // Said also beside another problem.
    expect(problems({ min_new_tokens: 9, max_new_tokens: 8, top_k: -1 }).map((one) => one.field)).toEqual(['top_k', field])
    expect(problems({ min_new_tokens: 8, max_new_tokens: 8 })).toEqual([])
    expect(problems({ min_new_tokens: 8, max_new_tokens: '8' })).toHaveLength(1)
  })

  test('many unknown keys are counted, not listed', () => {
    const found = problems(Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`k${i}`, 1])))
    expect(found).toHaveLength(21)
    expect(found.at(-1)).toEqual({ field: 'parameters', message: '4980 more keys are no fields of it' })
  })

  test('what greedy decoding ignores is said', () => {
    const checked = checkGeneration({ temperature: 2, repetition_penalty: 0 })
    expect(checked).toMatchObject({
      ok: true,
      notices: ['temperature is ignored: decoding_method is "GREEDY", not "SAMPLING".'],
    })
    expect(checkGeneration({ temperature: 2, decoding_method: 'SAMPLING' })).toMatchObject({ notices: [] })
  })

  test('any JSON: parameters or problems, and what is accepted is accepted again', () => {
    const value = fc.oneof(fc.jsonValue(), fc.constantFrom(1, 0.5, 'SAMPLING', [], ['x'], { start_index: 1, decay_factor: 2 }))
    const json = fc.oneof(fc.jsonValue(), fc.dictionary(fc.oneof(fc.constantFrom(...GENERATION_KEYS), fc.string()), value))
    fc.assert(
      fc.property(json, (given) => {
        const checked = checkGeneration(given)
        if (!checked.ok) {
          expect(checked.problems.length).toBeGreaterThan(0)
          for (const { field, message } of checked.problems) expect(field.length + message.length).toBeLessThan(400)
          return
        }
        expect(checkGeneration(checked.parameters)).toMatchObject({ ok: true, parameters: checked.parameters })
      }),
    )
  })
})

describe('their fields', () => {
  test('are all of them, once, and their defaults are accepted', () => {
    const tops = new Set(generationFields().map((field) => field.path.split('.')[0]))
    expect([...tops]).toEqual(GENERATION_KEYS)
    const typed = generationFields().map((field): [string, unknown] => [field.path, fromText(field, toText(field.default))])
    expect(checkGeneration(nestParameters(Object.fromEntries(typed)))).toMatchObject({
      ok: true,
      parameters: GENERATION_DEFAULTS,
    })
  })

  test('typed text becomes values', () => {
    const typed = (path: string, text: string): unknown => {
      const field = generationFields().find((one) => one.path === path)
      return field && fromText(field, text)
    }
    expect(typed('max_new_tokens', ' 12 ')).toBe(12)
    expect(typed('max_new_tokens', '')).toBe('')
    expect(typed('max_time', '')).toBeNull()
    expect(typed('top_p', 'half')).toBe('half')
    expect(typed('preserve_input_text', 'true')).toBe(true)
    expect(typed('stop_sequences', String.raw`.\n` + '\n\n' + String.raw`a\\n b`)).toEqual(['.\n', String.raw`a\n b`])
    expect(nestParameters({ 'exponential_decay_length_penalty.start_index': null, top_k: 1 })).toEqual({ top_k: 1 })
    const half = nestParameters({ 'exponential_decay_length_penalty.start_index': 3 })
    expect(problems(half).map((one) => one.field)).toEqual(['exponential_decay_length_penalty.decay_factor'])
  })

  test('stop sequences of any characters survive the text box', () => {
    const field = generationFields().find((one) => one.type === 'texts')
    const sequence = fc.string({ unit: fc.constantFrom('a', 'n', 't', '\\', '\n', '\t', '\r', ' '), minLength: 1 })
    fc.assert(
      fc.property(fc.array(sequence, { maxLength: 4 }), (sequences) => {
        expect(field && fromText(field, toText(sequences))).toEqual(sequences)
      }),
    )
  })
})
