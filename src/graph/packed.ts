/**
 * Weights packed into a few bits a number, as files of q4, q8 and bnb4 models hold them: where each code lies, and what scale, zero point or
 * codebook turns it into a number. One description for all of these layouts, so that an engine has one kernel for them. It knows bytes
 * and nothing of nodes: normalize/packed.ts reads them from the file.
 */
import { GraphError } from './ir'

/**
 * A matrix [rows, columns] of codes, row-major, `row_stride` codes from one row to the next, several to a byte.
 * Its element (r, c) is (code - zero point) * scale, or codebook[code] * scale, with scale and zero point number
 * floor(r / block_rows) * ceil(columns / block_columns) + floor(c / block_columns).
 */
export interface PackedFormat {
  readonly bits: 2 | 4 | 8
  /** Codes are in two's complement. */
  readonly signed: boolean
  readonly rows: number
  readonly columns: number
  readonly row_stride: number
  readonly block_rows: number
  readonly block_columns: number
  /** The weight is the transpose of the stored matrix: rows are its N outputs, columns its K inputs. */
  readonly transposed: boolean
  /** The zero point of every block where none are given. */
  readonly zero_point: number
  /** With a codebook the first code of a byte is in its high bits; without, in its low ones. */
  readonly codebook: Codebook | null
}

export type Codebook = 'nf4' | 'fp4'

/** onnxruntime's tables (core/mlas/.../blockwise_quant_block_bnb4.h): NF4 of Dettmers et al. 2023, FP4 of bitsandbytes. */
export const CODEBOOKS: Readonly<Record<Codebook, readonly number[]>> = {
  nf4: [
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
  ],
  fp4: [
    0.0, 5.208333333e-3, 0.66666667, 1.0, 0.33333333, 0.5, 0.16666667, 0.25, -0.0, -5.208333333e-3, -0.66666667, -1.0,
    -0.33333333, -0.5, -0.16666667, -0.25,
  ],
}

/** A [K,N] weight of whole bytes with one scale, or one for each column. */
export function bytesFormat(type: { readonly dtype: string; readonly dims: readonly number[] }, scales: number): PackedFormat {
  const [rows = 1, columns = 1] = type.dims
  return {
    bits: 8,
    signed: type.dtype === 'int8',
    rows,
    columns,
    row_stride: columns,
    block_rows: rows,
    block_columns: scales === 1 ? columns : 1,
    transposed: false,
    zero_point: 0,
    codebook: null,
  }
}

/** [K, N] of the weight as a product sees it. */
export function weightDims({ rows, columns, transposed }: PackedFormat): readonly [inner: number, outer: number] {
  return transposed ? [columns, rows] : [rows, columns]
}

/** Scales to a row of blocks, and rows of blocks. */
export function blockGrid(format: PackedFormat): { readonly across: number; readonly down: number } {
  return {
    across: Math.ceil(format.columns / format.block_columns),
    down: Math.ceil(format.rows / format.block_rows),
  }
}

/** Number of scales. */
export function blockCount(format: PackedFormat): number {
  const { across, down } = blockGrid(format)
  return across * down
}

/** Bytes the codes take. */
export function packedBytes({ bits, rows, row_stride }: PackedFormat): number {
  return Math.ceil((rows * row_stride * bits) / 8)
}

/** @throws GraphError when codes, scales or zero points are not as many as the format needs */
export function checkPacked(format: PackedFormat, codes: number, scales: number, zero_points: number | null): void {
  const bytes = packedBytes(format)
  const blocks = blockCount(format)
  const matrix = `${format.bits}-bit codes of [${format.rows}, ${format.columns}]`
  if (codes !== bytes) throw new GraphError(`${matrix} take ${bytes} bytes, there are ${codes}`)
  if (scales !== blocks) throw new GraphError(`${matrix} have ${blocks} blocks, there are ${scales} scales`)
  if (zero_points !== null && zero_points !== blocks)
    throw new GraphError(`${matrix} have ${blocks} blocks, there are ${zero_points} zero points`)
}

/** Code number `index` as a whole number. */
export function codeAt(
  bytes: Uint8Array,
  index: number,
  { bits, signed, codebook }: Pick<PackedFormat, 'bits' | 'signed' | 'codebook'>,
): number {
  const per = 8 / bits
  const slot = index % per
  const byte = bytes[Math.floor(index / per)] ?? 0
  const code = (byte >> (bits * (codebook ? per - 1 - slot : slot))) & (2 ** bits - 1)
  return signed && code >= 2 ** (bits - 1) ? code - 2 ** bits : code
}

/** What a packed matrix is made of. */
export interface PackedParts {
  readonly codes: Uint8Array
  /** One for each block; null: all 1. */
  readonly scales: Float32Array | null
  /** One for each block, codes or (rarely) numbers between them; null: the format's own. */
  readonly zero_points: ArrayLike<number> | null
}

/** Writes rows [first, first + count) of the stored matrix as numbers to the start of `out`. */
export function expandRows(format: PackedFormat, parts: PackedParts, first: number, count: number, out: Float32Array): void {
  const { columns, row_stride, block_rows, block_columns } = format
  const { codes, scales, zero_points } = parts
  const { across } = blockGrid(format)
  const book = format.codebook && CODEBOOKS[format.codebook]
  let o = 0
  for (let r = first; r < first + count; r++) {
    const blocks = Math.floor(r / block_rows) * across
    for (let c = 0; c < columns; c++) {
      const block = blocks + Math.floor(c / block_columns)
      const code = codeAt(codes, r * row_stride + c, format)
      const value = book ? (book[code] ?? 0) : code - (zero_points?.[block] ?? format.zero_point)
      out[o++] = scales ? value * (scales[block] ?? NaN) : value
    }
  }
}
