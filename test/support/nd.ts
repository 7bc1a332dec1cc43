/**
 * Plain float64 arrays with a shape, and the few loops the reference evaluator needs. Written to be read, not to be fast.
 */
import { elementCount } from '../../src/graph/ir'

/** Row-major; integers and bools (0 or 1) are numbers too. */
export interface Nd {
  readonly dims: readonly number[]
  readonly data: Float64Array
}

export function nd(dims: readonly number[], data: ArrayLike<number>): Nd {
  if (data.length !== elementCount(dims)) throw new Error(`[${dims.join(', ')}] does not hold ${data.length} elements`)
  return { dims, data: Float64Array.from(data) }
}

export function filled(dims: readonly number[], value = 0): Nd {
  return { dims, data: new Float64Array(elementCount(dims)).fill(value) }
}

/** Array access for loops whose bounds are right by construction. */
export function at(data: ArrayLike<number>, index: number): number {
  const value = data[index]
  if (value === undefined) throw new Error(`index ${index} outside an array of ${data.length}`)
  return value
}

export function strides(dims: readonly number[]): number[] {
  const out = new Array<number>(dims.length).fill(1)
  for (let i = dims.length - 2; i >= 0; i--) out[i] = at(out, i + 1) * at(dims, i + 1)
  return out
}

export function broadcastDims(...shapes: (readonly number[])[]): number[] {
  const rank = Math.max(...shapes.map((dims) => dims.length))
  return Array.from({ length: rank }, (_, axis) => {
    let size = 1
    for (const dims of shapes) {
      const dim = dims[axis - rank + dims.length] ?? 1
      if (dim === 1) continue
      if (size !== 1 && size !== dim)
        throw new Error(`shapes ${shapes.map((s) => `[${s.join(', ')}]`).join(' ')} don't broadcast`)
      size = dim
    }
    return size
  })
}

/** For every element of `dims`, in order, the offset of the element of `source` that numpy broadcasting puts there. */
export function broadcastOffsets(source: readonly number[], dims: readonly number[]): Int32Array {
  const lead = dims.length - source.length
  if (lead < 0) throw new Error(`[${source.join(', ')}] does not broadcast to [${dims.join(', ')}]`)
  const sourceStrides = strides(source)
  const steps = dims.map((dim, axis) => {
    if (axis < lead) return 0
    const own = at(source, axis - lead)
    if (own !== dim && own !== 1) throw new Error(`[${source.join(', ')}] does not broadcast to [${dims.join(', ')}]`)
    return own === 1 ? 0 : at(sourceStrides, axis - lead)
  })
  return walk(dims, steps)
}

/** Offsets sum(index[axis] * steps[axis]) for every index of `dims`, in row-major order. */
export function walk(dims: readonly number[], steps: readonly number[]): Int32Array {
  const count = elementCount(dims)
  const out = new Int32Array(count)
  const index = new Array<number>(dims.length).fill(0)
  let offset = 0
  for (let i = 0; i < count; i++) {
    out[i] = offset
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      const next = at(index, axis) + 1
      if (next < at(dims, axis)) {
        index[axis] = next
        offset += at(steps, axis)
        break
      }
      index[axis] = 0
      offset -= (next - 1) * at(steps, axis)
    }
  }
  return out
}

export function map(x: Nd, f: (value: number) => number): Nd {
  return { dims: x.dims, data: x.data.map((value) => f(value)) }
}

export function zip(f: (...values: number[]) => number, ...inputs: Nd[]): Nd {
  const dims = broadcastDims(...inputs.map((x) => x.dims))
  const offsets = inputs.map((x) => broadcastOffsets(x.dims, dims))
  const data = Float64Array.from({ length: elementCount(dims) }, (_, i) => {
    return f(...inputs.map((x, k) => at(x.data, at(offsets[k] ?? [], i))))
  })
  return { dims, data }
}

export function transpose(x: Nd, perm: readonly number[]): Nd {
  const from = strides(x.dims)
  const dims = perm.map((axis) => at(x.dims, axis))
  const data = Float64Array.from(
    walk(
      dims,
      perm.map((axis) => at(from, axis)),
    ),
    (offset) => at(x.data, offset),
  )
  return { dims, data }
}

/** The shape seen from one axis: [outer, size of the axis, inner]. */
export function around(dims: readonly number[], axis: number): [number, number, number] {
  return [elementCount(dims.slice(0, axis)), at(dims, axis), elementCount(dims.slice(axis + 1))]
}

/** numpy.matmul for ranks >= 2, after transposing the last two axes where asked. */
export function matmul(a: Nd, b: Nd, transA = false, transB = false): Nd {
  const swap = (x: Nd) => {
    const rank = x.dims.length
    return transpose(x, [...Array.from({ length: rank - 2 }, (_, i) => i), rank - 1, rank - 2])
  }
  const left = transA ? swap(a) : a
  const right = transB ? swap(b) : b
  const [m, k] = [at(left.dims, left.dims.length - 2), at(left.dims, left.dims.length - 1)]
  const [k2, n] = [at(right.dims, right.dims.length - 2), at(right.dims, right.dims.length - 1)]
  if (k !== k2) throw new Error(`MatMul of [${left.dims.join(', ')}] and [${right.dims.join(', ')}]`)
  const batch = broadcastDims(left.dims.slice(0, -2), right.dims.slice(0, -2))
  const leftBatch = broadcastOffsets(left.dims.slice(0, -2), batch)
  const rightBatch = broadcastOffsets(right.dims.slice(0, -2), batch)
  const out = filled([...batch, m, n])
  for (let g = 0; g < leftBatch.length; g++) {
    const [lo, ro, oo] = [at(leftBatch, g) * m * k, at(rightBatch, g) * k * n, g * m * n]
    for (let i = 0; i < m; i++) {
      for (let p = 0; p < k; p++) {
        const value = left.data[lo + i * k + p] ?? 0
        for (let j = 0; j < n; j++) {
          const o = oo + i * n + j
          out.data[o] = (out.data[o] ?? 0) + value * (right.data[ro + p * n + j] ?? 0)
        }
      }
    }
  }
  return out
}

/** Reduces `axes`, starting each sum (or maximum, ...) at `initial`. */
export function reduce(
  x: Nd,
  axes: readonly number[],
  keepdims: boolean,
  initial: number,
  f: (a: number, b: number) => number,
): Nd {
  const kept = x.dims.map((dim, axis) => (axes.includes(axis) ? 1 : dim))
  const out = filled(kept, initial)
  const offsets = broadcastOffsets(kept, x.dims)
  for (let i = 0; i < x.data.length; i++) {
    const o = at(offsets, i)
    out.data[o] = f(at(out.data, o), at(x.data, i))
  }
  return { dims: keepdims ? kept : x.dims.filter((_, axis) => !axes.includes(axis)), data: out.data }
}

export function sum(x: Nd, axes: readonly number[], keepdims: boolean): Nd {
  return reduce(x, axes, keepdims, 0, (a, b) => a + b)
}

/** exp(x - max) / sum, or its logarithm, along one axis. */
export function softmax(x: Nd, axis: number, logarithm = false): Nd {
  const shifted = zip((a, b) => a - b, x, reduce(x, [axis], true, -Infinity, Math.max))
  const total = sum(map(shifted, Math.exp), [axis], true)
  return zip((a, t) => (logarithm ? a - Math.log(t) : Math.exp(a) / t), shifted, total)
}

/** erf to float64 accuracy: its Maclaurin series near 0, the continued fraction of erfc beyond (Abramowitz & Stegun 7.1.5, 7.1.14). */
export function erf(x: number): number {
  const z = Math.abs(x)
  if (Number.isNaN(x)) return NaN
  if (z > 6) return Math.sign(x)
  if (z < 3) {
    let term = z
    let total = z
    for (let n = 1; Math.abs(term) > 1e-17 * total; n++) {
      term *= (-z * z) / n
      total += term / (2 * n + 1)
    }
    return (Math.sign(x) * 2 * total) / Math.sqrt(Math.PI)
  }
  let fraction = z
  for (let k = 60; k >= 1; k--) fraction = z + k / 2 / fraction
  return Math.sign(x) * (1 - Math.exp(-z * z) / (fraction * Math.sqrt(Math.PI)))
}
