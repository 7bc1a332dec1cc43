/** Quantised weights back to floats, once, where the graph says so. */
import { elementCount, GraphError } from '../ir'
import { axisOf, zeros } from './array'
import { intAttribute } from './attributes'
import { input, type HostOp } from './op'

/** (x - x_zero_point) * x_scale, per tensor, per entry of one axis, or (operator set 21) per block along one. */
export const DequantizeLinear: HostOp = (call) => {
  const [x, scale] = [input(call, 0), input(call, 1)]
  const zeroPoint = call.inputs[2]
  const out = zeros('float32', x.dims)
  const perTensor = scale.data.length === 1
  const axis = perTensor ? 0 : axisOf(intAttribute(call.node, 'axis', 1), x.dims.length)
  const size = x.dims[axis] ?? 1
  const inner = elementCount(x.dims.slice(axis + 1))
  const block = intAttribute(call.node, 'block_size', 0)
  const groups = block === 0 ? size : Math.ceil(size / block)
  // Without blocks the scales are a vector along the axis; with them, a tensor like x in all other axes.
  const expected = block === 0 ? size : (x.data.length / Math.max(1, size)) * groups
  if (!perTensor && scale.data.length !== expected)
    throw new GraphError(`${scale.data.length} scales for ${expected} ${block === 0 ? `entries of axis ${axis}` : 'blocks'}`)
  for (let i = 0; i < x.data.length; i++) {
    const along = Math.floor(i / inner) % size
    const outer = Math.floor(i / (inner * size))
    const blocked = (outer * groups + Math.floor(along / block)) * inner + (i % inner)
    const k = perTensor ? 0 : block === 0 ? along : blocked
    out.data[i] = ((x.data[i] ?? NaN) - (zeroPoint?.data[k] ?? 0)) * (scale.data[k] ?? NaN)
  }
  return [out]
}
