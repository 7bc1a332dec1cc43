/** Quantised weights back to floats, once, where the graph says so; and rows looked up in a quantised table of positions. */
import { elementCount, GraphError } from '../ir'
import { axisOf, integers, zeros, type NdArray } from './array'
import { intAttribute } from './attributes'
import { indexInto } from './movement'
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

/**
 * Rows of a matrix of 4- or 8-bit numbers in blocks along them, as floats: [..indices, width].
 * https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.GatherBlockQuantized
 */
export const GatherBlockQuantized: HostOp = (call) => {
  const [data, indices, scale] = [input(call, 0), input(call, 1), input(call, 2)]
  const bits = intAttribute(call.node, 'bits', 4)
  const block = intAttribute(call.node, 'block_size', 128)
  const [rows = 0, columns = 0] = data.dims
  const along = intAttribute(call.node, 'quantize_axis', 1)
  if (data.dims.length !== 2 || intAttribute(call.node, 'gather_axis', 0) !== 0 || (along !== 1 && along !== -1))
    throw new GraphError('only rows of a matrix with blocks along them are looked up')
  if ((bits !== 4 && bits !== 8) || block < 1) throw new GraphError(`${bits} bits in blocks of ${block} are not known`)
  // Bytes that hold two numbers each; the 4-bit types proper were taken apart when they were read.
  const fits = (width: number) => scale.data.length === rows * Math.ceil(width / block)
  const maybe = bits === 4 && data.dtype === 'uint8' && fits(columns * 2)
  const packed = maybe && (!fits(columns) || data.data.some((byte) => byte > 15))
  const width = packed ? columns * 2 : columns
  const groups = Math.ceil(width / block)
  if (scale.data.length !== rows * groups)
    throw new GraphError(`${scale.data.length} scales for ${rows} rows of ${groups} blocks`)
  const zero = zeroPoints(call.inputs[3] ?? null, rows, groups, packed)
  const centre = data.dtype === 'uint8' ? 2 ** (bits - 1) : 0
  const out = zeros('float32', [...indices.dims, width])
  for (const [i, index] of integers(indices).entries()) {
    const row = indexInto(index, rows)
    for (let k = 0; k < width; k++) {
      const byte = data.data[row * columns + (packed ? k >> 1 : k)] ?? NaN
      const level = packed ? (byte >> (4 * (k & 1))) & 15 : byte
      const group = row * groups + Math.floor(k / block)
      out.data[i * width + k] = (level - (zero ? zero(row, Math.floor(k / block)) : centre)) * (scale.data[group] ?? NaN)
    }
  }
  return [out]
}

/** Those of a row's blocks: one each, or two to a byte as the data. */
function zeroPoints(
  given: NdArray | null,
  rows: number,
  groups: number,
  packed: boolean,
): ((row: number, block: number) => number) | null {
  if (!given) return null
  const perRow = given.data.length / rows
  if (packed && perRow === Math.ceil(groups / 2))
    return (row, block) => ((given.data[row * perRow + (block >> 1)] ?? NaN) >> (4 * (block & 1))) & 15
  if (perRow !== groups) throw new GraphError(`${given.data.length} zero points for ${rows} rows of ${groups} blocks`)
  return (row, block) => given.data[row * perRow + block] ?? NaN
}
