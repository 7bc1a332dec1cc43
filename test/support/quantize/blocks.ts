/**
 * 4-bit models: MatMulNBits as onnxruntime's MatMul4BitsQuantizer makes it of every MatMul by a constant (Gemm and Transpose stay float),
 * and GatherBlockQuantized tables as onnxruntime-genai's builder does. Blocks run along a row of the [N,K] weight.
 */
import type { Node, OnnxModel, Tensor } from '../../../src/graph/ir'
import { float16ToFloat32, float32ToFloat16, fromFloat32, fromIntegers, toFloat32 } from '../../../src/graph/tensor'
import { node } from '../onnx'
import { transpose } from './dynamic'
import { floatMatrix, intOf, isOp, outputOf, rewriteNodes, type Site } from './rewrite'

export interface BlockOptions {
  /** Scales rounded to float16, in the twin of a model that is then converted. */
  readonly half_scales?: boolean
  /** Zero points of 4 bits; otherwise all are 8. */
  readonly zero_points: boolean
  /** GatherBlockQuantized tables, one with the head where both are the same matrix. */
  readonly tables: boolean
}

/** How the names of a twin's own weights end. */
export const TWIN = '_of_blocks'

interface Blocks {
  /** [rows, blocks, block_size / 2], low nibble first. */
  readonly packed: Tensor
  /** [rows, blocks]. */
  readonly scales: Tensor
  /** [rows, ceil(blocks / 2)]. */
  readonly zero_points: Tensor
  /** The numbers that are stored, [rows, width]. */
  readonly dequantized: Tensor
  readonly block_size: number
}

/** 32, or the smallest there is where rows are shorter. */
const blockSizeOf = (width: number): number => (width >= 32 ? 32 : 16)

/** Rows of a [rows, width] matrix in blocks of 4-bit numbers; the last block is filled up with zeros. */
export function quantizeBlocks(matrix: Tensor, withZeroPoints: boolean, halfScales = false): Blocks {
  const [rows = 0, width = 0] = matrix.dims
  const block_size = blockSizeOf(width)
  const blocks = Math.ceil(width / block_size)
  const values = toFloat32(matrix)
  const packed = new Uint8Array((rows * blocks * block_size) / 2)
  const scales = new Float32Array(rows * blocks)
  const perRow = Math.ceil(blocks / 2)
  const zero_points = new Uint8Array(rows * perRow)
  const dequantized = new Float32Array(rows * width)
  const storedScale = (scale: number) => (halfScales ? float16ToFloat32(float32ToFloat16(scale)) : scale)
  for (let r = 0; r < rows; r++) {
    for (let b = 0; b < blocks; b++) {
      const block = values.subarray(r * width + b * block_size, r * width + Math.min(width, (b + 1) * block_size))
      const { scale, zero } = withZeroPoints ? asymmetric(block) : symmetric(block)
      scales[r * blocks + b] = scale
      const at = r * perRow + (b >> 1)
      zero_points[at] = (zero_points[at] ?? 0) | (zero << (4 * (b & 1)))
      for (let i = 0; i < block_size; i++) {
        const level = Math.min(15, Math.max(0, Math.round((block[i] ?? 0) / (scale || 1)) + zero))
        const byte = (r * blocks + b) * (block_size / 2) + (i >> 1)
        packed[byte] = (packed[byte] ?? 0) | (level << (4 * (i & 1)))
        if (i < block.length) dequantized[r * width + b * block_size + i] = (level - zero) * storedScale(scale)
      }
    }
  }
  return {
    packed: fromIntegers('uint8', [rows, blocks, block_size / 2], packed),
    scales: fromFloat32([rows, blocks], scales),
    zero_points: fromIntegers('uint8', [rows, perRow], zero_points),
    dequantized: fromFloat32(matrix.dims, dequantized),
    block_size,
  }
}

/** The number of largest size becomes level 0, which reaches one further than level 15. */
function symmetric(block: Float32Array): { scale: number; zero: number } {
  const largest = block.reduce((most, value) => (Math.abs(value) > Math.abs(most) ? value : most), 0)
  return { scale: Math.fround(largest / -8), zero: 8 }
}

function asymmetric(block: Float32Array): { scale: number; zero: number } {
  const [least, most] = [Math.min(0, ...block), Math.max(0, ...block)]
  const scale = Math.fround((most - least) / 15)
  return { scale, zero: scale === 0 ? 8 : Math.min(15, Math.max(0, Math.round(-least / scale))) }
}

/** The 4-bit model. */
export function blockModel(model: OnnxModel, options: BlockOptions): OnnxModel {
  const tables = options.tables ? lookedUp(model) : new Map<string, Tensor>()
  return rewriteNodes(model, (one, site) => linear(one, site, options, tables) ?? lookup(one, site, options))
}

/** The float32 model that computes with the numbers the 4-bit weights stand for. */
export function blockTwin(model: OnnxModel, options: BlockOptions): OnnxModel {
  return rewriteNodes(model, (one, site) => {
    const weight = isOp(one, 'MatMul') ? floatMatrix(site, one.inputs[1]) : undefined
    const [first = '', second = ''] = one.inputs
    if (weight) {
      const make = () => transpose(quantizeBlocks(transpose(weight), options.zero_points, options.half_scales).dequantized)
      return [{ ...one, inputs: [first, site.add(`${second}${TWIN}`, make)] }]
    }
    const table = options.tables ? tableOf(one, site) : undefined
    if (!table) return undefined
    return [
      { ...one, inputs: [site.add(`${first}_table`, () => quantizeBlocks(table, options.zero_points).dequantized), second] },
    ]
  })
}

function tableOf(one: Node, site: Site): Tensor | undefined {
  const table = isOp(one, 'Gather') && intOf(one, 'axis', 0) === 0 ? floatMatrix(site, one.inputs[0]) : undefined
  // Rows have to be whole blocks.
  return table && (table.dims[1] ?? 0) % blockSizeOf(table.dims[1] ?? 0) === 0 ? table : undefined
}

/** Tables by name that become GatherBlockQuantized. */
function lookedUp(model: OnnxModel): ReadonlyMap<string, Tensor> {
  const tables = new Map<string, Tensor>()
  rewriteNodes(model, (one, site) => {
    const table = tableOf(one, site)
    if (table) tables.set(one.inputs[0] ?? '', table)
    return undefined
  })
  return tables
}

function stored(site: Site, name: string, rows: () => Tensor, { zero_points }: BlockOptions): [string, string, string[]] {
  const make = () => quantizeBlocks(rows(), zero_points)
  const scales = () => {
    const { scales } = make()
    // Older files have one dimension here, newer two; the files with zero points stand for the newer.
    return zero_points ? scales : { ...scales, dims: [scales.dims.reduce((a, b) => a * b, 1)] }
  }
  return [
    site.add(`${name}_Q4`, () => make().packed),
    site.add(`${name}_scales`, scales),
    zero_points ? [site.add(`${name}_zero_points`, () => make().zero_points)] : [],
  ]
}

function linear(one: Node, site: Site, options: BlockOptions, tables: ReadonlyMap<string, Tensor>): Node[] | undefined {
  const weight = isOp(one, 'MatMul') ? floatMatrix(site, one.inputs[1]) : undefined
  if (!weight) return undefined
  const [input = '', name = ''] = one.inputs
  const [K = 0, N = 0] = weight.dims
  const turned = transpose(weight)
  const tied = [...tables].find(([, table]) => sameNumbers(table, turned))?.[0]
  const [packed, scales, zeros] = stored(site, tied === undefined ? name : `${tied}_table`, () => turned, options)
  const attributes = { K, N, bits: 4, block_size: blockSizeOf(K), accuracy_level: 0 }
  return [node('MatMulNBits', [input, packed, scales, ...zeros], [outputOf(one)], attributes, 'com.microsoft')]
}

/** A table whose packed rows are the head's too is reshaped from them, as genai's `shared_embeddings`. */
function lookup(one: Node, site: Site, options: BlockOptions): Node[] | undefined {
  const table = options.tables ? tableOf(one, site) : undefined
  if (!table) return undefined
  const [name = '', ids = ''] = one.inputs
  const [rows = 0, width = 0] = table.dims
  const output = outputOf(one)
  const [packed, scales, zeros] = stored(site, `${name}_table`, () => table, options)
  const shape = (columns: number) => site.add(`${name}_rows_${columns}`, () => fromIntegers('int64', [2], [rows, columns]))
  const size = blockSizeOf(width)
  const attributes = { bits: 4, block_size: size, gather_axis: 0, quantize_axis: 1 }
  return [
    node('Reshape', [packed, shape(width / 2)], [`${output}_packed_rows`]),
    ...(options.zero_points ? [] : [node('Reshape', [scales, shape(width / size)], [`${output}_scales_rows`])]),
    node(
      'GatherBlockQuantized',
      [`${output}_packed_rows`, ids, options.zero_points ? scales : `${output}_scales_rows`, ...zeros],
      [output],
      attributes,
      'com.microsoft',
    ),
  ]
}

function sameNumbers(a: Tensor, b: Tensor): boolean {
  return a.dims[0] === b.dims[0] && a.dims[1] === b.dims[1] && Buffer.compare(a.bytes, b.bytes) === 0
}
