/**
 * 8-bit models as onnxruntime's quantize_dynamic makes them (IntegerOps, MatMulConstBOnly; what transformers.js' quantize.py calls q8, int8
 * and uint8): Gemm becomes MatMul and Add, a MatMul by a constant DynamicQuantizeLinear and MatMulInteger, a lookup in a float table one in
 * an 8-bit table with DequantizeLinear behind it.
 */
import type { Node, OnnxModel, Tensor } from '../../../src/graph/ir'
import { DATA_TYPES } from '../../../src/graph/onnx-enums'
import { fromFloat32, fromIntegers, toFloat32 } from '../../../src/graph/tensor'
import { node } from '../onnx'
import { floatMatrix, floatOf, intOf, isOp, outputOf, rewriteNodes, type Rule, type Site } from './rewrite'

export interface DynamicOptions {
  readonly dtype: 'int8' | 'uint8'
  /** A scale for each column of a linear layer; tables have one. */
  readonly per_channel: boolean
  /** 7 bits, against overflow of 16-bit sums on older processors. */
  readonly reduce_range: boolean
}

interface Levels {
  readonly levels: Tensor
  readonly scale: Tensor
  readonly zero_point: Tensor
  /** The numbers the levels stand for. */
  readonly dequantized: Tensor
}

/** Symmetric for int8 (zero point 0), asymmetric for uint8, over the whole matrix or over each of its columns. */
export function quantizeLevels(weight: Tensor, { dtype, per_channel, reduce_range }: DynamicOptions): Levels {
  const [rows = 0, columns = 0] = weight.dims
  const values = toFloat32(weight)
  const groups = per_channel ? columns : 1
  const [low, high] = dtype === 'int8' ? (reduce_range ? [-64, 64] : [-127, 127]) : reduce_range ? [0, 127] : [0, 255]
  const scale = new Float32Array(groups)
  const zero = new Array<number>(groups).fill(0)
  for (let g = 0; g < groups; g++) {
    let [least, most] = [0, 0]
    for (let i = 0; i < rows * columns; i++) {
      if (groups > 1 && i % columns !== g) continue
      least = Math.min(least, values[i] ?? 0)
      most = Math.max(most, values[i] ?? 0)
    }
    const range = dtype === 'int8' ? 2 * Math.max(-least, most) : most - least
    scale[g] = range === 0 ? 1 : range / (high - low)
    if (dtype === 'uint8') zero[g] = Math.round(low - least / (scale[g] ?? 1))
  }
  const levels = new Array<number>(rows * columns)
  const dequantized = new Float32Array(rows * columns)
  for (let i = 0; i < levels.length; i++) {
    const g = groups > 1 ? i % columns : 0
    const [step, shift] = [scale[g] ?? 1, zero[g] ?? 0]
    const level = Math.min(high, Math.max(low, Math.round((values[i] ?? 0) / step) + shift))
    levels[i] = level
    dequantized[i] = (level - shift) * step
  }
  const dims = per_channel ? [groups] : []
  return {
    levels: fromIntegers(dtype, weight.dims, levels),
    scale: fromFloat32(dims, scale),
    zero_point: fromIntegers(dtype, dims, zero),
    dequantized: fromFloat32(weight.dims, dequantized),
  }
}

/** Gemm by a constant as MatMul and Add, which is what is quantised of it. Others are left alone. */
export const gemmAsMatMul: Rule = (one, site) => {
  const weight = isOp(one, 'Gemm') ? floatMatrix(site, one.inputs[1]) : undefined
  if (!weight || intOf(one, 'transA', 0) !== 0 || floatOf(one, 'alpha', 1) !== 1 || floatOf(one, 'beta', 1) !== 1)
    return undefined
  const [input = '', name = '', bias = ''] = one.inputs
  const output = outputOf(one)
  const turned = intOf(one, 'transB', 0) === 1
  const factor = turned ? site.add(`${name}_Transposed`, () => transpose(weight)) : name
  if (bias === '') return [node('MatMul', [input, factor], [output])]
  return [node('MatMul', [input, factor], [`${output}_MatMul`]), node('Add', [`${output}_MatMul`, bias], [output])]
}

export function transpose(matrix: Tensor): Tensor {
  const [rows = 0, columns = 0] = matrix.dims
  const values = toFloat32(matrix)
  const turned = new Float32Array(values.length)
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) turned[c * rows + r] = values[r * columns + c] ?? 0
  return fromFloat32([columns, rows], turned)
}

/** The 8-bit model. */
export function dynamicModel(model: OnnxModel, options: DynamicOptions): OnnxModel {
  return rewriteNodes(rewriteNodes(model, gemmAsMatMul), (one, site) => linear(one, site, options) ?? lookup(one, site, options))
}

/** The float32 model that computes with the numbers the 8-bit weights stand for; its activations are not rounded. */
export function dynamicTwin(model: OnnxModel, options: DynamicOptions): OnnxModel {
  const perTensor = { ...options, per_channel: false }
  return rewriteNodes(rewriteNodes(model, gemmAsMatMul), (one, site) => {
    const at = isOp(one, 'MatMul') ? 1 : isOp(one, 'Gather') ? 0 : undefined
    const weight = at === undefined ? undefined : floatMatrix(site, one.inputs[at])
    if (at === undefined || !weight || (at === 0 && intOf(one, 'axis', 0) !== 0)) return undefined
    const name = `${one.inputs[at] ?? ''}_${at === 0 ? 'table' : 'weight'}`
    const twin = site.add(name, () => quantizeLevels(weight, at === 0 ? perTensor : options).dequantized)
    return [{ ...one, inputs: one.inputs.map((input, i) => (i === at ? twin : input)) }]
  })
}

function stored(site: Site, name: string, weight: Tensor, options: DynamicOptions): [string, string, string] {
  const make = () => quantizeLevels(weight, options)
  return [
    site.add(`${name}_quantized`, () => make().levels),
    site.add(`${name}_scale`, () => make().scale),
    site.add(`${name}_zero_point`, () => make().zero_point),
  ]
}

function linear(one: Node, site: Site, options: DynamicOptions): Node[] | undefined {
  const weight = isOp(one, 'MatMul') ? floatMatrix(site, one.inputs[1]) : undefined
  if (!weight) return undefined
  const [input = '', name = ''] = one.inputs
  const output = outputOf(one)
  const [levels, scale, zero] = stored(site, name, weight, options)
  const rounded = ['quantized', 'scale', 'zero_point'].map((what) => `${input}_${what}`)
  const [inputLevels = '', inputScale = '', inputZero = ''] = rounded
  return [
    // Several layers that read one value share its rounding.
    ...(site.once(input) ? [node('DynamicQuantizeLinear', [input], rounded)] : []),
    node('MatMulInteger', [inputLevels, levels, inputZero, zero], [`${output}_integer`]),
    node('Cast', [`${output}_integer`], [`${output}_cast`], { to: DATA_TYPES.float32 }),
    node('Mul', [inputScale, scale], [`${output}_scales_mul`]),
    node('Mul', [`${output}_cast`, `${output}_scales_mul`], [output]),
  ]
}

function lookup(one: Node, site: Site, options: DynamicOptions): Node[] | undefined {
  const table = isOp(one, 'Gather') && intOf(one, 'axis', 0) === 0 ? floatMatrix(site, one.inputs[0]) : undefined
  if (!table) return undefined
  const [name = '', ids = ''] = one.inputs
  const output = outputOf(one)
  const [levels, scale, zero] = stored(site, `${name}_table`, table, { ...options, per_channel: false })
  return [
    { ...one, inputs: [levels, ids], outputs: [`${output}_levels`] },
    node('DequantizeLinear', [`${output}_levels`, scale, zero], [output]),
  ]
}
