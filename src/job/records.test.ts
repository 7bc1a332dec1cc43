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
      '\uFEFF[\r\n {"input": "a", "output": "b", "extra": {"x": [1]}},\r\n {"input": [5], "output": "b"},\r\n {"output": "b"}, 7,\r\n {"text": "t", "labels": ["x", "y"]},\r\n {"input": " ", "output": "b"},\r\n{"input":"a","output":"b"} ]\r\n'
    const { examples, skipped, duplicates, columns } = parseRecords(text, 'd.json')
    expect(examples).toEqual([
      { input: 'a', output: 'b' },
      { input: 't', output: 'x,y' },
      { input: 'a', output: 'b' },
    ])
    expect(skipped).toEqual([
      { line: 3, reason: '"input" is a list, not text' },
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
    expect(error('[{"question":"a","answer":"b"}]', 'f.json').found).toEqual({
      columns: ['question', 'answer'],
      sample: [['a', 'b']],
    })
    expect(error('[{"input":"a}]', 'f.json')).toMatchObject({
      line: 1,
      message: expect.stringMatching(/inside a "..." text/) as string,
    })
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
    expect(error('[{"question":"a","answer":"b"}]', 'f.json').message).toMatch(/"input" and "output".*found "question", "answer"/)
    const wrong = { input: 'question', output: 'reply' }
    expect(() => parseRecords('[{"question":"a","answer":"b"}]', 'f.json', { columns: wrong })).toThrow(
      /no columns "question", "reply"/,
    )
  })
  test('rows of different shapes: those that fit are taken, the others listed', () => {
    const { examples, skipped } = parseRecords('{"q":"a"}\n{"input":"a","output":"b"}\n{"text":"t","labels":["x"]}', 'f.jsonl')
    expect(examples).toHaveLength(2)
    expect(skipped).toEqual([{ line: 1, reason: 'no "input"' }])
  })
  test('numbers and true/false are taken as their text, counted; what would change in reading is not', () => {
    const text =
      '[{"input": 7, "output": true},\n{"input": "a", "output": 0.5},\n{"text": "t", "labels": [1, "x", false]},\n{"input": "a", "output": 12345678901234567890},\n{"input": "a", "output": 1e999},\n{"input":"b","output":"c"}]'
    const { examples, skipped, converted } = parseRecords(text, 'f.json')
    expect(examples).toEqual([
      { input: '7', output: 'true' },
      { input: 'a', output: '0.5' },
      { input: 't', output: '1,x,false' },
      { input: 'b', output: 'c' },
    ])
    expect(converted).toBe(3)
    expect(skipped.map(({ line }) => line)).toEqual([4, 5])
    expect(skipped[0]?.reason).toMatch(/"output" is a number too large.*quotes/)
  })
  test('labels join with a bare comma, under any column; nested and empty ones are refused', () => {
    const text = '{"t":"a","l":["x","y z"]}\n{"t":"a","l":[["x"]]}\n{"t":"a","l":[]}\n{"t":"a","l":"x"}'
    const { examples, skipped } = parseRecords(text, 'f.jsonl', { columns: { input: 't', output: 'l' } })
    expect(examples.map(({ output }) => output)).toEqual(['x,y z', 'x'])
    expect(skipped).toEqual([
      { line: 2, reason: '"l" holds something that is a list, not text' },
      { line: 3, reason: '"l" is empty' },
    ])
  })
  test('NUL characters', () => {
    const { skipped } = parseRecords('[{"input":"a\\u0000","output":"b"},{"input":"a","output":"b"}]', 'f.json')
    expect(skipped).toEqual([{ line: 1, reason: '"input" holds a NUL character, which no text has' }])
  })
})

describe('tasks', () => {
  const csv = 'input,output,task,set\na,b,t1,s1\nc,d,,s2\ne,f,t2,\n'
  const tasks = (task?: string | null) =>
    parseRecords(csv, 'd.csv', { columns: { input: 'input', output: 'output', ...(task === undefined ? {} : { task }) } })
  test('a column called task counts unless another, or none, is named', () => {
    expect(parseRecords(csv, 'd.csv').examples.map(({ task }) => task)).toEqual(['t1', undefined, 't2'])
    expect(tasks().examples.map(({ task }) => task)).toEqual(['t1', undefined, 't2'])
    expect(tasks(null).examples).toEqual([
      { input: 'a', output: 'b' },
      { input: 'c', output: 'd' },
      { input: 'e', output: 'f' },
    ])
  })
  test('once a column is named, every row needs its task', () => {
    const { examples, skipped } = tasks('set')
    expect(examples.map(({ task }) => task)).toEqual(['s1', 's2'])
    expect(skipped).toEqual([{ line: 4, reason: '"set" is empty' }])
    expect(() => tasks('sett')).toThrow(/no columns "input", "output", "sett"/)
    const [first] = parseRecords('[{"input":"a","output":"b","task":3}]', 'd.json').examples
    expect(first).toEqual({ input: 'a', output: 'b', task: '3' })
  })
  test('equal texts of different tasks are no duplicates', () => {
    expect(parseRecords('input,output,task\na,b,x\na,b,y\na,b,x', 'd.csv').duplicates).toEqual([{ line: 4, first_line: 2 }])
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
  test('line ends of every kind, in one file', () => {
    const { examples, skipped } = parseRecords('input,output\r\na,b\nc,d\re,f\r\n\n"g\r\nh",i\n,x', 'd.csv')
    expect(examples.map(({ input }) => input)).toEqual(['a', 'c', 'e', 'g\r\nh'])
    expect(skipped).toEqual([{ line: 8, reason: '"input" is empty' }])
  })
  test('stray quotes: the row is listed with all the lines it took', () => {
    const { examples, skipped } = parseRecords('input,output\n"a "b" c",d\n"e\nf,"g",h\ni,"5"" disk" \n', 'd.csv')
    expect(examples).toEqual([{ input: 'i', output: '5" disk' }])
    expect(skipped.map(({ line }) => line)).toEqual([2, 3])
    expect(skipped[1]?.reason).toMatch(/from line 3 to 4/)
  })
  test('the separator is the one the header has most of, outside quotes', () => {
    expect(parseRecords('"input";"output";"a, b, c, d"\nx;y;z', 'd.csv').examples).toEqual([{ input: 'x', output: 'y' }])
    expect(parseRecords('input,output,a;b\nx,y,z', 'd.csv').examples).toHaveLength(1)
  })
  test('errors', () => {
    expect(error('a,b\n1,2', 'd.csv')).toMatchObject({
      found: { columns: ['a', 'b'], sample: [['1', '2']] },
      message: expect.stringMatching(/"a", "b"/) as string,
    })
    expect(error('input,output\na,b\n"c,d\ne,f', 'd.csv').line).toBe(3)
    expect(error('input,output\n', 'd.csv').message).toMatch(/no records/)
    expect(error('PK\0\0', 'd.csv').message).toMatch(/not a text file/)
    expect(error('one,one\n', 'd.csv').found).toEqual({ columns: ['one'], sample: [] })
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
  test('a JSON table: any keys and values, mapped by any two of them, lose no row', () => {
    const json = fc.array(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 4 }), { maxLength: 8 })
    const columns = fc.record({ input: fc.string(), output: fc.string(), task: fc.option(fc.string()) })
    fc.assert(
      fc.property(json, columns, (values, mapping) => {
        const { examples, skipped } = recordsFromObjects(values, { columns: mapping })
        expect(examples.length + skipped.length).toBe(values.length)
      }),
    )
  })
  test('deep nesting is an entry in the list, not a crash', () => {
    const deep = '{"input":' + '['.repeat(100_000) + ']'.repeat(100_000) + '}'
    expect(parseRecords(`[${deep},{"input":"a","output":"b"}]`, 'd.json').examples).toHaveLength(1)
  })
  test('100,000 rows, none lost; anything quadratic would outlast the test', () => {
    const seen: number[] = []
    const onProgress = (read: number, total: number) => seen.push(read / total)
    const records = Array.from({ length: 100_000 }, (_, i) => ({
      input: `some text number ${i}, of a usual length for a row`,
      output: `label ${i % 7}`,
    }))
    for (const [name, text] of [
      ['r.json', JSON.stringify(records)],
      ['r.jsonl', records.map((r) => JSON.stringify(r)).join('\n')],
      ['r.csv', Papa.unparse(records)],
    ] as const) {
      expect(parseRecords(text, name, { onProgress }).examples).toHaveLength(100_000)
      expect(seen).toHaveLength(50)
      expect(seen.toSorted((a, b) => a - b)).toEqual(seen)
      expect(seen.splice(0).at(-1)).toBeGreaterThan(0.99)
    }
  })
})

describe('hostile files', () => {
  const many = (n: number, text: string) => text.repeat(n)
  test('a quote that never closes, over 20 MB', () => {
    expect(error(`input,output\na,b\n"c,d\n${many(2_000_000, 'text, more\n')}`, 'd.csv').line).toBe(3)
  })
  test('a million columns, in the header or in a row', () => {
    expect(error(many(1_000_000, 'a,'), 'd.csv').message).toMatch(/line 1: 1000001 columns; at most 1000/)
    const { skipped } = parseRecords(`input,output\na,b\n${many(1_000_000, 'a,')}\n`, 'd.csv')
    expect(skipped).toEqual([{ line: 3, reason: expect.stringMatching(/1000001 cells where the header has 2/) as string }])
    // Empty cells at a row's end are what spreadsheets leave behind.
    expect(parseRecords(`input,output\na,b${many(500, ',')}\n`, 'd.csv').examples).toHaveLength(1)
  })
  test('more rows than are read', () => {
    const text = `input,output\n${many(1_000_001, 'a,b\n')}`
    expect(error(text, 'd.csv')).toMatchObject({
      line: 1_000_002,
      message: expect.stringMatching(/more than 1,000,000 rows/) as string,
    })
    expect(error(`[${many(1_000_001, '1,')}1]`, 'd.json').message).toMatch(/more than 1,000,000 rows/)
  })
  test('nothing but quotes, separators, brackets, blanks or line ends', () => {
    for (const text of ['"', '" ', '""', ',', ';', '\t', '[', '{', '[{', '\\', ' ', '\n', '\r', '\uFEFF', '"a"b', ' "'])
      for (const name of ['d.csv', 'd.tsv', 'd.json', 'd.jsonl', 'd'])
        expect(error(many(300_000, text), name)).toBeInstanceOf(RecordsError)
  })
  test('one row with a long text and many quotes', () => {
    const long = many(200_000, 'he said ""yes"" ')
    expect(parseRecords(`input,output\n"${long}",b`, 'd.csv').examples[0]?.input).toHaveLength(200_000 * 14)
  })
})
