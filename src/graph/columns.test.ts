/** Columns of matrices, in memory and not: any part of them is what picking elements one by one gives. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CountingSource } from '../../test/support/sliced-source'
import { columnsOf } from './columns'
import type { Tensor } from './ir'
import { byteLength, tensorOver } from './tensor'

const SIZES = { uint8: 1, float16: 2, float32: 4 } as const

test('any columns, and any part of them', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...(['uint8', 'float16', 'float32'] as const)),
      fc.tuple(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1, max: 9 })),
      fc.boolean(),
      fc.array(fc.nat(), { minLength: 4, maxLength: 4 }),
      (dtype, [rows, columns], stored, [a = 0, b = 0, c = 0, d = 0]) => {
        const size = SIZES[dtype]
        const bytes = Uint8Array.from({ length: rows * columns * size }, (_, i) => i * 37 + 5)
        const around = Uint8Array.of(1, 2, ...bytes, 3)
        const slice = { source: new CountingSource(around), offset: 2, length: bytes.length }
        const dims = [rows, columns]
        const whole: Tensor = stored ? tensorOver(dtype, dims, slice, 0) : { dtype, dims, bytes }
        const first = a % columns
        const count = 1 + (b % (columns - first))
        const part = columnsOf(whole, first, count)
        const expected: number[] = []
        for (let r = 0; r < rows; r++) {
          const from = (r * columns + first) * size
          expected.push(...bytes.slice(from, from + count * size))
        }
        expect([part.dtype, part.dims, byteLength(part)]).toEqual([dtype, [rows, count], expected.length])
        expect(slice.source.read_bytes).toBe(0)
        expect([...part.bytes]).toEqual(expected)
        const from = c % (expected.length + 1)
        const length = d % (expected.length - from + 1)
        expect([...(part.stored?.source.read(from, length) ?? [])]).toEqual(expected.slice(from, from + length))
        expect(() => part.stored?.source.read(from, expected.length - from + 1)).toThrow(RangeError)
      },
    ),
  )
})

test('what has no such columns is refused', () => {
  const of = (dtype: Tensor['dtype'], ...dims: number[]): Tensor => ({ dtype, dims, bytes: new Uint8Array(12) })
  expect(() => columnsOf(of('uint8', 2, 3, 2), 0, 1)).toThrow('no columns can be taken of uint8[2, 3, 2]')
  expect(() => columnsOf(of('uint4', 4, 6), 0, 1)).toThrow('no columns can be taken of uint4[4, 6]')
  expect(() => columnsOf(of('uint8', 3, 4), 2, 3)).toThrow(RangeError)
  expect(() => columnsOf(of('uint8', 3, 4), 0, 0)).toThrow(RangeError)
})
