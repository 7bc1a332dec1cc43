/** Rules for ops that move elements about. Shapes, indices and axes are constants by now. One function per ONNX op. */
import { elementCount, GraphError } from '../ir'
import { axisOf, broadcastDims } from '../host/array'
import { floatAttribute, intAttribute, stringAttribute } from '../host/attributes'
import { sliceRanges, splitSizes, transposePerm } from '../host/movement'
import { axesOf } from '../host/op'
import { padAmounts } from '../host/place'
import { flattenDims, reshapeDims, squeezeDims, unsqueezeAxes, unsqueezeDims } from '../host/shape'
import type { DeviceLane } from './lanes'
import { asHostCall, deviceInput, fail, hostInput, input, integersInput, uniform, type DeviceRule } from './rule'

/** Pieces a Gather with scattered indices may be cut into. */
const MAX_PIECES = 64

export const Reshape: DeviceRule = (call) => {
  const x = deviceInput(call, 0)
  return [call.emit.reshape(x, reshapeDims(x.dims, integersInput(call, 1), intAttribute(call.node, 'allowzero', 0) === 1))]
}

export const Squeeze: DeviceRule = (call) => {
  const x = deviceInput(call, 0)
  return [call.emit.reshape(x, squeezeDims(x.dims, axesOf(asHostCall(call), 13, 1, x.dims.length)))]
}

export const Unsqueeze: DeviceRule = (call) => {
  const x = deviceInput(call, 0)
  return [call.emit.reshape(x, unsqueezeDims(x.dims, unsqueezeAxes(asHostCall(call))))]
}

export const Flatten: DeviceRule = (call) => {
  const x = deviceInput(call, 0)
  return [call.emit.reshape(x, flattenDims(x.dims, intAttribute(call.node, 'axis', 1)))]
}

export const Transpose: DeviceRule = (call) => {
  const x = deviceInput(call, 0)
  const perm = transposePerm(call, x.dims.length)
  return [perm.every((axis, i) => axis === i) ? x : call.emit.emit({ op: 'Transpose', attrs: { perm } }, [x])]
}

export const Expand: DeviceRule = (call) => {
  const x = deviceInput(call, 0)
  return [call.emit.expand(x, broadcastDims(x.dims, integersInput(call, 1)))]
}

/** Each axis becomes (1, size), is expanded to (repeats, size) and joined again. */
export const Tile: DeviceRule = (call) => {
  const x = deviceInput(call, 0)
  const repeats = integersInput(call, 1)
  if (repeats.length !== x.dims.length) return fail(`${repeats.length} repeats for ${x.dims.length} axes`)
  const times = (axis: number) => repeats[axis] ?? 1
  const pairs = (of: (axis: number) => number) => x.dims.flatMap((dim, axis) => (times(axis) === 1 ? [dim] : [of(axis), dim]))
  const apart = call.emit.reshape(
    x,
    pairs(() => 1),
  )
  return [
    call.emit.reshape(
      call.emit.expand(apart, pairs(times)),
      x.dims.map((dim, axis) => dim * times(axis)),
    ),
  ]
}

/** Operands without elements, such as a past of length 0, are left out. */
export const Concat: DeviceRule = (call) => {
  const parts = call.inputs.map((_, i) => input(call, i)).filter((lane) => elementCount(lane.dims) > 0)
  const rank = parts[0]?.dims.length ?? fail('all operands are empty')
  return [call.emit.concat(parts, axisOf(intAttribute(call.node, 'axis'), rank))]
}

export const Slice: DeviceRule = (call) => {
  let x = deviceInput(call, 0)
  for (const { axis, start, step, count } of sliceRanges(asHostCall(call), x.dims)) {
    const size = x.dims[axis] ?? 0
    if (step === 1 || count <= 1) {
      x = call.emit.slice(x, axis, start, start + count)
    } else if (step > 0 && size % step === 0 && count === size / step) {
      // Every step-th element from start < step: the column `start` of the axis written in rows of `step`.
      const rows = call.emit.reshape(
        x,
        x.dims.flatMap((dim, i) => (i === axis ? [count, step] : [dim])),
      )
      x = call.emit.reshape(
        call.emit.slice(rows, axis + 1, start, start + 1),
        x.dims.map((dim, i) => (i === axis ? count : dim)),
      )
    } else {
      return fail(`a slice with step ${step} of an axis of ${size} is not supported`)
    }
  }
  return [x]
}

export const Split: DeviceRule = (call) => {
  const x = deviceInput(call, 0)
  const axis = axisOf(intAttribute(call.node, 'axis', 0), x.dims.length)
  let start = 0
  return splitSizes(asHostCall(call), x.dims[axis] ?? 0).map((size) => {
    const part = call.emit.slice(x, axis, start, start + size)
    start += size
    return part
  })
}

/** Zeros on both sides, or elements cut off where an amount is negative. */
export const Pad: DeviceRule = (call) => {
  const x = deviceInput(call, 0)
  const value = call.opset >= 11 && call.inputs[2] ? uniform(call.inputs[2]) : floatAttribute(call.node, 'value', 0)
  if (stringAttribute(call.node, 'mode', 'constant') !== 'constant' || value !== 0) return fail('padding with anything but zeros')
  return [
    padAmounts(asHostCall(call), x.dims.length).reduce((sofar, { axis, before, after }) => {
      const size = sofar.dims[axis] ?? 0
      const kept = call.emit.slice(sofar, axis, Math.max(0, -before), size - Math.max(0, -after))
      if (before <= 0 && after <= 0) return kept
      return call.emit.emit({ op: 'Pad', attrs: { axis, before: Math.max(0, before), after: Math.max(0, after) } }, [kept])
    }, x),
  ]
}

/** Constant indices into a computed value: slices, joined where the indices are not consecutive. */
export const Gather: DeviceRule = (call) => {
  const x = deviceInput(call, 0)
  const axis = axisOf(intAttribute(call.node, 'axis', 0), x.dims.length)
  const size = x.dims[axis] ?? 0
  const indices = integersInput(call, 1).map((index) => (index < 0 ? index + size : index))
  const pieces: { start: number; end: number }[] = []
  for (const index of indices) {
    if (!(index >= 0 && index < size)) throw new GraphError(`index ${index} into ${size} entries`)
    const last = pieces.at(-1)
    if (last?.end === index) last.end++
    else pieces.push({ start: index, end: index + 1 })
  }
  if (pieces.length === 0 || pieces.length > MAX_PIECES)
    return fail(`${pieces.length} separate index ranges, 1 to ${MAX_PIECES} are supported`)
  const parts: DeviceLane[] = pieces.map(({ start, end }) => call.emit.slice(x, axis, start, end))
  const dims = [...x.dims.slice(0, axis), ...hostInput(call, 1).dims, ...x.dims.slice(axis + 1)]
  return [call.emit.reshape(call.emit.concat(parts, axis), dims)]
}
