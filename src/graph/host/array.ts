/**
 * Arrays of the host interpreter: a shape, an element type and plain numbers. Floats are rounded to float32 by their storage,
 * as onnxruntime does; integers and bools (0 or 1) are numbers exact to 2^53. Arrays may be shared and are never written to
 * once made.
 */
import { elementCount, GraphError, type DType, type Tensor } from '../ir'
import { fromFloat32, fromIntegers, toFloat32, toIntegerArray } from '../tensor'

/** Every floating type of the file is float32 here, and 4-bit integers are 8-bit ones. */
export type NdDType = 'float32' | 'int64' | 'int32' | 'int16' | 'int8' | 'uint64' | 'uint32' | 'uint16' | 'uint8' | 'bool'

export interface NdArray {
  readonly dtype: NdDType
  readonly dims: readonly number[]
  readonly data: Float32Array | Float64Array
}

/** Shape and mask arithmetic is small; a result beyond this is a hostile or unsuitable graph (256 MB of floats). */
export const MAX_ELEMENTS = 64 * 1024 * 1024

/** Axes of a value: ONNX has no limit, onnxruntime's kernels take 8 or fewer. */
const MAX_RANK = 32

export function checkedCount(dims: readonly number[]): number {
  if (dims.length > MAX_RANK) throw new GraphError(`a value of ${dims.length} axes, the limit is ${MAX_RANK}`)
  for (const dim of dims) {
    if (!Number.isInteger(dim) || dim < 0) throw new GraphError(`[${dims.join(', ')}] is not a shape`)
  }
  const count = elementCount(dims)
  if (!(count <= MAX_ELEMENTS))
    throw new GraphError(`a result of [${dims.join(', ')}] would have ${count} elements, the limit is ${MAX_ELEMENTS}`)
  return count
}

/** A new array of zeros. @throws GraphError when it would be too large */
export function zeros(
  dtype: NdDType,
  dims: readonly number[],
): { dtype: NdDType; dims: readonly number[]; data: Float32Array | Float64Array } {
  const count = checkedCount(dims)
  return { dtype, dims, data: dtype === 'float32' ? new Float32Array(count) : new Float64Array(count) }
}

export function full(dtype: NdDType, dims: readonly number[], value: number): NdArray {
  const out = zeros(dtype, dims)
  out.data.fill(value)
  return out
}

export function fromNumbers(dtype: NdDType, dims: readonly number[], values: ArrayLike<number>): NdArray {
  if (checkedCount(dims) !== values.length) throw new GraphError(`${values.length} elements don't fill [${dims.join(', ')}]`)
  return { dtype, dims, data: dtype === 'float32' ? Float32Array.from(values) : Float64Array.from(values) }
}

/** A one-dimensional int64 array, as shapes are. */
export const int64s = (values: readonly number[]): NdArray => fromNumbers('int64', [values.length], values)

/** The same elements under another shape of the same size. */
export function withDims(x: NdArray, dims: readonly number[]): NdArray {
  if (checkedCount(dims) !== x.data.length) throw new GraphError(`[${x.dims.join(', ')}] can't be seen as [${dims.join(', ')}]`)
  return { ...x, dims }
}

export const isFloat = (x: { readonly dtype: NdDType }): boolean => x.dtype === 'float32'

/** The type a file's element type has here. @throws GraphError for strings */
export function ndDType(dtype: DType): NdDType {
  switch (dtype) {
    case 'float16':
    case 'bfloat16':
    case 'float64':
      return 'float32'
    case 'int4':
      return 'int8'
    case 'uint4':
      return 'uint8'
    case 'string':
      throw new GraphError('string tensors are not supported')
    default:
      return dtype
  }
}

/** A view of the file where it is aligned float32, a copy otherwise. */
export function fromTensor(tensor: Tensor): NdArray {
  const dtype = ndDType(tensor.dtype)
  checkedCount(tensor.dims)
  if (dtype === 'float32') return { dtype, dims: tensor.dims, data: toFloat32(tensor) }
  return { dtype, dims: tensor.dims, data: toIntegerArray(tensor) }
}

/** As a constant of a Program: float32, int32 or bool. @throws GraphError for integers beyond int32 */
export function toTensor(x: NdArray): Tensor {
  if (x.data instanceof Float32Array) return fromFloat32(x.dims, x.data)
  return fromIntegers(x.dtype === 'bool' ? 'bool' : 'int32', x.dims, x.data)
}

/** As fed to a Program. */
export function toFeed(x: NdArray): Float32Array | Int32Array | Uint8Array {
  if (x.data instanceof Float32Array) return x.data
  return x.dtype === 'bool' ? Uint8Array.from(x.data) : Int32Array.from(x.data)
}

/** The integers of an array of indices, axes or dimensions. @throws GraphError for floats */
export function integers(x: NdArray): number[] {
  if (isFloat(x)) throw new GraphError('integers are expected, these are floats')
  return Array.from(x.data)
}

/** The one number of a scalar (or of an array with one element). */
export function scalar(x: NdArray): number {
  const value = x.data[0]
  if (value === undefined || x.data.length !== 1) throw new GraphError(`a scalar is expected, this is [${x.dims.join(', ')}]`)
  return value
}

/** Counts a negative axis from the end. @throws GraphError when out of range */
export function axisOf(axis: number, rank: number): number {
  const positive = axis < 0 ? axis + rank : axis
  if (!Number.isInteger(positive) || positive < 0 || positive >= rank)
    throw new GraphError(`axis ${axis} of a value with ${rank} axes`)
  return positive
}

export function stridesOf(dims: readonly number[]): number[] {
  const strides = new Array<number>(dims.length)
  let stride = 1
  for (let axis = dims.length - 1; axis >= 0; axis--) {
    strides[axis] = stride
    stride *= dims[axis] ?? 1
  }
  return strides
}

/** numpy broadcasting. @throws GraphError when the shapes don't fit */
export function broadcastDims(...shapes: (readonly number[])[]): number[] {
  const rank = shapes.reduce((most, dims) => Math.max(most, dims.length), 0)
  const out = new Array<number>(rank).fill(1)
  for (const dims of shapes) {
    dims.forEach((dim, i) => {
      const axis = rank - dims.length + i
      const sofar = out[axis] ?? 1
      if (dim === sofar || dim === 1) return
      if (sofar !== 1) throw new GraphError(`shapes ${shapes.map((s) => `[${s.join(', ')}]`).join(' and ')} don't broadcast`)
      out[axis] = dim
    })
  }
  return out
}

/** Strides that walk `source` as if it were broadcast to `dims`. */
export function broadcastStrides(source: readonly number[], dims: readonly number[]): number[] {
  const own = stridesOf(source)
  const lead = dims.length - source.length
  return dims.map((_, axis) => (axis < lead || source[axis - lead] === 1 ? 0 : (own[axis - lead] ?? 0)))
}

/**
 * Calls visit(i, offset) for the elements i = 0, 1, ... of `dims`, where offset = start + sum(index[axis] * strides[axis]).
 * The innermost axis is a plain loop; that is where the time goes.
 */
export function forEachOffset(
  dims: readonly number[],
  strides: readonly number[],
  visit: (i: number, offset: number) => void,
  start = 0,
): void {
  const count = elementCount(dims)
  if (count === 0) return
  const inner = dims.at(-1) ?? 1
  const step = strides.at(-1) ?? 0
  const index = new Array<number>(Math.max(0, dims.length - 1)).fill(0)
  let base = start
  for (let i = 0; i < count; i += inner) {
    for (let j = 0; j < inner; j++) visit(i + j, base + j * step)
    for (let axis = index.length - 1; axis >= 0; axis--) {
      const next = (index[axis] ?? 0) + 1
      base += strides[axis] ?? 0
      if (next < (dims[axis] ?? 0)) {
        index[axis] = next
        break
      }
      index[axis] = 0
      base -= next * (strides[axis] ?? 0)
    }
  }
}

/** Copies `x`, walked with `strides` from `start`, into a new array of shape `dims`: every movement op is this. */
export function gatherStrided(x: NdArray, dims: readonly number[], strides: readonly number[], start = 0): NdArray {
  const out = zeros(x.dtype, dims)
  const { data } = x
  const target = out.data
  forEachOffset(dims, strides, (i, offset) => (target[i] = data[offset] ?? NaN), start)
  return out
}
