import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { classificationReport, exactMatch, metricsFitting, perplexity, rougeL, textMetrics, tokenF1 } from '.'
import { MOST_WORDS } from './rouge'

test('exact match: blanks around, nothing else', () => {
  expect(exactMatch(' a b\n', 'a b')).toBe(true)
  expect(exactMatch('a  b', 'a b')).toBe(false)
  expect(exactMatch('A', 'a')).toBe(false)
})

describe('ROUGE-L', () => {
  test("rouge_score's own cases, and the paper's example", () => {
    // rouge_scorer_test.py: precision 1, recall 2/3.
    expect(rougeL('testing one', 'testing one two')).toBeCloseTo(4 / 5, 12)
    expect(rougeL('testing two', 'testing one two')).toBeCloseTo(4 / 5, 12)
    expect(rougeL('', 'testing one two')).toBe(0)
    expect(rougeL('/', 'w1 w2')).toBe(0)
    // Lin 2004: "police kill the gunman" shares 3 of 4 words in order, "the gunman kill police" only 2.
    expect(rougeL('police kill the gunman', 'police killed the gunman')).toBe(3 / 4)
    expect(rougeL('the gunman kill police', 'police killed the gunman')).toBe(2 / 4)
    // 5 against 7 words, common subsequence of 3 (b c e): 2*3/12. The greedy a-first match would find fewer.
    expect(rougeL('b x c a e', 'a b c d e f g')).toBe(0.5)
  })
  test('case and signs only separate', () => {
    expect(rougeL('The quick-brown fox!', 'the QUICK brown fox')).toBe(1)
    expect(rougeL("don't", 'don t')).toBe(1)
  })
  test('other scripts are words, too', () => {
    expect(rougeL('Мама мыла раму', 'мама мыла окно')).toBeCloseTo(2 / 3, 12)
    expect(rougeL('e\u0301te\u0301', 'ÉTÉ')).toBe(1)
    // Vowel signs belong to their word: two words, one shared.
    expect(rougeL('नमस्ते दुनिया', 'नमस्ते भारत')).toBe(0.5)
    // 我喜欢猫 and 我喜欢狗: three of four characters.
    expect(rougeL('我喜欢猫', '我喜欢狗')).toBe(3 / 4)
    expect(rougeL('iPhone手机', 'iphone手')).toBeCloseTo(4 / 5, 12)
  })
  test('without words, equality decides', () => {
    expect(rougeL('😀', '😀 ')).toBe(1)
    expect(rougeL('😀', '😡')).toBe(0)
    expect(rougeL('', '')).toBe(1)
  })
  test('long texts are compared by their first words', () => {
    const long = Array.from({ length: MOST_WORDS }, (_, i) => `w${i}`).join(' ')
    expect(rougeL(`${long} more`, `${long} other words`)).toBe(1)
    expect(rougeL(`one ${long}`, long)).toBeCloseTo((MOST_WORDS - 1) / MOST_WORDS, 12)
  })
})

describe('token F1', () => {
  test("SQuAD's normalisation", () => {
    expect(tokenF1('The Eiffel Tower.', 'eiffel tower')).toBe(1)
    expect(tokenF1("it's", 'its')).toBe(1)
    // 2 words against 3, 2 shared.
    expect(tokenF1('Denver Broncos', 'the Denver Broncos team')).toBeCloseTo(0.8, 12)
    // Bags: order is nothing, repetition counts once per occurrence (1 shared of 3 and 1).
    expect(tokenF1('b a2 c', 'c b a2')).toBe(1)
    expect(tokenF1('no no no', 'no')).toBe(0.5)
    expect(tokenF1('yes', 'no')).toBe(0)
    expect(tokenF1('a', 'the')).toBe(1)
    expect(tokenF1('', 'no')).toBe(0)
  })
  test('other scripts', () => {
    expect(tokenF1('«Москва»', 'москва')).toBe(1)
    expect(tokenF1('東京。', '東京都')).toBeCloseTo(4 / 5, 12)
    expect(tokenF1('5 €', '5')).toBeCloseTo(2 / 3, 12)
    // An article is a whole word, also before letters that are not ASCII.
    expect(tokenF1('aé', 'é')).toBe(0)
  })
})

describe('properties of both', () => {
  const text = fc.oneof(
    fc
      .array(fc.constantFrom('a', 'the', 'cat', 'Cat', 'sat', '.', 'мир', '猫', '5', 'é'), { maxLength: 12 })
      .map((w) => w.join(' ')),
    fc.string({ unit: 'grapheme' }),
  )
  test.each([
    ['rougeL', rougeL],
    ['tokenF1', tokenF1],
  ])('%s: 0..1, symmetric, 1 for equal texts', (_, measure) => {
    fc.assert(
      fc.property(text, text, (a, b) => {
        const score = measure(a, b)
        expect(score).toBeGreaterThanOrEqual(0)
        expect(score).toBeLessThanOrEqual(1)
        expect(measure(b, a)).toBe(score)
        expect(measure(a, a)).toBe(1)
      }),
    )
  })
  const plain = fc.array(fc.constantFrom('x', 'y', 'z', 'u'), { minLength: 1, maxLength: 8 })
  test('a subsequence is a sub-bag: without articles and signs, ROUGE-L is at most token F1', () => {
    fc.assert(
      fc.property(plain, plain, (a, b) => {
        expect(rougeL(a.join(' '), b.join(' '))).toBeLessThanOrEqual(tokenF1(a.join(' '), b.join(' ')))
      }),
    )
  })
  test('word order: nothing to token F1', () => {
    fc.assert(
      fc.property(plain, plain, (a, b) => {
        expect(tokenF1(a.toSorted().join(' '), b.join(' '))).toBe(tokenF1(a.join(' '), b.join(' ')))
      }),
    )
  })
})

describe('classification', () => {
  test("sklearn's documented example", () => {
    // sklearn.metrics.f1_score: y_true [0,1,2,0,1,2], y_pred [0,2,1,0,0,1]: macro 0.26...
    const report = classificationReport([0, 1, 2, 0, 1, 2], [0, 2, 1, 0, 0, 1])
    expect(report.macro_f1).toBeCloseTo(0.8 / 3, 12)
    expect(report.accuracy).toBeCloseTo(2 / 6, 12)
    expect(report.labels[0]).toEqual({ label: 0, precision: 2 / 3, recall: 1, f1: 0.8, support: 2 })
    expect(report.labels[1]).toEqual({ label: 1, precision: 0, recall: 0, f1: 0, support: 2 })
  })
  test('by hand: a 3 of 4 and b 1 of 2, one slip of each kind', () => {
    const report = classificationReport(['a', 'a', 'a', 'a', 'b', 'b'], ['a', 'a', 'a', 'b', 'b', 'c'])
    // a: p 1, r 3/4, f 6/7. b: p 1/2, r 1/2, f 1/2. c: never expected, f 0.
    expect(report.macro_f1).toBeCloseTo((6 / 7 + 1 / 2) / 3, 12)
    expect(report.labels.map(({ label, support }) => [label, support])).toEqual([
      ['a', 4],
      ['b', 2],
      ['c', 0],
    ])
    expect(classificationReport(['a', 'a', 'b'], ['a', 'x', 'b'], ['a', 'b']).macro_f1).toBeCloseTo((2 / 3 + 1) / 2, 12)
  })
  test('always the majority: good accuracy, poor macro-F1', () => {
    const expected = [...Array.from({ length: 9 }, () => 'no'), 'yes']
    const report = classificationReport(
      expected,
      expected.map(() => 'no'),
    )
    expect(report.accuracy).toBe(0.9)
    expect(report.macro_f1).toBeCloseTo(18 / 19 / 2, 12)
  })
  test('properties: 0..1, 1 when all is right, the order of rows and the names of labels are nothing', () => {
    const rows = fc.array(fc.tuple(fc.nat(4), fc.nat(4)), { minLength: 1, maxLength: 40 })
    fc.assert(
      fc.property(rows, (pairs) => {
        const truth = pairs.map(([label]) => label)
        const guess = pairs.map(([, label]) => label)
        const report = classificationReport(truth, guess)
        for (const { precision, recall, f1 } of report.labels) {
          expect(Math.min(precision, recall)).toBeLessThanOrEqual(f1 + 1e-12)
          expect(Math.max(precision, recall)).toBeGreaterThanOrEqual(f1 - 1e-12)
        }
        expect(report.labels.reduce((sum, { support }) => sum + support, 0)).toBe(pairs.length)
        const recalled = report.labels.reduce((sum, { recall, support }) => sum + recall * support, 0) / pairs.length
        expect(recalled).toBeCloseTo(report.accuracy, 12)
        expect(classificationReport(truth, truth)).toMatchObject({ accuracy: 1, macro_f1: 1 })
        const reversed = classificationReport(truth.toReversed(), guess.toReversed())
        expect(reversed.macro_f1).toBeCloseTo(report.macro_f1, 12)
        const named = classificationReport(truth.map(String), guess.map(String))
        expect(named.macro_f1).toBe(report.macro_f1)
        // F1 is symmetric in truth and guess, label by label.
        expect(classificationReport(guess, truth).macro_f1).toBeCloseTo(report.macro_f1, 12)
      }),
    )
  })
  test('what can not be reported', () => {
    expect(() => classificationReport(['a'], [])).toThrow(/1 expected.*0 predicted/)
    expect(() => classificationReport([], [])).toThrow(RangeError)
  })
})

test('perplexity', () => {
  expect(perplexity(0)).toBe(1)
  expect(perplexity(Math.log(50))).toBeCloseTo(50, 10)
  expect(Number.isFinite(perplexity(1e9))).toBe(true)
  expect(Number.isFinite(perplexity(Infinity))).toBe(true)
  expect(perplexity(NaN)).toBeNaN()
})

test('which metrics fit', () => {
  const times = (n: number, labels: readonly string[]) => Array.from({ length: n }, () => labels).flat()
  expect(metricsFitting(times(3, ['a', 'b']))).toBe('labels')
  expect(metricsFitting(times(2, ['a', 'b']))).toBe('text')
  expect(metricsFitting(times(9, ['a']))).toBe('text')
  expect(metricsFitting([])).toBe('text')
  const sixteen = Array.from({ length: 16 }, (_, i) => String(i))
  expect(metricsFitting(times(3, sixteen))).toBe('labels')
  expect(metricsFitting(times(3, [...sixteen, '16']))).toBe('text')
  // A space before some of the outputs makes no other labels.
  expect(metricsFitting([...times(2, ['a', 'b']), ...times(2, [' a', ' b'])])).toBe('labels')
})

test('means over predictions', () => {
  const metrics = textMetrics([
    { predicted: 'testing one', expected: 'testing one two' },
    { predicted: ' yes', expected: 'yes' },
  ])
  expect(metrics.exact_match).toBe(0.5)
  expect(metrics.rouge_l).toBeCloseTo(0.9, 12)
  expect(metrics.token_f1).toBeCloseTo(0.9, 12)
  expect(() => textMetrics([])).toThrow(RangeError)
})
