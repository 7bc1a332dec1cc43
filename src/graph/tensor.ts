/**
 * Numbers in and out of a file's constants: every ONNX element type to float32 or to integers, and back into a tensor.
 *
 * It converts values one by one and nothing else: block-quantised weights (scale, zero point) are dequantised by whoever
 * knows the node they belong to. Bytes are little-endian, as in onnx.proto and on every platform JavaScript runs on.
 */
import { BYTES_PER_ELEMENT, elementCount, GraphError, type DType, type Tensor } from './ir'
import { readChunk, type ByteSlice, type Chunk, type ReadBuffer } from './source'

type Numeric = Exclude<DType, 'string'>

/** Largest finite float16, where float32 values are not rounded up to infinity before. */
const FLOAT16_MAX_EXPONENT = 15

const scratch = new DataView(new ArrayBuffer(4))

/** The float32 value of IEEE binary16 bits (0..65535). Exact; subnormals, infinities and NaN included. */
export function float16ToFloat32(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const mantissa = bits & 0x3ff
  if (exponent === 0) return sign * mantissa * 2 ** -24
  if (exponent === 0x1f) return mantissa === 0 ? sign * Infinity : NaN
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15)
}

/** IEEE binary16 bits of a number, rounded to nearest even; too large becomes infinity, too small zero, NaN 0x7e00. */
export function float32ToFloat16(value: number): number {
  if (Number.isNaN(value)) return 0x7e00
  scratch.setFloat32(0, value, true)
  const bits = scratch.getUint32(0, true)
  const sign = (bits >>> 16) & 0x8000
  const exponent = ((bits >>> 23) & 0xff) - 127
  if (exponent > FLOAT16_MAX_EXPONENT) return sign | 0x7c00
  const mantissa = (bits & 0x7fffff) | (exponent === -127 ? 0 : 0x800000)
  // Below 2^-14 the result is subnormal: its last bit is 2^-24, so more of the mantissa falls off.
  const dropped = exponent < -14 ? -exponent - 1 : 13
  if (dropped > 24) return sign
  const kept = mantissa >>> dropped
  const rest = mantissa & ((1 << dropped) - 1)
  const half = 1 << (dropped - 1)
  const rounded = kept + (rest > half || (rest === half && (kept & 1) === 1) ? 1 : 0)
  // A normal number's leading one sits on the lowest exponent bit, so adding carries into the exponent by itself.
  return sign | (exponent < -14 ? rounded : ((exponent + 14) << 10) + rounded)
}

let float16Table: Float32Array | undefined

/** All 65536 binary16 values: a lookup is several times faster than decoding weights one by one. */
function float16Values(): Float32Array {
  float16Table ??= Float32Array.from({ length: 65536 }, (_, bits) => float16ToFloat32(bits))
  return float16Table
}

/** Bytes of a tensor; reads nothing. */
export const byteLength = (tensor: Tensor): number => tensor.stored?.length ?? tensor.bytes.byteLength

/** A tensor's bytes as a piece of a file; reads nothing. */
export const chunkOf = (tensor: Tensor): Chunk => tensor.stored ?? tensor.bytes

/** A tensor over some of a file: stored where the file is not in memory, unless it is as small as `keep_bytes`. */
export function tensorOver(dtype: DType, dims: readonly number[], slice: ByteSlice, keep_bytes: number): Tensor {
  if (slice.source.in_memory || slice.length <= keep_bytes) return { dtype, dims, bytes: readChunk(slice) }
  return {
    dtype,
    dims,
    get bytes() {
      return readChunk(slice)
    },
    stored: slice,
  }
}

/** The same bytes as a tensor of another shape (or packing); nothing is read. */
export function viewAs(tensor: Tensor, dims: readonly number[], dtype: DType = tensor.dtype): Tensor {
  return tensor.stored ? tensorOver(dtype, dims, tensor.stored, 0) : { dtype, dims, bytes: tensor.bytes }
}

/** Bytes `begin` to `begin + length` of a tensor as one of its own; nothing is read. */
export function partOf(tensor: Tensor, dims: readonly number[], begin: number, length: number): Tensor {
  const { dtype, stored } = tensor
  if (!stored) return { dtype, dims, bytes: tensor.bytes.subarray(begin, begin + length) }
  return tensorOver(dtype, dims, { source: stored.source, offset: stored.offset + begin, length }, 0)
}

/** Bytes `begin` to `begin + length` of a tensor; only they are read, to `buffer` if there is one. A view of a tensor in memory. */
export function someBytes(tensor: Tensor, begin: number, length: number, buffer: ReadBuffer | null = null): Uint8Array {
  if (!tensor.stored) return tensor.bytes.subarray(begin, begin + length)
  const slice = { source: tensor.stored.source, offset: tensor.stored.offset + begin, length }
  return buffer ? buffer.read(slice) : readChunk(slice)
}

function describe(tensor: Tensor): string {
  return `${tensor.dtype}[${tensor.dims.join(', ')}]`
}

/** Number of elements, once dtype and byte length are known to fit. */
function checkedCount(tensor: Tensor): number {
  if (tensor.dtype === 'string') throw new GraphError(`${describe(tensor)}: strings have no numbers`)
  const count = elementCount(tensor.dims)
  const expected = Math.ceil(count * BYTES_PER_ELEMENT[tensor.dtype])
  if (expected !== byteLength(tensor)) {
    throw new GraphError(`${describe(tensor)} takes ${expected} bytes, but its data has ${byteLength(tensor)}`)
  }
  return count
}

/** The bytes at an offset their element size divides: themselves where they lie so already, else a copy. */
function aligned(bytes: Uint8Array, size: number): Uint8Array {
  // Not bytes.slice(): on a Node Buffer that is a view, still unaligned.
  return bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes)
}

/** 4-bit elements, low nibble first. */
function unpackNibbles(bytes: Uint8Array, count: number, signed: boolean): Int8Array {
  const out = new Int8Array(count)
  for (let i = 0; i < count; i++) {
    const byte = bytes[i >> 1] ?? 0
    const nibble = i & 1 ? byte >> 4 : byte & 0xf
    out[i] = signed && nibble > 7 ? nibble - 16 : nibble
  }
  return out
}

type NumberArray =
  | Float32Array
  | Float64Array
  | Int32Array
  | Int16Array
  | Int8Array
  | Uint32Array
  | Uint16Array
  | Uint8Array
  | BigInt64Array
  | BigUint64Array

/** The elements as the typed array of their dtype (float16 and bfloat16 as their bits), a view wherever alignment allows. */
function typedView(tensor: Tensor): NumberArray {
  const count = checkedCount(tensor)
  const dtype: DType = tensor.dtype
  if (dtype === 'string') throw new GraphError(`${describe(tensor)}: strings have no numbers`)
  if (dtype === 'int4' || dtype === 'uint4') return unpackNibbles(tensor.bytes, count, dtype === 'int4')
  const bytes = aligned(tensor.bytes, BYTES_PER_ELEMENT[dtype])
  const make = VIEWS[dtype]
  return new make(bytes.buffer, bytes.byteOffset, count)
}

type ViewConstructor = new (buffer: ArrayBufferLike, byteOffset: number, length: number) => NumberArray

const VIEWS: Readonly<Record<Exclude<Numeric, 'int4' | 'uint4'>, ViewConstructor>> = {
  float32: Float32Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  float64: Float64Array,
  int64: BigInt64Array,
  int32: Int32Array,
  int16: Int16Array,
  int8: Int8Array,
  uint64: BigUint64Array,
  uint32: Uint32Array,
  uint16: Uint16Array,
  uint8: Uint8Array,
  bool: Uint8Array,
}

/**
 * The elements as float32: a view into the file for aligned float32 data, a copy otherwise. Treat it as read-only.
 * @throws GraphError for strings, or when the byte length does not fit dtype and dims
 */
export function toFloat32(tensor: Tensor): Float32Array {
  const view = typedView(tensor)
  if (view instanceof Float32Array) return view
  const out = new Float32Array(view.length)
  if (tensor.dtype === 'float16') {
    const table = float16Values()
    for (let i = 0; i < out.length; i++) out[i] = table[Number(view[i])] ?? 0
  } else if (tensor.dtype === 'bfloat16') {
    const bits = new Uint32Array(out.buffer)
    for (let i = 0; i < bits.length; i++) bits[i] = Number(view[i]) << 16
  } else if (view instanceof BigInt64Array || view instanceof BigUint64Array) {
    for (let i = 0; i < out.length; i++) out[i] = Number(view[i])
  } else if (tensor.dtype === 'bool') {
    for (let i = 0; i < out.length; i++) out[i] = view[i] === 0 ? 0 : 1
  } else {
    out.set(view)
  }
  return out
}

/**
 * The elements as numbers; 64-bit ones beyond 2^53 become +-Number.MAX_SAFE_INTEGER (INT64_MAX means "to the end").
 * @throws GraphError for floats and strings, or when the byte length does not fit dtype and dims
 */
export function toIntegerArray(tensor: Tensor): Float64Array {
  if (/float|string/.test(tensor.dtype)) throw new GraphError(`${describe(tensor)}: integers are expected here`)
  const view = typedView(tensor)
  const limit = Number.MAX_SAFE_INTEGER
  const bool = tensor.dtype === 'bool'
  const out = new Float64Array(view.length)
  for (let i = 0; i < out.length; i++) {
    const value = Math.max(-limit, Math.min(limit, Number(view[i])))
    out[i] = bool ? Number(value !== 0) : value
  }
  return out
}

/** The same as a list, for shapes and axes. */
export const toIntegers = (tensor: Tensor): number[] => Array.from(toIntegerArray(tensor))

/** A float32 tensor over `data`, without a copy. @throws GraphError when dims and data differ in size */
export function fromFloat32(dims: readonly number[], data: Float32Array): Tensor {
  const tensor: Tensor = { dtype: 'float32', dims, bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) }
  checkedCount(tensor)
  return tensor
}

/** Integer element types `fromIntegers` writes. */
export type IntegerDType = Exclude<Numeric, 'float32' | 'float16' | 'bfloat16' | 'float64' | 'int4' | 'uint4'>

/** A tensor of integers (or bools: 0 or 1). @throws GraphError for a wrong count or a number the type can't hold */
export function fromIntegers(dtype: IntegerDType, dims: readonly number[], data: ArrayLike<number>): Tensor {
  const size = BYTES_PER_ELEMENT[dtype]
  const view = new DataView(new ArrayBuffer(data.length * size))
  const [low, high] = INTEGER_RANGES[dtype]
  for (let i = 0; i < data.length; i++) {
    const value = data[i] ?? NaN
    if (!Number.isInteger(value) || value < low || value > high) {
      throw new GraphError(`${dtype}[${dims.join(', ')}]: element ${i} is ${value}`)
    }
    if (size === 8) view.setBigInt64(i * 8, BigInt(value), true)
    else if (size === 4) view.setInt32(i * 4, value, true)
    else if (size === 2) view.setInt16(i * 2, value, true)
    else view.setInt8(i, value)
  }
  const tensor: Tensor = { dtype, dims, bytes: new Uint8Array(view.buffer) }
  checkedCount(tensor)
  return tensor
}

const INTEGER_RANGES: Readonly<Record<IntegerDType, readonly [number, number]>> = {
  int64: [-Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  uint64: [0, Number.MAX_SAFE_INTEGER],
  int32: [-(2 ** 31), 2 ** 31 - 1],
  uint32: [0, 2 ** 32 - 1],
  int16: [-(2 ** 15), 2 ** 15 - 1],
  uint16: [0, 2 ** 16 - 1],
  int8: [-128, 127],
  uint8: [0, 255],
  bool: [0, 1],
}
