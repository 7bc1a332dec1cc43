/** Quantised weights back to floats, once, where the graph says so. */
import { elementCount, GraphError } from '../ir'
import { axisOf, zeros } from './array'
import { intAttribute } from './attributes'
import { input, type HostOp } from './op'

/** (x - x_zero_point) * x_scale, per tensor or per entry of one axis (operator sets 10 to 20; no blocks). */
export const DequantizeLinear: HostOp = (call) => {
  const [x, scale] = [input(call, 0), input(call, 1)]
  const zeroPoint = call.inputs[2]
  if (intAttribute(call.node, 'block_size', 0) !== 0) throw new GraphError('blocked dequantisation is not supported')
  const out = zeros('float32', x.dims)
  const perTensor = scale.data.length === 1
  const axis = perTensor ? 0 : axisOf(intAttribute(call.node, 'axis', 1), x.dims.length)
  const size = x.dims[axis] ?? 1
  const inner = elementCount(x.dims.slice(axis + 1))
  if (!perTensor && scale.data.length !== size)
    throw new GraphError(`${scale.data.length} scales for ${size} entries of axis ${axis}`)
  for (let i = 0; i < x.data.length; i++) {
    const k = perTensor ? 0 : Math.floor(i / inner) % size
    out.data[i] = ((x.data[i] ?? NaN) - (zeroPoint?.data[k] ?? 0)) * (scale.data[k] ?? NaN)
  }
  return [out]
}
