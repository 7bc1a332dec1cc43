/** Host ops that put elements somewhere in an array otherwise filled. One function per ONNX op. */
import { elementCount, GraphError } from '../ir'
import { axisOf, forEachOffset, full, integers, ndDType, scalar, stridesOf, zeros } from './array'
import { floatAttribute, intAttribute, intsAttribute, stringAttribute } from './attributes'
import { indexInto } from './movement'
import { input, type HostCall, type HostOp } from './op'
import { elementType } from './shape'

/** Elements before and after one axis; negative amounts cut off. */
export interface AxisPad {
  readonly axis: number
  readonly before: number
  readonly after: number
}

/** What a Pad adds: an attribute before operator set 11, inputs since, of some axes only since 18. */
export function padAmounts(call: HostCall, rank: number): AxisPad[] {
  const pads = call.opset >= 11 ? call.inputs[1] && integers(call.inputs[1]) : intsAttribute(call.node, 'pads')
  if (!pads) throw new GraphError('pads are missing')
  const axes = call.inputs[3] ? integers(call.inputs[3]) : Array.from({ length: rank }, (_, axis) => axis)
  if (pads.length !== axes.length * 2) throw new GraphError(`${pads.length} pads for ${axes.length} axes`)
  return axes.map((axis, i) => ({ axis: axisOf(axis, rank), before: pads[i] ?? 0, after: pads[i + axes.length] ?? 0 }))
}

export const Pad: HostOp = (call) => {
  const x = input(call, 0)
  const mode = stringAttribute(call.node, 'mode', 'constant')
  if (mode !== 'constant') throw new GraphError(`mode '${mode}' is not supported`)
  const value = call.opset >= 11 ? (call.inputs[2]?.data[0] ?? 0) : floatAttribute(call.node, 'value', 0)
  const amounts = new Map(padAmounts(call, x.dims.length).map((amount) => [amount.axis, amount]))
  const before = x.dims.map((_, axis) => amounts.get(axis)?.before ?? 0)
  const out = full(
    x.dtype,
    x.dims.map((dim, axis) => dim + (before[axis] ?? 0) + (amounts.get(axis)?.after ?? 0)),
    value,
  )
  // Walks the part of x that is kept, in x and in the result at once.
  const kept = x.dims.map((dim, axis) => {
    return Math.max(0, dim - Math.max(0, -(before[axis] ?? 0)) - Math.max(0, -(amounts.get(axis)?.after ?? 0)))
  })
  const startIn = (dims: readonly number[], sign: 1 | -1) =>
    stridesOf(dims).reduce((sum, stride, axis) => sum + stride * Math.max(0, sign * (before[axis] ?? 0)), 0)
  const from = new Float64Array(elementCount(kept))
  forEachOffset(kept, stridesOf(x.dims), (i, offset) => (from[i] = x.data[offset] ?? NaN), startIn(x.dims, -1))
  forEachOffset(kept, stridesOf(out.dims), (i, offset) => (out.data[offset] = from[i] ?? NaN), startIn(out.dims, 1))
  return [out]
}

/** Each update goes to where its index says on `axis`, elsewhere to its own place. */
export const ScatterElements: HostOp = (call) => {
  const [x, indices, updates] = [input(call, 0), input(call, 1), input(call, 2)]
  const reduction = stringAttribute(call.node, 'reduction', 'none')
  if (reduction !== 'none') throw new GraphError(`reduction '${reduction}' is not supported`)
  if (indices.dims.length !== x.dims.length || updates.dims.join() !== indices.dims.join())
    throw new GraphError("updates don't fit")
  const axis = axisOf(intAttribute(call.node, 'axis', 0), x.dims.length)
  const size = x.dims[axis] ?? 0
  const strides = stridesOf(x.dims)
  const step = strides[axis] ?? 0
  const out = zeros(x.dtype, x.dims)
  out.data.set(x.data)
  const walk = strides.map((stride, i) => (i === axis ? 0 : stride))
  forEachOffset(indices.dims, walk, (i, offset) => {
    out.data[offset + indexInto(indices.data[i] ?? NaN, size) * step] = updates.data[i] ?? NaN
  })
  return [out]
}

/** (indices, depth, [off, on]): a new axis of `depth`, on where the index says; an index outside is on nowhere. */
export const OneHot: HostOp = (call) => {
  const [indices, values] = [input(call, 0), input(call, 2)]
  const depth = scalar(input(call, 1))
  const rank = indices.dims.length + 1
  const axis = axisOf(intAttribute(call.node, 'axis', -1), rank)
  const [off = 0, on = 1] = values.data
  const dims = [...indices.dims.slice(0, axis), depth, ...indices.dims.slice(axis)]
  const out = full(values.dtype, dims, off)
  const inner = elementCount(dims.slice(axis + 1))
  indices.data.forEach((index: number, i: number) => {
    const hot = index < 0 ? index + depth : index
    if (hot < 0 || hot >= depth) return
    out.data[(Math.floor(i / inner) * depth + hot) * inner + (i % inner)] = on
  })
  return [out]
}

/** Ones on the k-th diagonal, in the shape of x. */
export const EyeLike: HostOp = (call) => {
  const x = input(call, 0)
  const [rows = 0, columns = 0] = x.dims
  if (x.dims.length !== 2) throw new GraphError('two dimensions are expected')
  const k = intAttribute(call.node, 'k', 0)
  const code = intAttribute(call.node, 'dtype', 0)
  const out = zeros(code === 0 ? x.dtype : ndDType(elementType(code)), x.dims)
  for (let row = 0; row < rows; row++) if (row + k >= 0 && row + k < columns) out.data[row * columns + row + k] = 1
  return [out]
}
