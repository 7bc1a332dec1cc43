/** Products with stored weights on the cpu device: one row of the weight is expanded at a time. The readable reference for the WGSL kernel. */
import { expandRows } from '../../graph/packed'
import { toFloat32 } from '../../graph/tensor'
import { isHalfFormat, type StoredWeight } from './stored-weight'

type Numbers = Float32Array | Int32Array

/** Reads the values of a tensor of the weight. */
type Read = (tensor: StoredWeight['words']) => Numbers

/** x [M, inner] times the stored matrix [inner, outer], or with `transB` the transpose of [outer, inner]: [M, outer]. */
export function multiplyStoredOnCpu(x: Numbers, weight: StoredWeight, transB: boolean, read: Read): Float32Array {
  const { rows, columns } = weight.format
  const [inner, outer] = transB ? [columns, rows] : [rows, columns]
  const count = inner === 0 ? 0 : x.length / inner
  const sums = new Float64Array(count * outer)
  const row = new Float32Array(columns)
  const expand = rowReader(weight, read)
  for (let r = 0; r < rows; r++) {
    expand(r, row)
    for (let m = 0; m < count; m++) {
      if (transB) {
        let sum = 0
        for (let c = 0; c < columns; c++) sum += (x[m * inner + c] ?? NaN) * (row[c] ?? NaN)
        sums[m * outer + r] = sum
      } else {
        const factor = x[m * inner + r] ?? NaN
        const start = m * outer
        for (let c = 0; c < columns; c++) sums[start + c] = (sums[start + c] ?? NaN) + factor * (row[c] ?? NaN)
      }
    }
  }
  return Float32Array.from(sums)
}

function rowReader({ format, words, scales, zero_points }: StoredWeight, read: Read): (r: number, out: Float32Array) => void {
  const bytes = bytesOf(read(words))
  if (isHalfFormat(format)) {
    const { half, columns } = format
    return (r, out) => {
      const at = bytes.subarray(r * columns * 2, (r + 1) * columns * 2)
      out.set(toFloat32({ dtype: half, dims: [columns], bytes: at }))
    }
  }
  const zeros = zero_points && read(zero_points)
  const parts = {
    codes: bytes,
    scales: scales && Float32Array.from(read(scales)),
    zero_points: zeros instanceof Int32Array ? signedBytes(bytesOf(zeros), format.signed) : zeros,
  }
  return (r, out) => expandRows(format, parts, r, 1, out)
}

function bytesOf(values: Numbers): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
}

function signedBytes(bytes: Uint8Array, signed: boolean): Int8Array | Uint8Array {
  return signed ? new Int8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength) : bytes
}
