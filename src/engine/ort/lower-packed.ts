/**
 * Products with weights of a few bits a number. Forward they are onnxruntime's own MatMulNBits and MatMulBnb4 where the layout allows it;
 * everything else expands the codes just before the product that reads them. The gradient takes the same initializers as the forward
 * half.
 */
import type { Attribute, Tensor } from '../../graph/ir'
import { blockGrid, CODEBOOKS, type Codebook, type PackedFormat } from '../../graph/packed'
import type { OpNamed } from '../../graph/program'
import { byteLength, fromFloat32, viewAs } from '../../graph/tensor'
import { EngineError } from '../engine'
import { int, INT32, MICROSOFT, type GraphBuilder } from './graph-builder'
import { matMul } from './lower-matmul'

type PackedOp = OpNamed<'PackedMatMul' | 'PackedMatMulGrad'>

export function lowerPackedMatMul(op: PackedOp, builder: GraphBuilder): void {
  const { attrs, outputs } = op
  const x = builder.input(op, 0)
  const forward = op.op === 'PackedMatMul'
  const weight = weightOf(op, builder)
  if (attrs.codebook && forward) matMulBnb4(builder, x, weight, outputs)
  else if (attrs.codebook) matMul(builder, x, lookedUp(builder, weight, attrs.codebook), { outputs })
  else if (!isBlockwise(attrs))
    matMul(builder, x, dequantized(builder, weight), { transB: forward === attrs.transposed, outputs })
  else if (forward) matMulNBits(builder, x, weight, outputs)
  else blockwiseGrad(builder, x, weight, builder.dims(builder.output(op, 0)).slice(0, -1), outputs)
}

/** Blocks along whole rows that are the outputs: MatMulNBits' layout. */
function isBlockwise({ codebook, signed, transposed, block_rows, block_columns, row_stride, columns }: PackedFormat): boolean {
  const whole = row_stride === Math.ceil(columns / block_columns) * block_columns
  return (
    !codebook &&
    !signed &&
    transposed &&
    block_rows === 1 &&
    whole &&
    block_columns >= 16 &&
    Number.isInteger(Math.log2(block_columns))
  )
}

/** A packed weight's constants. */
interface PackedConstants {
  readonly format: PackedFormat
  readonly across: number
  readonly down: number
  readonly codes: Tensor
  /** [down, across], as the zero points. */
  readonly scales: Tensor
  readonly zero_points: Tensor | null
  /** Tells its initializers from those of others. */
  readonly key: string
}

function weightOf(op: PackedOp, builder: GraphBuilder): PackedConstants {
  const constant = (i: number): Tensor => {
    const name = builder.input(op, i)
    const tensor = builder.program.constants.get(name)
    if (!tensor) throw new EngineError(`${op.op} '${op.name}': '${name}' has to be a constant`)
    return tensor
  }
  const { across, down } = blockGrid(op.attrs)
  const blocks = (tensor: Tensor): Tensor => viewAs(tensor, [down, across])
  return {
    format: op.attrs,
    across,
    down,
    codes: constant(1),
    scales: blocks(constant(2)),
    zero_points: op.inputs.length > 3 ? blocks(constant(3)) : null,
    key: op.inputs.slice(1).join(' '),
  }
}

function initializer(builder: GraphBuilder, { key }: PackedConstants, part: string, tensor: Tensor): string {
  return builder.held(`${part} of ${key} ${tensor.dtype} [${tensor.dims.join()}]`, tensor)
}

/** The codes as MatMulNBits wants them, [N, blocks, bytes]. */
function blobs(builder: GraphBuilder, weight: PackedConstants): string {
  const { bits, rows, block_columns } = weight.format
  const dims = [rows, weight.across, (block_columns * bits) / 8]
  return initializer(builder, weight, 'codes', viewAs(weight.codes, dims, 'uint8'))
}

function matMulNBits(builder: GraphBuilder, x: string, weight: PackedConstants, outputs: readonly string[]): string {
  const { bits, rows, columns, row_stride, block_columns, zero_point } = weight.format
  const zeros = weight.zero_points
  // onnxruntime has no float zero points beside 8-bit codes.
  if (bits === 8 && zeros?.dtype === 'float32') {
    const padded = builder.expanding('Reshape', [blockwise(builder, weight, 0), builder.int64s([rows, row_stride])])
    const whole = builder.expanding('Slice', [padded, builder.int64s([0]), builder.int64s([columns]), builder.int64s([1])])
    return matMul(builder, x, whole, { transB: true, outputs })
  }
  const inputs = [x, blobs(builder, weight), initializer(builder, weight, 'scales', weight.scales)]
  if (zeros) inputs.push(initializer(builder, weight, 'zero points', zeros.dtype === 'float32' ? zeros : packRows(zeros, bits)))
  else if (zero_point !== 2 ** (bits - 1)) {
    const bytes = new Uint8Array(rows * weight.across).fill(zero_point)
    inputs.push(
      initializer(builder, weight, 'zero points', packRows({ dtype: 'uint8', dims: [rows, weight.across], bytes }, bits)),
    )
  }
  const attributes = { K: int(columns), N: int(rows), bits: int(bits), block_size: int(block_columns) }
  return builder.node('MatMulNBits', inputs, { outputs, attributes, domain: MICROSOFT })
}

/** Codes of [rows, blocks], a byte each, packed row by row. */
function packRows({ dims, bytes }: Tensor, bits: number): Tensor {
  const [rows = 1, blocks = 1] = dims
  const per = 8 / bits
  const width = Math.ceil(blocks / per)
  const packed = new Uint8Array(rows * width)
  for (let i = 0; i < rows * blocks; i++) {
    const [row, block] = [Math.floor(i / blocks), i % blocks]
    const at = row * width + Math.floor(block / per)
    packed[at] = (packed[at] ?? 0) | ((bytes[i] ?? 0) << ((block % per) * bits))
  }
  return { dtype: 'uint8', dims: [rows, width], bytes: packed }
}

/**
 * dy [...,N] w: the codes that stand first in their bytes make one matrix, those that stand second another; each half of the result's columns
 * is a product with one, and only the small results are put into order.
 */
function blockwiseGrad(
  builder: GraphBuilder,
  dy: string,
  weight: PackedConstants,
  lead: readonly number[],
  outputs: readonly string[],
): string {
  const { bits, rows, columns, row_stride } = weight.format
  const per = 8 / bits
  const products = Array.from({ length: per }, (_, slot) =>
    matMul(
      builder,
      dy,
      builder.expanding('Reshape', [blockwise(builder, weight, slot), builder.int64s([rows, row_stride / per])]),
    ),
  )
  const apart = products.map((product) => builder.node('Unsqueeze', [product, builder.int64s([-1])]))
  const pairs = builder.node('Concat', apart, { attributes: { axis: int(-1) } })
  const padded = builder.node('Reshape', [pairs, builder.int64s([...lead, row_stride])])
  return builder.node('Slice', [padded, builder.int64s([0]), builder.int64s([columns]), builder.int64s([-1])], { outputs })
}

/** The numbers of every code at one place of its byte, [N, blocks, bytes of a block]. */
function blockwise(builder: GraphBuilder, weight: PackedConstants, slot: number): string {
  const { bits, zero_point } = weight.format
  const per = 8 / bits
  let codes = blobs(builder, weight)
  const byte = (value: number) => builder.held(`uint8 ${value}`, { dtype: 'uint8', dims: [], bytes: Uint8Array.of(value) })
  if (slot > 0)
    codes = builder.expanding('BitShift', [codes, byte(slot * bits)], { direction: { type: 'string', value: 'RIGHT' } })
  if (slot < per - 1) codes = builder.expanding('BitwiseAnd', [codes, byte(2 ** bits - 1)])
  const perBlock = builder.int64s([weight.format.rows, weight.across, 1])
  const scales = builder.expanding('Reshape', [initializer(builder, weight, 'scales', weight.scales), perBlock])
  const { zero_points } = weight
  // Several times as fast here as DequantizeLinear in blocks.
  if (!zero_points && Number.isInteger(zero_point)) return builder.expanding('Mul', [floatOf(builder, codes, zero_point), scales])
  const numbers = floatOf(builder, codes)
  const zeros = zero_points ? storedZeros(zero_points) : builder.scalar(zero_point)
  return builder.expanding('Mul', [builder.expanding('Sub', [numbers, zeros]), scales])

  function storedZeros(stored: Tensor): string {
    const floats = stored.dtype === 'float32'
    const part = floats ? 'zero points' : 'zero points as bytes'
    const zeros = builder.expanding('Reshape', [initializer(builder, weight, part, stored), perBlock])
    return floats ? zeros : floatOf(builder, zeros)
  }
}

/**
 * Bytes, less a whole number, as float32; exact. By DequantizeLinear, though a Cast would do: onnxruntime's Cast is one function for all pairs of
 * types (490 KB of wasm), and V8 takes 217 MB and five seconds to optimise it once it is called often, in the middle of the first step
 * (--trace-wasm-compilation-times; npm run size: the process' peak of the 0.5B q4 model was 1.32 times weights and activations instead of 1.12).
 */
function floatOf(builder: GraphBuilder, bytes: string, less = 0): string {
  const zero = builder.held(`uint8 ${less}`, { dtype: 'uint8', dims: [], bytes: Uint8Array.of(less) })
  return builder.expanding('DequantizeLinear', [bytes, builder.scalar(1), zero])
}

/** All codes of a bnb4 weight in one dimension. */
function flatCodes(builder: GraphBuilder, weight: PackedConstants): string {
  return initializer(builder, weight, 'codes', viewAs(weight.codes, [byteLength(weight.codes)], 'uint8'))
}

function matMulBnb4(builder: GraphBuilder, x: string, weight: PackedConstants, outputs: readonly string[]): string {
  const { rows, columns, block_rows, block_columns, codebook } = weight.format
  const scales = initializer(builder, weight, 'scales', viewAs(weight.scales, [weight.down * weight.across]))
  const attributes = {
    K: int(columns),
    N: int(rows),
    block_size: int(block_rows * block_columns),
    quant_type: int(codebook === 'nf4' ? 1 : 0),
  }
  return builder.node('MatMulBnb4', [x, flatCodes(builder, weight), scales], { outputs, attributes, domain: MICROSOFT })
}

/** The numbers [N, K] of a bnb4 weight: a table has both numbers of every byte (MatMulBnb4's own transB 0 gives wrong numbers, 1.31). */
function lookedUp(builder: GraphBuilder, weight: PackedConstants, codebook: Codebook): string {
  const { rows, columns, block_rows, block_columns } = weight.format
  const book = CODEBOOKS[codebook]
  const pairs = Float32Array.from({ length: 512 }, (_, i) => book[i % 2 === 0 ? i >> 5 : (i >> 1) & 15] ?? NaN)
  const table = builder.held(`${codebook} pairs`, fromFloat32([256, 2], pairs))
  const index = builder.expanding('Cast', [flatCodes(builder, weight)], { to: int(INT32) })
  const both = builder.expanding('Reshape', [builder.expanding('Gather', [table, index]), builder.int64s([-1])])
  const all = builder.expanding('Slice', [both, builder.int64s([0]), builder.int64s([rows * columns]), builder.int64s([0])])
  const blocks = builder.expanding('Reshape', [all, builder.int64s([rows, weight.across, block_columns])])
  const flat = initializer(builder, weight, 'scales', viewAs(weight.scales, [weight.down * weight.across]))
  let scales = builder.expanding('Reshape', [flat, builder.int64s([weight.down, weight.across, 1])])
  if (block_rows > 1) {
    const row = Array.from({ length: rows }, (_, r) => Math.floor(r / block_rows))
    scales = builder.expanding('Gather', [scales, builder.int32s([rows], row)], { axis: int(0) })
  }
  return builder.expanding('Reshape', [builder.expanding('Mul', [blocks, scales]), builder.int64s([rows, columns])])
}

/** Any other layout, by DequantizeLinear: [rows, columns] as stored. */
function dequantized(builder: GraphBuilder, weight: PackedConstants): string {
  const { bits, signed, rows, columns, row_stride } = weight.format
  if (row_stride !== columns || bits === 2) {
    throw new EngineError(`wasm: ${bits}-bit weights in rows of ${row_stride} for ${columns} columns are not supported`)
  }
  const dtype = bits === 8 ? (signed ? 'int8' : 'uint8') : signed ? 'int4' : 'uint4'
  const { dims, attributes } = dequantization(weight)
  const inputs = [
    initializer(builder, weight, 'codes', viewAs(weight.codes, [rows, columns], dtype)),
    initializer(builder, weight, 'scales', viewAs(weight.scales, dims)),
  ]
  const zeros = weight.zero_points
  if (zeros) {
    const bytes = bits === 8 ? zeros.bytes : nibbles(zeros.bytes)
    inputs.push(initializer(builder, weight, 'zero points', { dtype, dims, bytes }))
  }
  return builder.expanding('DequantizeLinear', inputs, attributes)
}

/** Shape of the scales and attributes: one scale, one for each entry of an axis, or blocks along one. */
function dequantization({ format, down, across }: PackedConstants): {
  readonly dims: readonly number[]
  readonly attributes: Readonly<Record<string, Attribute>>
} {
  const { block_rows, block_columns } = format
  if (down * across === 1) return { dims: [], attributes: {} }
  if (down === 1 && block_columns === 1) return { dims: [across], attributes: { axis: int(1) } }
  if (across === 1 && block_rows === 1) return { dims: [down], attributes: { axis: int(0) } }
  const [axis, size] = block_rows === 1 ? [1, block_columns] : [0, block_rows]
  return { dims: [down, across], attributes: { axis: int(axis), block_size: int(size) } }
}

/** Codes a byte each, as an int4 or uint4 tensor has them. */
function nibbles(codes: Uint8Array): Uint8Array {
  return Uint8Array.from({ length: Math.ceil(codes.length / 2) }, (_, i) => {
    return ((codes[2 * i] ?? 0) & 15) | (((codes[2 * i + 1] ?? 0) & 15) << 4)
  })
}
