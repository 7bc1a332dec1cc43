/** Which tasks there are and which a row is of; what does not fit the job is said before anything is trained. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { charTokenizer } from '../../test/support/char-tokenizer'
import { jobOf } from '../../test/support/tuning'
import type { Example } from '../job/records'
import { TuningError } from './errors'
import { prepare } from './prepare'
import { tasksOf } from './tasks'

const row = (task?: string): Example => ({ input: 'i', output: 'o', ...(task !== undefined && { task }) })
const rows = (...tasks: (string | undefined)[]): Example[] => tasks.map((task) => row(task))
const multi = (num_tasks: number) => jobOf({ tuning_type: 'MULTITASK_PROMPT_TUNING' }, { num_tasks })

describe('tasks', () => {
  test('one prompt for one task: its name, if all rows that have one agree', () => {
    for (const job of [jobOf(), multi(1)]) {
      expect(tasksOf(job, rows(undefined, undefined), []).names).toEqual(['task'])
      expect(tasksOf(job, rows('mood', undefined, 'mood'), []).names).toEqual(['mood'])
      const mixed = tasksOf(job, rows('b', 'a'), rows('c'))
      expect(mixed.names).toEqual(['task'])
      for (const task of ['a', 'b', 'c', undefined]) expect(mixed.indexOf(row(task))).toBe(0)
    }
  })

  test('several: alphabetical, whatever the order of the rows', () => {
    const names = fc.uniqueArray(fc.string(), { minLength: 2, maxLength: 6 })
    fc.assert(
      fc.property(names, fc.infiniteStream(fc.nat()), (unique, picks) => {
        const more = unique.map((_, i) => unique[(picks.next().value ?? 0) % unique.length] ?? unique[i])
        const tasks = tasksOf(multi(unique.length), rows(...more, ...unique), rows(...more))
        expect(tasks.names).toEqual([...unique].sort())
        for (const name of unique) expect(tasks.names[tasks.indexOf(row(name))]).toBe(name)
      }),
    )
  })

  test.each<[string, () => unknown, RegExp, RegExp]>([
    [
      'rows without a task',
      () => tasksOf(multi(2), rows('a', 'b', undefined), rows(undefined)),
      /2 examples do not say which/,
      /"task"/,
    ],
    ['fewer tasks', () => tasksOf(multi(3), rows('a', 'b'), []), /num_tasks is 3.*2 tasks: "a", "b"\.$/, /num_tasks to 2/],
    [
      'far more tasks',
      () => tasksOf(multi(2), rows(...Array.from({ length: 20 }, (_, i) => `${i}`.padStart(2, '0'))), []),
      /of 20 tasks: "00", .*"07", \.\.\.\.$/,
      /num_tasks to 20/,
    ],
    [
      'a task that is only measured',
      () => tasksOf(multi(2), rows('a', 'b'), rows('a', 'c')),
      /also of "c", which no training/,
      /training examples of that task/,
    ],
    ['a name without end', () => tasksOf(multi(2), rows('x'.repeat(1e6)), []), /^.{1,200}$/, /num_tasks to 1/],
  ])('%s', (_, make, message, hint) => {
    const error = (() => {
      try {
        make()
      } catch (caught) {
        return caught
      }
      return null
    })()
    if (!(error instanceof TuningError)) throw new Error(`expected a TuningError, got ${String(error)}`)
    expect(error.message).toMatch(message)
    expect(error.hint).toMatch(hint)
  })
})

describe('prepared', () => {
  const model = { kind: 'causal-lm', hidden_size: 4, max_positions: null } as const
  const examples = Array.from({ length: 12 }, (_, i) => ({ input: `${i}`, output: 'o', task: i % 3 === 0 ? 'b' : 'a' }))
  const notice = /examples are of 2 tasks and share one prompt/

  test('every sequence carries the index of its task, held-out ones too', () => {
    const { train, train_examples, held, tasks, notices } = prepare(multi(2), model, charTokenizer(), examples, null)
    expect(tasks.names).toEqual(['a', 'b'])
    train.forEach(({ task }, i) => expect(tasks.names[task]).toBe(train_examples[i]?.task))
    held?.sequences.forEach(({ task }, i) => expect(tasks.names[task]).toBe(held.examples[i]?.task))
    expect(new Set(train.map(({ task }) => task)).size).toBe(2)
    expect(notices.some((text) => notice.test(text))).toBe(false)
  })

  test('tasks that share one prompt are pointed out', () => {
    const noticesOf = (rows: readonly Example[]) => prepare(jobOf(), model, charTokenizer(), rows, []).notices
    expect(noticesOf(examples).some((text) => notice.test(text))).toBe(true)
    expect(noticesOf(examples.filter(({ task }) => task === 'a')).some((text) => notice.test(text))).toBe(false)
  })
})
