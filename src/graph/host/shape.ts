/** Host ops on shapes, types and fresh constants: nothing here looks at more than a few elements. */
import { GraphError, elementCount, type DType } from '../ir'
import {
  axisOf,
  fromNumbers,
  fromTensor,
  full,
  int64s,
  integers,
  isFloat,
  ndDType,
  scalar,
  withDims,
  zeros,
  type NdArray,
} from './array'
import { floatsAttribute, intAttribute, intsAttribute, tensorAttribute } from './attributes'
import { axesOf, input, type HostCall, type HostOp } from './op'

/** TensorProto.DataType numbers, as Cast's `to` gives them (onnx.proto). */
// prettier-ignore
const ELEMENT_TYPES: Readonly<Record<number, DType>> = {
  1: 'float32', 2: 'uint8', 3: 'int8', 4: 'uint16', 5: 'int16', 6: 'int32', 7: 'int64', 9: 'bool', 10: 'float16',
  11: 'float64', 12: 'uint32', 13: 'uint64', 16: 'bfloat16',
}

/** The element type of a Cast's or a Range's attribute. @throws GraphError for types the product doesn't use */
export function elementType(code: number): DType {
  const dtype = ELEMENT_TYPES[code]
  if (!dtype) throw new GraphError(`element type ${code} is not supported`)
  return dtype
}

/** Dimensions [start, end) of a shape, attributes of Shape since operator set 15. */
export function shapeSlice(call: Pick<HostCall, 'node'>, dims: readonly number[]): NdArray {
  const start = intAttribute(call.node, 'start', 0)
  const end = intAttribute(call.node, 'end', dims.length)
  return int64s(dims.slice(start, end))
}

export const Shape: HostOp = (call) => [shapeSlice(call, input(call, 0).dims)]
export const Size: HostOp = (call) => [fromNumbers('int64', [], [elementCount(input(call, 0).dims)])]
export const Identity: HostOp = (call) => [input(call, 0)]

export const Constant: HostOp = ({ node }) => {
  const tensor = tensorAttribute(node, 'value')
  if (tensor) return [fromTensor(tensor)]
  if (node.attributes.has('value_int')) return [fromNumbers('int64', [], [intAttribute(node, 'value_int')])]
  const ints = intsAttribute(node, 'value_ints')
  if (ints) return [int64s(ints)]
  const float = node.attributes.get('value_float')
  if (float?.type === 'float') return [fromNumbers('float32', [], [float.value])]
  const floats = floatsAttribute(node, 'value_floats')
  if (floats) return [fromNumbers('float32', [floats.length], floats)]
  throw new GraphError(`constants of the form ${[...node.attributes.keys()].join(', ')} are not supported`)
}

export const ConstantOfShape: HostOp = (call) => {
  const value = tensorAttribute(call.node, 'value')
  const array = value ? fromTensor(value) : fromNumbers('float32', [1], [0])
  return [full(array.dtype, integers(input(call, 0)), scalar(array))]
}

export const Range: HostOp = (call) => {
  const first = input(call, 0)
  const [start, limit, delta] = [scalar(first), scalar(input(call, 1)), scalar(input(call, 2))]
  const count = Math.max(0, Math.ceil((limit - start) / delta))
  if (!Number.isFinite(count)) throw new GraphError(`range from ${start} to ${limit} by ${delta}`)
  const out = zeros(first.dtype, [count])
  for (let i = 0; i < count; i++) out.data[i] = start + i * delta
  return [out]
}

export const Cast: HostOp = (call) => [castTo(input(call, 0), ndDType(elementType(intAttribute(call.node, 'to'))))]

/** To the type of the second input. */
export const CastLike: HostOp = (call) => [castTo(input(call, 0), input(call, 1).dtype)]

const WRAPPERS: Partial<Record<NdArray['dtype'], (values: Float32Array | Float64Array) => ArrayLike<number>>> = {
  int32: (values) => Int32Array.from(values),
  int16: (values) => Int16Array.from(values),
  int8: (values) => Int8Array.from(values),
  uint32: (values) => Uint32Array.from(values),
  uint16: (values) => Uint16Array.from(values),
  uint8: (values) => Uint8Array.from(values),
}

/** Floats are cut towards zero (adding 0 turns -0 into 0), integers wrap around in narrower types, anything but 0 is true. */
function castTo(x: NdArray, dtype: NdArray['dtype']): NdArray {
  if (x.dtype === dtype) return x
  if (dtype === 'bool') return { dtype, dims: x.dims, data: Float64Array.from(x.data, (value) => (value === 0 ? 0 : 1)) }
  if (dtype === 'float32') return { dtype, dims: x.dims, data: Float32Array.from(x.data) }
  const whole = isFloat(x) ? Float64Array.from(x.data, (value) => Math.trunc(value) + 0) : x.data
  return { dtype, dims: x.dims, data: Float64Array.from(WRAPPERS[dtype]?.(whole) ?? whole) }
}

/** The shape a Reshape asks for: 0 keeps a dimension (unless allowzero), -1 is whatever is left. */
export function reshapeDims(from: readonly number[], shape: readonly number[], allowzero: boolean): number[] {
  const dims = shape.map((dim, axis) => (dim === 0 && !allowzero ? (from[axis] ?? -2) : dim))
  const inferred = dims.indexOf(-1)
  if (inferred >= 0) {
    dims[inferred] = 1
    dims[inferred] = elementCount(from) / elementCount(dims)
  }
  if (dims.some((dim) => !Number.isInteger(dim) || dim < 0) || elementCount(dims) !== elementCount(from)) {
    throw new GraphError(`[${from.join(', ')}] can't be reshaped to [${shape.join(', ')}]`)
  }
  return dims
}

export const Reshape: HostOp = (call) => {
  const x = input(call, 0)
  return [withDims(x, reshapeDims(x.dims, integers(input(call, 1)), intAttribute(call.node, 'allowzero', 0) === 1))]
}

/** Without axes all of size 1 go. */
export function squeezeDims(dims: readonly number[], axes: readonly number[] | undefined): number[] {
  const gone = axes ?? dims.flatMap((dim, axis) => (dim === 1 ? [axis] : []))
  const wrong = gone.find((axis) => dims[axis] !== 1)
  if (wrong !== undefined) throw new GraphError(`axis ${wrong} of [${dims.join(', ')}] can't be squeezed`)
  return dims.filter((_, axis) => !gone.includes(axis))
}

export const Squeeze: HostOp = (call) => {
  const x = input(call, 0)
  return [withDims(x, squeezeDims(x.dims, axesOf(call, 13, 1, x.dims.length)))]
}

/** `axes` are those of the result and may come negative and unsorted. */
export function unsqueezeDims(dims: readonly number[], axes: readonly number[]): number[] {
  const rank = dims.length + axes.length
  const fresh = new Set(axes.map((axis) => axisOf(axis, rank)))
  if (fresh.size !== axes.length) throw new GraphError(`axes [${axes.join(', ')}] repeat`)
  const rest = [...dims]
  return Array.from({ length: rank }, (_, axis) => (fresh.has(axis) ? 1 : (rest.shift() ?? 1)))
}

/** Raw axes of an Unsqueeze: an attribute before operator set 13, an input since. */
export function unsqueezeAxes(call: HostCall): readonly number[] {
  const axes = call.opset >= 13 ? integers(input(call, 1)) : intsAttribute(call.node, 'axes')
  if (!axes) throw new GraphError(`attribute 'axes' is missing`)
  return axes
}

export const Unsqueeze: HostOp = (call) => [withDims(input(call, 0), unsqueezeDims(input(call, 0).dims, unsqueezeAxes(call)))]

/** Two dimensions: everything before `axis`, everything from it on. `axis` may equal the rank. */
export function flattenDims(dims: readonly number[], axis: number): number[] {
  const at = axis === dims.length ? axis : axisOf(axis, dims.length)
  return [elementCount(dims.slice(0, at)), elementCount(dims.slice(at))]
}

export const Flatten: HostOp = (call) => {
  const x = input(call, 0)
  return [withDims(x, flattenDims(x.dims, intAttribute(call.node, 'axis', 1)))]
}
