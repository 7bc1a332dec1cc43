/** Host ops that combine elements: reductions, running sums, matrix products. One function per ONNX op. */
import { elementCount, GraphError } from '../ir'
import {
  axisOf,
  broadcastDims,
  broadcastStrides,
  forEachOffset,
  fromNumbers,
  scalar,
  withDims,
  zeros,
  type NdArray,
} from './array'
import { intAttribute } from './attributes'
import { axesOf, input, type HostCall, type HostOp } from './op'
import { transpose } from './movement'

/** Axes of a ReduceX, an input since `since`: without any all of them, or none with noop_with_empty_axes. */
export function reduceAxes(call: HostCall, since: number, rank: number): number[] {
  const axes = axesOf(call, since, 1, rank)
  if (axes?.length) return axes
  return intAttribute(call.node, 'noop_with_empty_axes', 0) === 1 ? [] : Array.from({ length: rank }, (_, axis) => axis)
}

const reduction =
  (
    since: number,
    initial: number,
    f: (a: number, b: number) => number,
    finish: (total: number, count: number) => number,
  ): HostOp =>
  (call) => {
    const x = input(call, 0)
    const axes = reduceAxes(call, since, x.dims.length)
    const kept = x.dims.map((dim, axis) => (axes.includes(axis) ? 1 : dim))
    const count = elementCount(axes.map((axis) => x.dims[axis] ?? 1))
    // Totals in float64: a long sum should not depend on its order.
    const totals = new Float64Array(elementCount(kept)).fill(initial)
    forEachOffset(x.dims, broadcastStrides(kept, x.dims), (i, offset) => {
      totals[offset] = f(totals[offset] ?? NaN, x.data[i] ?? NaN)
    })
    const out = zeros(x.dtype, kept)
    totals.forEach((total, i) => (out.data[i] = finish(total, count)))
    return [
      intAttribute(call.node, 'keepdims', 1) === 1
        ? out
        : withDims(
            out,
            x.dims.filter((_, axis) => !axes.includes(axis)),
          ),
    ]
  }

const asIs = (total: number) => total
export const ReduceSum = reduction(13, 0, (a, b) => a + b, asIs)
export const ReduceProd = reduction(18, 1, (a, b) => a * b, asIs)
export const ReduceMax = reduction(18, -Infinity, Math.max, asIs)
export const ReduceMin = reduction(18, Infinity, Math.min, asIs)
export const ReduceMean = reduction(
  18,
  0,
  (a, b) => a + b,
  (total, count) => total / count,
)
export const ReduceL1 = reduction(18, 0, (a, b) => a + Math.abs(b), asIs)
export const ReduceL2 = reduction(18, 0, (a, b) => a + b * b, Math.sqrt)
export const ReduceSumSquare = reduction(18, 0, (a, b) => a + b * b, asIs)

/** Index of the first (or, where asked for, last) element that no other beats. */
const argument =
  (beats: (a: number, b: number) => boolean): HostOp =>
  (call) => {
    const x = input(call, 0)
    const axis = axisOf(intAttribute(call.node, 'axis', 0), x.dims.length)
    const takesLast = intAttribute(call.node, 'select_last_index', 0) === 1
    const size = x.dims[axis] ?? 0
    const inner = elementCount(x.dims.slice(axis + 1))
    const out = zeros(
      'int64',
      x.dims.map((dim, i) => (i === axis ? 1 : dim)),
    )
    for (let line = 0; line < out.data.length; line++) {
      const start = Math.floor(line / inner) * size * inner + (line % inner)
      const at = (k: number) => x.data[start + k * inner] ?? NaN
      let best = 0
      for (let k = 1; k < size; k++) if (beats(at(k), at(best)) || (takesLast && at(k) === at(best))) best = k
      out.data[line] = best
    }
    const dropped = x.dims.filter((_, i) => i !== axis)
    return [intAttribute(call.node, 'keepdims', 1) === 1 ? out : withDims(out, dropped)]
  }

export const ArgMax = argument((a, b) => a > b)
export const ArgMin = argument((a, b) => a < b)

export const CumSum: HostOp = (call) => {
  const x = input(call, 0)
  const axis = axisOf(scalar(input(call, 1)), x.dims.length)
  const exclusive = intAttribute(call.node, 'exclusive', 0) === 1
  const reverse = intAttribute(call.node, 'reverse', 0) === 1
  const size = x.dims[axis] ?? 0
  const inner = elementCount(x.dims.slice(axis + 1))
  const out = zeros(x.dtype, x.dims)
  for (let line = 0; line < x.data.length / Math.max(size, 1); line++) {
    const start = Math.floor(line / inner) * size * inner + (line % inner)
    let total = 0
    for (let k = 0; k < size; k++) {
      const i = start + (reverse ? size - 1 - k : k) * inner
      const value = x.data[i] ?? NaN
      out.data[i] = exclusive ? total : total + value
      total += value
    }
  }
  return [out]
}

export const MatMul: HostOp = (call) => [matmul(input(call, 0), input(call, 1))]

/** Tables of angles and the like are multiplied here, never weights: a second of work is a hostile graph. */
const MAX_PRODUCTS = 2 ** 30

/** numpy.matmul. A vector on the left is a row, on the right a column, and that axis is gone from the result. */
export function matmul(left: NdArray, right: NdArray): NdArray {
  const a = left.dims.length === 1 ? withDims(left, [1, ...left.dims]) : left
  const b = right.dims.length === 1 ? withDims(right, [...right.dims, 1]) : right
  const [m, k] = [a.dims.at(-2) ?? 0, a.dims.at(-1) ?? 0]
  const n = b.dims.at(-1) ?? 0
  if (b.dims.at(-2) !== k) throw new GraphError(`[${left.dims.join(', ')}] times [${right.dims.join(', ')}]`)
  const [aBatch, bBatch] = [a.dims.slice(0, -2), b.dims.slice(0, -2)]
  const batch = broadcastDims(aBatch, bBatch)
  const products = elementCount([...batch, m, k, n])
  if (!(products <= MAX_PRODUCTS))
    throw new GraphError(
      `[${left.dims.join(', ')}] times [${right.dims.join(', ')}] takes ${products} products, the limit is ${MAX_PRODUCTS}`,
    )
  const out = zeros(a.dtype, [...batch, m, n])
  const bStarts = new Array<number>(elementCount(batch))
  forEachOffset(batch, broadcastStrides(bBatch, batch), (i, offset) => (bStarts[i] = offset * k * n))
  const row = new Float64Array(n)
  forEachOffset(batch, broadcastStrides(aBatch, batch), (group, offset) => {
    const bStart = bStarts[group] ?? 0
    for (let i = 0; i < m; i++) {
      row.fill(0)
      for (let p = 0; p < k; p++) {
        const value = a.data[(offset * m + i) * k + p] ?? NaN
        for (let j = 0; j < n; j++) row[j] = (row[j] ?? 0) + value * (b.data[bStart + p * n + j] ?? NaN)
      }
      out.data.set(row, (group * m + i) * n)
    }
  })
  const dims = [...batch, ...(left.dims.length === 1 ? [] : [m]), ...(right.dims.length === 1 ? [] : [n])]
  return withDims(out, dims)
}

/** Over one axis since operator set 13; before, over everything from `axis` on. */
export const Softmax: HostOp = (call) => {
  const x = input(call, 0)
  const rank = x.dims.length
  const axis = axisOf(intAttribute(call.node, 'axis', call.opset >= 13 ? -1 : 1), rank)
  if (call.opset < 13 || axis === rank - 1) {
    return [softmaxRows(x, elementCount(x.dims.slice(call.opset >= 13 ? rank - 1 : axis)))]
  }
  const perm = Array.from({ length: rank }, (_, i) => (i === axis ? rank - 1 : i === rank - 1 ? axis : i))
  return [transpose(softmaxRows(transpose(x, perm), x.dims[axis] ?? 1), perm)]
}

function softmaxRows(x: NdArray, size: number): NdArray {
  const out = Float64Array.from(x.data)
  for (let start = 0; start < out.length; start += size) {
    const row = out.subarray(start, start + size)
    const most = row.reduce((a, b) => Math.max(a, b), -Infinity)
    let total = 0
    row.forEach((value, i) => (total += row[i] = Math.exp(value - most)))
    row.forEach((value, i) => (row[i] = value / total))
  }
  return fromNumbers(x.dtype, x.dims, out)
}
