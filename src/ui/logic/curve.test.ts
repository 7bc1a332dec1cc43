import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { align, decimate, smooth, sparkline } from './curve'

const curves = fc
  .array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { maxLength: 400 })
  .map((y) => ({ x: y.map((_, i) => i), y }))

describe('decimate', () => {
  it('keeps the ends, the extremes, the order and the limit', () => {
    fc.assert(
      fc.property(curves, fc.integer({ min: 4, max: 60 }), (curve, limit) => {
        const small = decimate(curve, limit)
        expect(small.x.length).toBe(small.y.length)
        expect(small.x.length).toBeLessThanOrEqual(Math.max(4, limit))
        expect(small.x[0]).toBe(curve.x[0])
        expect(small.x.at(-1)).toBe(curve.x.at(-1))
        expect(Math.max(...small.y)).toBe(Math.max(...curve.y))
        expect(Math.min(...small.y)).toBe(Math.min(...curve.y))
        for (let i = 1; i < small.x.length; i++) expect(small.x[i]).toBeGreaterThan(small.x[i - 1] ?? Infinity)
      }),
    )
  })
})

describe('smooth', () => {
  it('starts at the first value and leaves a constant alone', () => {
    expect(smooth([4, 4, 4]).map((x) => Number(x.toFixed(9)))).toEqual([4, 4, 4])
    expect(smooth([])).toEqual([])
    const [first, second] = smooth([10, 0], 0.5)
    expect(first).toBeCloseTo(10)
    expect(second).toBeCloseTo(2.5 / 0.75)
  })
})

describe('sparkline', () => {
  it('fills the box, high values on top', () => {
    expect(sparkline({ x: [0, 1, 2], y: [2, 1, 0] }, 100, 20)).toBe('M0.0 0.0L50.0 10.0L100.0 20.0')
  })
  it('draws one point and no point', () => {
    expect(sparkline({ x: [5], y: [1] }, 100, 20)).toBe('M0 10.0L100 10.0')
    expect(sparkline({ x: [0, 1], y: [NaN, Infinity] }, 100, 20)).toBe('')
  })
})

describe('align', () => {
  it('joins different x axes with gaps', () => {
    expect(
      align([
        { x: [1, 3], y: [10, 30] },
        { x: [2, 3], y: [5, 6] },
      ]),
    ).toEqual({
      x: [1, 2, 3],
      ys: [
        [10, null, 30],
        [null, 5, 6],
      ],
    })
  })
})
