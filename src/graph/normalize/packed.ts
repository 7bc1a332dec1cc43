/**
 * Linear layers whose weight is stored in a few bits a number: com.microsoft MatMulNBits (q4, q2, q8) and MatMulBnb4, and matrix products
 * with a DequantizeLinear of a constant. Each becomes a PackedMatMul on the file's own bytes; only scales in 16-bit floats and packed zero
 * points, which are few, are written anew.
 */
import { elementCount, type DType, type Node, type Tensor } from '../ir'
import { blockCount, codeAt, weightDims, type PackedFormat } from '../packed'
import { byteLength, fromIntegers, viewAs } from '../tensor'
import { axisOf, fromNumbers } from '../host/array'
import { intAttribute } from '../host/attributes'
import { HostLane, type DequantizedWeight, type DeviceLane, type Lane, type PackedWeight } from './lanes'
import { deviceInput, fail, hostInput, type DeviceCall, type DeviceRule } from './rule'

const BLOCKS_BITS: Readonly<Record<number, PackedFormat['bits'] | undefined>> = { 2: 2, 4: 4, 8: 8 }

/** https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MatMulNBits; accuracy_level only says how to round. */
export const MatMulNBits: DeviceRule = (call) => {
  const x = deviceInput(call, 0)
  const { node, emit } = call
  const [rows, columns] = [intAttribute(node, 'N'), intAttribute(node, 'K')]
  const given = intAttribute(node, 'bits', 4)
  const bits = BLOCKS_BITS[given] ?? fail(`${given} bits are not supported (2, 4 and 8 are)`)
  const block = intAttribute(node, 'block_size')
  if (block < 16 || !Number.isInteger(Math.log2(block))) return fail(`block_size ${block} is no power of two from 16 on`)
  const blocks = Math.ceil(columns / block)
  const format: PackedFormat = {
    bits,
    signed: false,
    rows,
    columns,
    row_stride: blocks * block,
    block_rows: 1,
    block_columns: block,
    transposed: true,
    zero_point: 2 ** (bits - 1),
    codebook: null,
  }
  const weight = hostInput(call, 1)
  const groups = call.inputs[4]
  if (groups) {
    const { data } = hostInput(call, 4).constant
    if (data.some((group, k) => k < columns && group !== Math.floor(k / block))) {
      return fail('its g_idx puts the inputs into another order (act-order GPTQ), which is not supported')
    }
  }
  const zero_points = call.inputs[3] ? hostInput(call, 3) : null
  const packed: PackedWeight = {
    format,
    codes: bytesOf(call, weight),
    scales: floatScales(call, hostInput(call, 2)),
    zero_points: zero_points && blockZeroPoints(call, zero_points, format, blocks),
  }
  const product = emit.emitPacked(x, packed)
  const bias = call.inputs[5]
  return [bias ? emit.emit({ op: 'Add', attrs: {} }, [product, bias]) : product]
}

/** https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MatMulBnb4; blocks run on from row to row. */
export const MatMulBnb4: DeviceRule = (call) => {
  const x = deviceInput(call, 0)
  const { node } = call
  const [rows, columns, block] = [intAttribute(node, 'N'), intAttribute(node, 'K'), intAttribute(node, 'block_size')]
  const type = intAttribute(node, 'quant_type')
  if (type !== 0 && type !== 1) return fail(`quant_type ${type} is neither FP4 (0) nor NF4 (1)`)
  if (intAttribute(node, 'transB', 1) !== 1) return fail('transB 0 is not supported')
  if (block < 1 || (columns % block !== 0 && block % columns !== 0)) {
    return fail(`blocks of ${block} numbers don't end with rows of ${columns}`)
  }
  const format: PackedFormat = {
    bits: 4,
    signed: false,
    rows,
    columns,
    row_stride: columns,
    block_rows: Math.max(1, block / columns),
    block_columns: Math.min(block, columns),
    transposed: true,
    zero_point: 0,
    codebook: type === 1 ? 'nf4' : 'fp4',
  }
  const packed = { format, codes: bytesOf(call, hostInput(call, 1)), scales: floatScales(call, hostInput(call, 2)) }
  return [call.emit.emitPacked(x, { ...packed, zero_points: null })]
}

const DEQUANTIZED: Readonly<Partial<Record<DType, Pick<PackedFormat, 'bits' | 'signed'>>>> = {
  int8: { bits: 8, signed: true },
  uint8: { bits: 8, signed: false },
  int4: { bits: 4, signed: true },
  uint4: { bits: 4, signed: false },
}

/**
 * DequantizeLinear of a constant matrix of 4- or 8-bit integers as such a weight: per tensor, per entry of one axis, or in blocks along
 * one. Undefined for everything else.
 */
export function dequantizedWeight(
  node: Node,
  [weight, scale, zero_point = null]: readonly (HostLane | null | undefined)[],
): DequantizedWeight | undefined {
  if (!weight?.file || !scale?.isStatic || (zero_point && !zero_point.isStatic)) return undefined
  const type = DEQUANTIZED[weight.file.dtype]
  const [rows, columns] = weight.dims
  if (!type || rows === undefined || columns === undefined || weight.dims.length !== 2) return undefined
  const blocks = dequantizeBlocks(node, [rows, columns], scale.dims)
  if (!blocks) return undefined
  const [block_rows, block_columns] = blocks
  const format: PackedFormat = {
    ...type,
    rows,
    columns,
    row_stride: columns,
    block_rows,
    block_columns,
    transposed: false,
    zero_point: 0,
    codebook: null,
  }
  if (elementCount(scale.dims) !== blockCount(format) || (zero_point && elementCount(zero_point.dims) !== blockCount(format)))
    return undefined
  return { format, parts: [weight, scale, zero_point] }
}

/** Rows and columns that share a scale. */
function dequantizeBlocks(node: Node, dims: readonly [number, number], scale: readonly number[]): [number, number] | undefined {
  const [rows, columns] = dims
  if (elementCount(scale) === 1) return [rows, columns]
  const axis = axisOf(intAttribute(node, 'axis', 1), 2)
  const size = intAttribute(node, 'block_size', 0)
  if (size === 0) return axis === 0 ? [1, columns] : [rows, 1]
  return axis === 0 ? [size, 1] : [1, size]
}

/** x w for a weight that is dequantised (and maybe transposed) in the file; undefined where `weight` is not one. */
export function packedProduct(call: DeviceCall, x: Lane, weight: Lane, transposed: boolean): DeviceLane | undefined {
  if (weight.kind !== 'host' || !weight.dequantized || x.kind !== 'device' || x.dims.length < 2) return undefined
  const { format, parts } = weight.dequantized
  const [codes, scales, zero_points] = parts
  const oriented = { ...format, transposed }
  if (weightDims(oriented)[0] !== x.dims.at(-1)) return undefined
  return call.emit.emitPacked(x, {
    format: oriented,
    codes: bytesOf(call, codes),
    scales: floatScales(call, scales),
    zero_points: zero_points && bytesEach(call, zero_points, format.signed),
  })
}

/** The codes as bytes of the file: int4 and uint4 are two to a byte already. */
function bytesOf(call: DeviceCall, lane: HostLane): HostLane {
  const { file } = lane
  if (!file) return fail(`the weight '${lane.name}' is not a constant of the file`)
  if (file.dtype === 'int8' || file.dtype === 'uint8') return lane
  if (file.dtype !== 'int4' && file.dtype !== 'uint4')
    return fail(`the weight '${lane.name}' is ${file.dtype}, bytes were expected`)
  return call.emit.derive(lane, 'bytes', (from) => {
    return HostLane.ofTensor(from.name, viewAs(file, [byteLength(file)], 'uint8'))
  })
}

function floatScales(call: DeviceCall, lane: HostLane): HostLane {
  if (lane.dtype !== 'float32') return fail(`the scales '${lane.name}' are ${lane.dtype}`)
  if (lane.file?.dtype === 'float32') return lane
  return call.emit.derive(lane, 'scales', (from) => HostLane.of(`${from.name}~float`, from.constant, { isStatic: from.isStatic }))
}

/** MatMulNBits' zero points, one for each block: floats as they are, or codes packed as the weight's, every row on its own bytes. */
function blockZeroPoints(call: DeviceCall, lane: HostLane, format: PackedFormat, blocks: number): HostLane {
  if (lane.dtype === 'float32') return floatScales(call, lane)
  const { file } = lane
  if (file?.dtype !== 'uint8') return fail(`the zero points '${lane.name}' are ${file?.dtype ?? 'computed'}, uint8 was expected`)
  const { rows, bits } = format
  const row = Math.ceil((blocks * bits) / 8)
  if (file.bytes.byteLength !== rows * row)
    return fail(`${file.bytes.byteLength} bytes of zero points, ${rows * row} were expected`)
  return call.emit.derive(lane, 'zero points of blocks', () => {
    const { bytes } = file
    const codes = Array.from({ length: rows * blocks }, (_, i) => {
      const [r, block] = [Math.floor(i / blocks), i % blocks]
      return codeAt(bytes, (r * row * 8) / bits + block, format)
    })
    return integerLane(`${lane.name}~blocks`, 'uint8', codes)
  })
}

/** DequantizeLinear's zero points, a byte each. */
function bytesEach(call: DeviceCall, lane: HostLane, signed: boolean): HostLane {
  const { file } = lane
  if (file && (file.dtype === 'int8' || file.dtype === 'uint8')) return lane
  return call.emit.derive(lane, 'bytes each', (from) =>
    integerLane(`${from.name}~bytes`, signed ? 'int8' : 'uint8', Array.from(from.constant.data)),
  )
}

function integerLane(name: string, dtype: 'int8' | 'uint8', values: readonly number[]): HostLane {
  const tensor: Tensor = fromIntegers(dtype, [values.length], values)
  const make = () => fromNumbers(dtype, [values.length], values)
  return new HostLane({ name, dims: tensor.dims, dtype, make, isStatic: true, tensor })
}
