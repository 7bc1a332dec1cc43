/**
 * bnb4 models: MatMulBnb4 as onnxruntime's MatMulBnb4Quantizer makes it of every MatMul by a constant, in bitsandbytes' two 4-bit code books.
 * Blocks run over the [N,K] weight laid out as one row, high nibble first.
 */
import type { Node, OnnxModel, Tensor } from '../../../src/graph/ir'
import { fromFloat32, fromIntegers, toFloat32 } from '../../../src/graph/tensor'
import { node } from '../onnx'
import { transpose } from './dynamic'
import { floatMatrix, isOp, outputOf, rewriteNodes, type Site } from './rewrite'

export type Bnb4Type = 'fp4' | 'nf4'

/** https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/contrib_ops/cpu/quantization/blockwise_quant_block_bnb4.h */
const CODES: Readonly<Record<Bnb4Type, readonly number[]>> = {
  fp4: [0, 5.208333333e-3, 2 / 3, 1, 1 / 3, 0.5, 1 / 6, 0.25, 0, -5.208333333e-3, -2 / 3, -1, -1 / 3, -0.5, -1 / 6, -0.25],
  nf4: [
    -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1,
  ],
}
/** The tool's default, and smaller ones for rows that are no multiple of it: a block holds whole rows, or a row whole blocks. */
const BLOCK_SIZES = [64, 32, 16]

const blockSizeOf = ([, width = 0]: readonly number[]): number | undefined =>
  BLOCK_SIZES.find((size) => width % size === 0 || size % width === 0)

/** A [N,K] matrix in blocks, with the largest size of each. */
export function quantizeBnb4(rows: Tensor, type: Bnb4Type): { packed: Tensor; absmax: Tensor; dequantized: Tensor } {
  const values = toFloat32(rows)
  const size = blockSizeOf(rows.dims) ?? 64
  const blocks = Math.ceil(values.length / size)
  const packed = new Uint8Array(Math.ceil(values.length / 2))
  const absmax = new Float32Array(blocks)
  const dequantized = new Float32Array(values.length)
  for (let b = 0; b < blocks; b++) {
    const block = values.subarray(b * size, (b + 1) * size)
    const largest = block.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
    absmax[b] = largest
    for (const [i, value] of block.entries()) {
      const at = b * size + i
      const code = nearest(CODES[type], largest === 0 ? 0 : value / largest)
      packed[at >> 1] = (packed[at >> 1] ?? 0) | (code << (at & 1 ? 0 : 4))
      dequantized[at] = Math.fround(CODES[type][code] ?? 0) * largest
    }
  }
  return {
    packed: fromIntegers('uint8', [packed.length], packed),
    absmax: fromFloat32([blocks], absmax),
    dequantized: fromFloat32(rows.dims, dequantized),
  }
}

function nearest(codes: readonly number[], value: number): number {
  let best = 0
  for (const [i, code] of codes.entries()) if (Math.abs(code - value) < Math.abs((codes[best] ?? 0) - value)) best = i
  return best
}

/** The bnb4 model, and the float32 one that computes with the numbers its weights stand for. */
export const bnb4Model = (model: OnnxModel, type: Bnb4Type): OnnxModel =>
  rewriteNodes(model, (one, site) =>
    linear(one, site, (input, name, weight) => {
      const make = () => quantizeBnb4(transpose(weight), type)
      const [K = 0, N = 0] = weight.dims
      const inputs = [input, site.add(`${name}_Bnb4`, () => make().packed), site.add(`${name}_absmax`, () => make().absmax)]
      const attributes = { K, N, block_size: blockSizeOf([N, K]) ?? 64, quant_type: type === 'nf4' ? 1 : 0 }
      return node('MatMulBnb4', inputs, [outputOf(one)], attributes, 'com.microsoft')
    }),
  )

export const bnb4Twin = (model: OnnxModel, type: Bnb4Type): OnnxModel =>
  rewriteNodes(model, (one, site) =>
    linear(one, site, (input, name, weight) => {
      const twin = site.add(`${name}_weight`, () => transpose(quantizeBnb4(transpose(weight), type).dequantized))
      return { ...one, inputs: [input, twin] }
    }),
  )

function linear(one: Node, site: Site, make: (input: string, name: string, weight: Tensor) => Node): Node[] | undefined {
  const weight = isOp(one, 'MatMul') ? floatMatrix(site, one.inputs[1]) : undefined
  const [input = '', name = ''] = one.inputs
  // Rows that share blocks in part (24 numbers, in models this small) are refused by our reading: such a layer stays float.
  const [width = 0, count = 0] = weight?.dims ?? []
  return weight && blockSizeOf([count, width]) !== undefined ? [make(input, name, weight)] : undefined
}
