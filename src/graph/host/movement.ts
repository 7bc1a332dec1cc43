/** Host ops that move elements about without changing them. One function per ONNX op. */
import { elementCount, GraphError } from '../ir'
import {
  axisOf,
  broadcastDims,
  broadcastStrides,
  forEachOffset,
  gatherStrided,
  integers,
  isFloat,
  scalar,
  stridesOf,
  zeros,
  type NdArray,
} from './array'
import { intAttribute, intsAttribute, stringAttribute } from './attributes'
import { input, variadic, type HostCall, type HostOp } from './op'

export const Transpose: HostOp = (call) => {
  const x = input(call, 0)
  return [transpose(x, transposePerm(call, x.dims.length))]
}

/** The attribute, or the reverse order of axes. @throws GraphError when it is no permutation */
export function transposePerm(call: Pick<HostCall, 'node'>, rank: number): number[] {
  const perm = [...(intsAttribute(call.node, 'perm') ?? Array.from({ length: rank }, (_, axis) => rank - 1 - axis))]
  if (perm.length !== rank || new Set(perm.map((axis) => axisOf(axis, rank))).size !== rank) {
    throw new GraphError(`perm [${perm.join(', ')}] of a value with ${rank} axes`)
  }
  return perm
}

export function transpose(x: NdArray, perm: readonly number[]): NdArray {
  const strides = stridesOf(x.dims)
  return gatherStrided(
    x,
    perm.map((axis) => x.dims[axis] ?? 1),
    perm.map((axis) => strides[axis] ?? 0),
  )
}

export const Expand: HostOp = (call) => {
  const x = input(call, 0)
  const dims = broadcastDims(x.dims, integers(input(call, 1)))
  return [gatherStrided(x, dims, broadcastStrides(x.dims, dims))]
}

export const Tile: HostOp = (call) => {
  const x = input(call, 0)
  const repeats = integers(input(call, 1))
  if (repeats.length !== x.dims.length) throw new GraphError(`${repeats.length} repeats for ${x.dims.length} axes`)
  // Each axis becomes (repeat, size): walking it, the repeat does not move.
  const strides = stridesOf(x.dims)
  const tiled = gatherStrided(
    x,
    x.dims.flatMap((dim, axis) => [repeats[axis] ?? 1, dim]),
    x.dims.flatMap((_, axis) => [0, strides[axis] ?? 0]),
  )
  return [{ ...tiled, dims: x.dims.map((dim, axis) => dim * (repeats[axis] ?? 1)) }]
}

export const Concat: HostOp = (call) => {
  const parts = variadic(call)
  const first = input(call, 0)
  const axis = axisOf(intAttribute(call.node, 'axis'), first.dims.length)
  return [concat(parts, first, axis)]
}

function concat(parts: readonly NdArray[], first: NdArray, axis: number): NdArray {
  let size = 0
  for (const { dims } of parts) {
    if (dims.length !== first.dims.length || dims.some((dim, i) => i !== axis && dim !== first.dims[i])) {
      throw new GraphError(`[${first.dims.join(', ')}] and [${dims.join(', ')}] can't be joined on axis ${axis}`)
    }
    size += dims[axis] ?? 0
  }
  const dims = first.dims.map((dim, i) => (i === axis ? size : dim))
  const out = zeros(first.dtype, dims)
  const outer = elementCount(dims.slice(0, axis))
  const inner = elementCount(dims.slice(axis + 1))
  let start = 0
  for (const { dims: own, data } of parts) {
    const block = (own[axis] ?? 0) * inner
    for (let o = 0; o < outer; o++) out.data.set(data.subarray(o * block, (o + 1) * block), o * size * inner + start)
    start += block
  }
  return out
}

/** One axis of a Slice: `count` elements from `start`, `step` apart. */
export interface AxisRange {
  readonly axis: number
  readonly start: number
  readonly step: number
  readonly count: number
}

/** The ranges of a Slice, with negative and beyond-the-end bounds settled as the ONNX operator does. */
export function sliceRanges(call: HostCall, dims: readonly number[]): AxisRange[] {
  const given = (i: number, name: string) => {
    const value = call.inputs[i]
    return call.opset >= 10 ? value && integers(value) : intsAttribute(call.node, name)
  }
  const [starts, ends] = [given(1, 'starts'), given(2, 'ends')]
  if (!starts || !ends) throw new GraphError('starts and ends are missing')
  const axes = given(3, 'axes') ?? starts.map((_, i) => i)
  const steps = given(4, 'steps') ?? starts.map(() => 1)
  if (ends.length !== starts.length || axes.length !== starts.length || steps.length !== starts.length) {
    throw new GraphError('starts, ends, axes and steps differ in length')
  }
  return starts.map((from, i) => {
    const axis = axisOf(axes[i] ?? 0, dims.length)
    const size = dims[axis] ?? 0
    const step = steps[i] ?? 1
    if (step === 0) throw new GraphError('a step of 0')
    // Backwards, a start before the first element still takes that one; only an end can lie before it.
    const clamp = (bound: number, lowest: number) => {
      const positive = bound < 0 ? bound + size : bound
      return Math.min(Math.max(positive, step > 0 ? 0 : lowest), step > 0 ? size : size - 1)
    }
    const start = clamp(from, 0)
    return { axis, start, step, count: Math.max(0, Math.ceil((clamp(ends[i] ?? 0, -1) - start) / step)) }
  })
}

export const Slice: HostOp = (call) => {
  const x = input(call, 0)
  const dims = [...x.dims]
  const strides = stridesOf(x.dims)
  let offset = 0
  for (const { axis, start, step, count } of sliceRanges(call, x.dims)) {
    offset += start * (strides[axis] ?? 0)
    dims[axis] = count
    strides[axis] = (strides[axis] ?? 0) * step
  }
  return [gatherStrided(x, dims, strides, offset)]
}

/** Sizes of a Split's parts: an attribute, an input since operator set 13, or equal parts. */
export function splitSizes(call: HostCall, size: number): number[] {
  const given = call.inputs[1]
  const sizes = call.opset >= 13 ? given && integers(given) : intsAttribute(call.node, 'split')
  const parts = call.node.outputs.length
  const each = Math.ceil(size / parts)
  const result = sizes ? [...sizes] : Array.from({ length: parts }, (_, i) => Math.min(each, size - i * each))
  if (result.length !== parts || result.some((part) => part < 0) || result.reduce((a, b) => a + b, 0) !== size) {
    throw new GraphError(`${size} elements can't be split into [${result.join(', ')}]`)
  }
  return result
}

export const Split: HostOp = (call) => {
  const x = input(call, 0)
  const axis = axisOf(intAttribute(call.node, 'axis', 0), x.dims.length)
  const strides = stridesOf(x.dims)
  let start = 0
  return splitSizes(call, x.dims[axis] ?? 0).map((size) => {
    const dims = x.dims.map((dim, i) => (i === axis ? size : dim))
    const part = gatherStrided(x, dims, strides, start * (strides[axis] ?? 0))
    start += size
    return part
  })
}

/** Negative indices count from the end. @throws GraphError when out of range, naming the size of the table */
export function indexInto(index: number, size: number): number {
  const positive = index < 0 ? index + size : index
  if (!(positive >= 0 && positive < size)) throw new GraphError(`index ${index} into ${size} entries`)
  return positive
}

export const Gather: HostOp = (call) => {
  const [x, indices] = [input(call, 0), input(call, 1)]
  const axis = axisOf(intAttribute(call.node, 'axis', 0), x.dims.length)
  const size = x.dims[axis] ?? 0
  const out = zeros(x.dtype, [...x.dims.slice(0, axis), ...indices.dims, ...x.dims.slice(axis + 1)])
  const outer = elementCount(x.dims.slice(0, axis))
  const inner = elementCount(x.dims.slice(axis + 1))
  const rows = integers(indices).map((index) => indexInto(index, size))
  for (let o = 0; o < outer; o++) {
    rows.forEach((row, i) => {
      const from = (o * size + row) * inner
      out.data.set(x.data.subarray(from, from + inner), (o * rows.length + i) * inner)
    })
  }
  return [out]
}

export const GatherElements: HostOp = (call) => {
  const [x, indices] = [input(call, 0), input(call, 1)]
  if (isFloat(indices) || indices.dims.length !== x.dims.length) throw new GraphError('indices need as many axes as the data')
  const axis = axisOf(intAttribute(call.node, 'axis', 0), x.dims.length)
  const size = x.dims[axis] ?? 0
  const strides = stridesOf(x.dims)
  const step = strides[axis] ?? 0
  const out = zeros(x.dtype, indices.dims)
  const walk = strides.map((stride, i) => (i === axis ? 0 : stride))
  forEachOffset(indices.dims, walk, (i, offset) => {
    out.data[i] = x.data[offset + indexInto(indices.data[i] ?? NaN, size) * step] ?? NaN
  })
  return [out]
}

export const GatherND: HostOp = (call) => {
  const [x, indices] = [input(call, 0), input(call, 1)]
  const batch = intAttribute(call.node, 'batch_dims', 0)
  const depth = indices.dims.at(-1) ?? 0
  const strides = stridesOf(x.dims)
  const inner = elementCount(x.dims.slice(batch + depth))
  const out = zeros(x.dtype, [...indices.dims.slice(0, -1), ...x.dims.slice(batch + depth)])
  const rows = elementCount(indices.dims.slice(0, -1))
  const rowsPerBatch = rows / elementCount(indices.dims.slice(0, batch))
  for (let row = 0; row < rows; row++) {
    let offset = batch === 0 ? 0 : Math.floor(row / rowsPerBatch) * (strides[batch - 1] ?? 0)
    for (let k = 0; k < depth; k++) {
      offset += indexInto(indices.data[row * depth + k] ?? NaN, x.dims[batch + k] ?? 0) * (strides[batch + k] ?? 0)
    }
    out.data.set(x.data.subarray(offset, offset + inner), row * inner)
  }
  return [out]
}

export const ScatterND: HostOp = (call) => {
  const [x, indices, updates] = [input(call, 0), input(call, 1), input(call, 2)]
  const reduction = stringAttribute(call.node, 'reduction', 'none')
  if (reduction !== 'none') throw new GraphError(`reduction '${reduction}' is not supported`)
  const depth = indices.dims.at(-1) ?? 0
  const inner = elementCount(x.dims.slice(depth))
  const rows = elementCount(indices.dims.slice(0, -1))
  if (updates.data.length !== rows * inner) throw new GraphError(`updates [${updates.dims.join(', ')}] don't fit`)
  const strides = stridesOf(x.dims)
  const out = zeros(x.dtype, x.dims)
  out.data.set(x.data)
  for (let row = 0; row < rows; row++) {
    let offset = 0
    for (let k = 0; k < depth; k++) offset += indexInto(indices.data[row * depth + k] ?? NaN, x.dims[k] ?? 0) * (strides[k] ?? 0)
    out.data.set(updates.data.subarray(row * inner, (row + 1) * inner), offset)
  }
  return [out]
}

/** Keeps the upper (or lower) triangle of the last two axes, `k` diagonals moved. */
export const Trilu: HostOp = (call) => {
  const x = input(call, 0)
  const k = call.inputs[1] ? scalar(input(call, 1)) : 0
  const upper = intAttribute(call.node, 'upper', 1) === 1
  const [rows, columns] = [x.dims.at(-2) ?? 1, x.dims.at(-1) ?? 1]
  const out = zeros(x.dtype, x.dims)
  x.data.forEach((value: number, i: number) => {
    const distance = (i % columns) - (Math.floor(i / columns) % rows)
    if (upper ? distance >= k : distance <= k) out.data[i] = value
  })
  return [out]
}
