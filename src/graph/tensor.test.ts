import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GraphError, type DType, type Tensor } from './ir'
import { float16ToFloat32, float32ToFloat16, fromFloat32, fromIntegers, toFloat32, toIntegers } from './tensor'

const tensor = (dtype: DType, dims: number[], bytes: ArrayLike<number>): Tensor => ({
  dtype,
  dims,
  bytes: Uint8Array.from(bytes),
})

describe('float16', () => {
  it('keeps every non-NaN binary16 value through a round trip', () => {
    for (let bits = 0; bits < 65536; bits++) {
      const value = float16ToFloat32(bits)
      if (!Number.isNaN(value) && float32ToFloat16(value) !== bits) throw new Error(`bits ${bits} -> ${value}`)
    }
  })

  it('rounds to the nearest value, ties to even', () => {
    fc.assert(
      fc.property(fc.float({ min: Math.fround(-70000), max: Math.fround(70000), noNaN: true }), (value) => {
        const bits = float32ToFloat16(value)
        const got = float16ToFloat32(bits)
        if (Math.abs(value) >= 65520) return Math.abs(got) === Infinity
        const error = Math.abs(got - value)
        for (const other of [bits - 1, bits + 1].map((b) => float16ToFloat32(b & 0xffff))) {
          if (Number.isNaN(other) || !Number.isFinite(other)) continue
          if (Math.abs(other - value) < error) return false
          if (Math.abs(other - value) === error && got !== other && bits % 2 === 1) return false
        }
        return true
      }),
      { numRuns: 5000 },
    )
  })

  it('knows landmarks', () => {
    expect([1, -2, 65504, 65520, 2 ** -24, 2 ** -25, 2 ** -14, NaN, -0].map(float32ToFloat16)).toEqual([
      0x3c00, 0xc000, 0x7bff, 0x7c00, 1, 0, 0x400, 0x7e00, 0x8000,
    ])
  })
})

describe('toFloat32', () => {
  it('is a view for aligned float32 and a copy for unaligned', () => {
    const data = Float32Array.of(1.5, -2, 3e38)
    const viewed = toFloat32(fromFloat32([3], data))
    expect(viewed.buffer).toBe(data.buffer)
    const shifted = new Uint8Array(13)
    shifted.set(new Uint8Array(data.buffer), 1)
    expect(toFloat32({ dtype: 'float32', dims: [3], bytes: shifted.subarray(1) })).toEqual(data)
  })

  it('decodes every dtype', () => {
    expect([...toFloat32(tensor('float16', [2], [0x00, 0x3c, 0x00, 0xc0]))]).toEqual([1, -2])
    expect([...toFloat32(tensor('bfloat16', [2], [0x80, 0x3f, 0x20, 0xc0]))]).toEqual([1, -2.5])
    expect([...toFloat32({ dtype: 'float64', dims: [1], bytes: new Uint8Array(Float64Array.of(0.1).buffer) })]).toEqual([
      Math.fround(0.1),
    ])
    expect([...toFloat32(fromIntegers('int64', [2], [-5, 7]))]).toEqual([-5, 7])
    expect([...toFloat32(tensor('int8', [2], [255, 127]))]).toEqual([-1, 127])
    expect([...toFloat32(tensor('uint8', [2], [255, 127]))]).toEqual([255, 127])
    expect([...toFloat32(tensor('bool', [2], [0, 3]))]).toEqual([0, 1])
    expect([...toFloat32(tensor('int4', [3], [0xf1, 0x08]))]).toEqual([1, -1, -8])
    expect([...toFloat32(tensor('uint4', [3], [0xf1, 0x08]))]).toEqual([1, 15, 8])
    expect(toFloat32(tensor('float32', [0, 4], []))).toHaveLength(0)
  })

  it('refuses strings and byte lengths that do not fit, naming both', () => {
    expect(() => toFloat32(tensor('string', [1], []))).toThrow(GraphError)
    expect(() => toFloat32(tensor('float32', [2, 2], [0, 0, 0]))).toThrow('float32[2, 2] takes 16 bytes, but its data has 3')
  })
})

describe('integers', () => {
  it('round trips and clamps 64-bit values beyond 2^53', () => {
    expect(toIntegers(fromIntegers('int64', [3], [-1, 0, 2 ** 40]))).toEqual([-1, 0, 2 ** 40])
    expect(toIntegers(tensor('int64', [1], [255, 255, 255, 255, 255, 255, 255, 127]))).toEqual([Number.MAX_SAFE_INTEGER])
    expect(toIntegers(tensor('int64', [1], [0, 0, 0, 0, 0, 0, 0, 128]))).toEqual([-Number.MAX_SAFE_INTEGER])
    for (const dtype of ['int32', 'uint32', 'int16', 'uint16', 'int8', 'uint8', 'bool'] as const) {
      expect(toIntegers(fromIntegers(dtype, [2], [0, 1]))).toEqual([0, 1])
    }
    expect(toIntegers(fromIntegers('uint32', [1], [2 ** 32 - 1]))).toEqual([2 ** 32 - 1])
  })

  it('refuses floats, out-of-range numbers and wrong counts', () => {
    expect(() => toIntegers(fromFloat32([1], Float32Array.of(1)))).toThrow(GraphError)
    expect(() => fromIntegers('int8', [1], [200])).toThrow('element 0 is 200')
    expect(() => fromIntegers('int32', [2], [1])).toThrow(GraphError)
    expect(() => fromFloat32([2], Float32Array.of(1))).toThrow(GraphError)
  })
})
