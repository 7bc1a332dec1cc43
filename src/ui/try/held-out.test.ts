import { describe, expect, it } from 'vitest'
import { heldOutRows } from './held-out'

const prediction = (input: string, predicted: string, exact = false, task: string | null = null) => ({
  input,
  expected: 'x',
  predicted,
  exact,
  task,
})

describe('held-out rows', () => {
  it('stand side by side, also in another order', () => {
    const tuned = [prediction('a', 'x', true), prediction('b', 'y')]
    const inOrder = heldOutRows([prediction('a', '1'), prediction('b', '2')], tuned)
    expect(inOrder.map((row) => [row.untuned, row.tuned, row.untunedRight, row.tunedRight])).toEqual([
      ['1', 'x', false, true],
      ['2', 'y', false, false],
    ])
    expect(heldOutRows([prediction('b', '2'), prediction('a', '1')], tuned)).toEqual(inOrder)
  })

  it('keep double rows apart when the order is the same', () => {
    const rows = heldOutRows([prediction('a', '1'), prediction('a', '2')], [prediction('a', 'x'), prediction('a', 'y')])
    expect(rows.map((row) => row.untuned)).toEqual(['1', '2'])
  })

  it('of several tasks are told apart by them', () => {
    const [a, b] = [prediction('i', '1', false, 'a'), prediction('i', '2', false, 'b')]
    const rows = heldOutRows([b, a], [a, b])
    expect(rows.map((row) => [row.task, row.untuned])).toEqual([
      ['a', '1'],
      ['b', '2'],
    ])
  })

  it('do without a baseline', () => {
    expect(heldOutRows(null, [prediction('a', 'x')])[0]).toMatchObject({ untuned: null, untunedRight: null })
  })
})
