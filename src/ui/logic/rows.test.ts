import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseRecords, RecordsError } from '../../job/records'
import { countSteps } from '../../tuning/schedule'
import { splitExamples } from '../../tuning/split'
import { guessColumns, namedColumns } from './columns'
import { evenlySpaced } from './evenly-spaced'
import { countTasks, overlapOf } from './row-facts'
import { heldOutOf, totalSteps } from './step-count'

describe('evenlySpaced', () => {
  it('takes as many as asked, in order, each once, ends included', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 5000 }), fc.integer({ min: 2, max: 300 }), (length, most) => {
        const list = Array.from({ length }, (_, i) => i)
        const some = evenlySpaced(list, most)
        expect(some).toHaveLength(Math.min(length, most))
        expect(new Set(some).size).toBe(some.length)
        expect([...some].sort((a, b) => a - b)).toEqual(some)
        if (length > 0) expect([some[0], some.at(-1)]).toEqual([0, length - 1])
      }),
    )
    expect(evenlySpaced([1, 2, 3], 1)).toEqual([1])
    expect(evenlySpaced([1, 2, 3], 0)).toEqual([])
  })
})

describe('step counts', () => {
  it("are the tuner's own", () => {
    const job = fc.record({
      batch_size: fc.integer({ min: 1, max: 40 }),
      accumulate_steps: fc.integer({ min: 1, max: 9 }),
      num_epochs: fc.integer({ min: 1, max: 5 }),
      validation: fc.double({ min: 0, max: 0.99, noNaN: true }),
    })
    fc.assert(
      fc.property(job, fc.integer({ min: 1, max: 300 }), (counted, rows) => {
        const examples = Array.from({ length: rows }, (_, i) => ({ input: String(i), output: 'x' }))
        const { train, validation } = splitExamples(examples, counted.validation, 73)
        expect(heldOutOf(rows, counted.validation)).toBe(validation.length)
        expect(totalSteps(counted, rows, false)).toBe(countSteps(counted, train.length).total_steps)
        expect(totalSteps(counted, rows, true)).toBe(countSteps(counted, rows).total_steps)
      }),
    )
  })
})

describe('guessColumns', () => {
  it('knows the usual names', () => {
    expect(guessColumns(['id', 'sentence', 'label'])).toEqual({ input: 'sentence', output: 'label', task: null })
    expect(guessColumns(['Answer', 'Question'])).toEqual({ input: 'Question', output: 'Answer', task: null })
    expect(guessColumns(['prompt', 'completion', 'task_id'])).toEqual({ input: 'prompt', output: 'completion', task: 'task_id' })
    expect(guessColumns(['input', 'output', 'task'])).toEqual({ input: 'input', output: 'output', task: 'task' })
  })
  it('always gives two different columns where there are two', () => {
    const names = fc.uniqueArray(fc.oneof(fc.constantFrom('label', 'target', 'text', 'input', 'task'), fc.string()), {
      minLength: 2,
    })
    fc.assert(
      fc.property(names, (columns) => {
        const { input, output, task } = guessColumns(columns)
        expect(input).not.toBe(output)
        expect(columns).toContain(input)
        expect(columns).toContain(output)
        if (task !== null) expect(columns.filter((column) => column !== input && column !== output)).toContain(task)
      }),
    )
  })
})

describe('namedColumns', () => {
  it('says what parseRecords does', () => {
    const names = fc.uniqueArray(fc.constantFrom('input', 'output', 'text', 'labels', 'task', 'x'), { minLength: 1 })
    fc.assert(
      fc.property(names, (columns) => {
        const csv = `${columns.join(',')}\n${columns.map((column) => `the ${column}`).join(',')}`
        const named = namedColumns(columns)
        if (named === null) {
          expect(() => parseRecords(csv, 'd.csv')).toThrow(RecordsError)
          return
        }
        const expected = { input: `the ${named.input}`, output: `the ${named.output}` }
        expect(parseRecords(csv, 'd.csv').examples).toEqual([named.task === null ? expected : { ...expected, task: 'the task' }])
      }),
    )
  })
})

describe('row facts', () => {
  const row = (input: string, task?: string) => ({ input, output: 'o', ...(task === undefined ? {} : { task }) })
  it('tasks and those without, once there is any', () => {
    expect([...countTasks([row('a'), row('b')])]).toEqual([])
    expect([...countTasks([row('a', 't'), row('b'), row('c', 'u'), row('d', 't')])]).toEqual([
      ['t', 2],
      ['', 1],
      ['u', 1],
    ])
    expect([...countTasks([row('a', 't')])]).toEqual([['t', 1]])
  })
  it('overlap goes by the input', () => {
    expect(overlapOf([row('a'), row('b')], [row('b', 't'), row('b'), row('c')])).toBe(2)
  })
})
