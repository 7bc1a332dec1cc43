import { describe, expect, it } from 'vitest'
import { secondsLeft, speed, typicalStep } from './time-left'

describe('time left', () => {
  it('is not moved by one slow step', () => {
    expect(typicalStep([100, 100, 9000, 100])).toBe(100)
    expect(typicalStep([1, 3])).toBe(2)
    expect(typicalStep([])).toBeNull()
    expect(typicalStep([NaN, 5])).toBe(5)
  })

  it('follows the latest steps', () => {
    const times = [...Array<number>(100).fill(10), ...Array<number>(40).fill(50)]
    expect(secondsLeft(times, 140, 240)).toBeCloseTo(5)
  })

  it('waits for three steps and never goes below zero', () => {
    expect(secondsLeft([10, 10], 2, 100)).toBeNull()
    expect(secondsLeft([10, 10, 10], 12, 10)).toBe(0)
  })

  it('measures speed between the first and the last sample', () => {
    expect(speed([])).toBeNull()
    expect(
      speed([
        { at: 0, loaded: 0 },
        { at: 100, loaded: 5 },
      ]),
    ).toBeNull()
    expect(
      speed([
        { at: 0, loaded: 0 },
        { at: 500, loaded: 1000 },
        { at: 1000, loaded: 4000 },
      ]),
    ).toBe(4000)
  })
})
