import fc from 'fast-check'
import Papa from 'papaparse'
import { describe, expect, test } from 'vitest'
import { parseRecords, RecordsError, recordsFromObjects } from './records'

const error = (text: string, name: string): RecordsError => {
  try {
    parseRecords(text, name)
  } catch (caught) {
    if (caught instanceof RecordsError) return caught
    throw caught
  }
  throw new Error('no error')
}

describe('json', () => {
  test('array of records: extra columns ignored, unusable rows listed with their line', () => {
    const text =
      '\uFEFF[\r\n {"input": "a", "output": "b", "extra": {"x": [1]}},\r\n {"input": 5, "output": "b"},\r\n {"output": "b"}, 7,\r\n {"text": "t", "labels": ["x", "y"]},\r\n {"input": " ", "output": "b"},\r\n{"input":"a","output":"b"} ]\r\n'
    const { examples, skipped, duplicates, columns } = parseRecords(text, 'd.json')
    expect(examples).toEqual([
      { input: 'a', output: 'b' },
      { input: 't', output: 'x,y' },
      { input: 'a', output: 'b' },
    ])
    expect(skipped).toEqual([
      { line: 3, reason: '"input" is a number, not text' },
      { line: 4, reason: 'no "input"' },
      { line: 4, reason: 'not a JSON object' },
      { line: 6, reason: '"input" is empty' },
    ])
    expect(duplicates).toEqual([{ line: 7, first_line: 2 }])
    expect(columns).toEqual(['input', 'output', 'extra', 'text', 'labels'])
  })
  test('errors name the line', () => {
    expect(error('[\n{"input":"a","output":"b"},\n{"input":', 'f.json')).toMatchObject({
      line: 3,
      message: expect.stringMatching(/line 3.*ends inside/) as string,
    })
    expect(error('[\n1,,2]', 'f.json').line).toBe(2)
    expect(error('[{"input":"a","output":"b"},\n]', 'f.json').line).toBe(2)
    expect(error('[{"input":"a","output":"b"}]\n\nx', 'f.json').line).toBe(3)
    expect(error('[\n{"input":"a\n"}]', 'f.json').line).toBe(2)
    expect(error('"text"', 'f.json').message).toMatch(/not a JSON array/)
    expect(error('[]', 'f.json').message).toMatch(/no records/)
    expect(error('', 'f.json').message).toMatch(/./)
    expect(error('[{"question":"a","answer":"b"}]', 'f.json')).toMatchObject({ columns: ['question', 'answer'] })
  })
  test('jsonl: bad lines listed, blank ones passed over; also under the name .json', () => {
    const text = '{"input":"a","output":"b"}\r\n\r\nnot json\n{"input":"c","output":"d","task":"t"}'
    for (const name of ['x.jsonl', 'x.json', 'x', 'x.ndjson']) {
      const { examples, skipped } = parseRecords(text, name)
      expect(examples).toEqual([
        { input: 'a', output: 'b' },
        { input: 'c', output: 'd', task: 't' },
      ])
      expect(skipped).toHaveLength(1)
      expect(skipped[0]?.line).toBe(3)
    }
    expect(error('{\n "input": "a"\n}', 'x.jsonl').message).toMatch(/line 1.*one whole/)
  })
  test('mapping', () => {
    const columns = { input: 'question', output: 'answer' }
    expect(parseRecords('[{"question":"a","answer":"b"}]', 'f.json', { columns }).examples).toEqual([{ input: 'a', output: 'b' }])
    expect(recordsFromObjects([{ question: 'a', answer: 'b' }], { columns }).examples).toHaveLength(1)
    expect(recordsFromObjects([null, 3, []]).skipped.map(({ line }) => line)).toEqual([1, 2, 3])
  })
})

describe('tables', () => {
  test('csv: BOM, CRLF, quoted line breaks and separators; lines counted through them', () => {
    const text = '\uFEFFinput, output ,note\r\n"a, ""b""\r\nc",d,x\r\n\r\n,e,\r\nf,g,h,i\r\nj\r\nk,l\r\n'
    const { examples, skipped, columns } = parseRecords(text, 'd.csv')
    expect(columns).toEqual(['input', 'output', 'note'])
    expect(examples).toEqual([
      { input: 'a, "b"\r\nc', output: 'd' },
      { input: 'k', output: 'l' },
    ])
    expect(skipped.map(({ line }) => line)).toEqual([5, 6, 7])
    expect(skipped[1]?.reason).toMatch(/4 cells/)
    expect(skipped[2]?.reason).toBe('no "output"')
  })
  test('semicolons, tabs, labels, and no extension', () => {
    expect(parseRecords('text;labels\na;b', 'd.csv').examples).toEqual([{ input: 'a', output: 'b' }])
    expect(parseRecords('input\toutput\na "b\tc\n"d" e\tf', 'd.tsv').examples).toEqual([
      { input: 'a "b', output: 'c' },
      { input: '"d" e', output: 'f' },
    ])
    expect(parseRecords('input\toutput\n"a\nb"\tc', 'data').examples).toEqual([{ input: 'a\nb', output: 'c' }])
    expect(parseRecords('input,output\na,c', 'data.txt').examples).toHaveLength(1)
  })
  test('errors', () => {
    expect(error('a,b\n1,2', 'd.csv')).toMatchObject({
      columns: ['a', 'b'],
      message: expect.stringMatching(/"a", "b"/) as string,
    })
    expect(error('input,output\na,b\n"c,d\ne,f', 'd.csv').line).toBe(3)
    expect(error('input,output\n', 'd.csv').message).toMatch(/no records/)
    expect(error('PK\0\0', 'd.csv').message).toMatch(/not a text file/)
    expect(error('x', 'd.parquet').message).toMatch(/\.parquet.*\.jsonl/)
  })
})

describe('properties', () => {
  const word = fc
    .string({ minLength: 1, unit: fc.constantFrom('a', 'é', '😀', '"', ',', '\n', ';', '\t', '{', ']', '\\', ' ') })
    .filter((s) => s.trim() !== '')
  const rows = fc.array(fc.record({ input: word, output: word }), { minLength: 1, maxLength: 20 })
  test('what is written comes back, with rows on the lines they were written on', () => {
    fc.assert(
      fc.property(rows, (records) => {
        expect(parseRecords(JSON.stringify(records, null, 1), 'r.json').examples).toEqual(records)
        expect(parseRecords(JSON.stringify(records), 'r').examples).toEqual(records)
        expect(parseRecords(records.map((r) => JSON.stringify(r)).join('\n'), 'r.jsonl').examples).toEqual(records)
        expect(parseRecords(Papa.unparse(records, { newline: '\r\n', quotes: true }), 'r.csv').examples).toEqual(records)
        expect(parseRecords(Papa.unparse(records, { delimiter: '\t', quotes: true }), 'r.tsv').examples).toEqual(records)
      }),
    )
  })
  test('any text: records or a RecordsError, never anything else', () => {
    const pieces = fc.array(
      fc.constantFrom(
        '[',
        ']',
        '{',
        '}',
        '"',
        ',',
        ':',
        '\n',
        '\r\n',
        '\t',
        '\\',
        'input',
        'output',
        '"input":"a"',
        '"output":"b"',
        'null',
        '1',
      ),
    )
    const hostile = fc.oneof(
      fc.string({ unit: 'binary' }),
      pieces.map((p) => p.join('')),
      fc.json(),
    )
    fc.assert(
      fc.property(hostile, fc.constantFrom('a.json', 'a.jsonl', 'a.csv', 'a.tsv', 'a', 'a.exe'), (text, name) => {
        try {
          const { examples, skipped } = parseRecords(text, name)
          for (const { input, output } of examples) expect(input.trim() !== '' && output.trim() !== '').toBe(true)
          for (const { line } of skipped) expect(line).toBeGreaterThan(0)
        } catch (caught) {
          expect(caught).toBeInstanceOf(RecordsError)
        }
      }),
      { numRuns: 3000 },
    )
  })
  test('deep nesting is an entry in the list, not a crash', () => {
    const deep = '{"input":' + '['.repeat(100_000) + ']'.repeat(100_000) + '}'
    expect(parseRecords(`[${deep},{"input":"a","output":"b"}]`, 'd.json').examples).toHaveLength(1)
  })
  test('100,000 rows, none lost; anything quadratic would outlast the test', () => {
    const records = Array.from({ length: 100_000 }, (_, i) => ({
      input: `some text number ${i}, of a usual length for a row`,
      output: `label ${i % 7}`,
    }))
    for (const [name, text] of [
      ['r.json', JSON.stringify(records)],
      ['r.jsonl', records.map((r) => JSON.stringify(r)).join('\n')],
      ['r.csv', Papa.unparse(records)],
    ] as const) {
      expect(parseRecords(text, name).examples).toHaveLength(100_000)
    }
  })
})
