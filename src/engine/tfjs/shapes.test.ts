import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { broadcastDims, mergeBroadcast, mergePermutation, mergeReduction } from './shapes'

const dims = fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 6 })

/** Offsets of the elements of `shape` transposed by `perm`, in output order. */
function transposed(shape: readonly number[], perm: readonly number[]): number[] {
  const strides = shape.map((_, i) => shape.slice(i + 1).reduce((a, b) => a * b, 1))
  return perm.reduce<number[]>(
    (offsets, axis) =>
      offsets.flatMap((offset) => Array.from({ length: shape[axis] ?? 1 }, (_, i) => offset + i * (strides[axis] ?? 1))),
    [0],
  )
}

describe('merged shapes', () => {
  it('transpose as the full ones', () => {
    fc.assert(
      fc.property(
        dims.chain((shape) =>
          fc.tuple(
            fc.constant(shape),
            fc.shuffledSubarray([...shape.keys()], { minLength: shape.length, maxLength: shape.length }),
          ),
        ),
        ([shape, perm]) => {
          const merged = mergePermutation(shape, perm)
          expect(transposed(merged.dims, merged.perm)).toEqual(transposed(shape, perm))
        },
      ),
    )
  })

  it('of a broadcast keep the number of elements and broadcast to it', () => {
    fc.assert(
      fc.property(
        dims.chain((shape) =>
          fc.tuple(fc.constant(shape), fc.array(fc.boolean(), { minLength: shape.length, maxLength: shape.length })),
        ),
        ([shape, repeated]) => {
          const smaller = shape.map((dim, i) => (repeated[i] ? 1 : dim))
          const count = (s: readonly number[]) => s.reduce((a, b) => a * b, 1)
          const [a = [], b = []] = mergeBroadcast([smaller, shape])
          expect([count(a), count(b)]).toEqual([count(smaller), count(shape)])
          expect(broadcastDims([a, b])).toEqual(b)
        },
      ),
    )
  })

  it('reduce the same dimensions', () => {
    expect(mergeReduction([2, 1, 3, 4, 5], new Set([2, 3]))).toEqual({ dims: [2, 12, 5], axes: [1] })
    expect(mergeReduction([2, 3], new Set([0, 1]))).toEqual({ dims: [6], axes: [0] })
    expect(mergeReduction([1, 3], new Set([0]))).toEqual({ dims: [3], axes: [] })
  })

  it('that do not fit each other are refused', () => {
    expect(() => broadcastDims([[2, 3], [4]])).toThrow(/cannot broadcast \[2, 3\] and \[4\]/)
  })
})
