/** Every op of the dialect and the function that runs it. */
import * as attention from './attention'
import * as elementwise from './elementwise'
import * as linear from './linear'
import * as loss from './loss'
import * as norm from './norm'
import type { OpTable } from './op'
import * as packed from './packed'
import * as quantized from './quantized'
import * as reduce from './reduce'
import * as shape from './shape'

const { unary, binary } = elementwise

export const OPS: OpTable = {
  Neg: unary,
  Abs: unary,
  Reciprocal: unary,
  Sqrt: unary,
  Exp: unary,
  Log: unary,
  Erf: unary,
  Tanh: unary,
  Sigmoid: unary,
  Relu: unary,
  Sin: unary,
  Cos: unary,
  Not: unary,
  Add: binary,
  Sub: binary,
  Mul: binary,
  Div: binary,
  Pow: binary,
  Max: binary,
  Min: binary,
  Greater: binary,
  Equal: binary,
  Where: elementwise.Where,
  MatMul: linear.MatMul,
  Softmax: reduce.softmax,
  LogSoftmax: reduce.softmax,
  ReduceSum: reduce.reduce,
  ReduceMean: reduce.reduce,
  ReduceMax: reduce.reduce,
  ArgMax: reduce.ArgMax,
  Reshape: shape.Reshape,
  Expand: shape.Reshape,
  Transpose: shape.Transpose,
  Concat: shape.Concat,
  Slice: shape.Slice,
  Pad: shape.Pad,
  Gather: shape.Gather,
  GatherRows: shape.GatherRows,
  GatherRowsGrad: shape.GatherRowsGrad,
  LayerNorm: norm.LayerNorm,
  LayerNormGrad: norm.LayerNormGrad,
  RMSNorm: norm.RMSNorm,
  RMSNormGrad: norm.RMSNormGrad,
  Gelu: elementwise.Gelu,
  GeluGrad: elementwise.GeluGrad,
  Silu: elementwise.Silu,
  SiluGrad: elementwise.SiluGrad,
  RotaryEmbedding: attention.RotaryEmbedding,
  RotaryEmbeddingGrad: attention.RotaryEmbeddingGrad,
  Attention: attention.Attention,
  AttentionGrad: attention.AttentionGrad,
  SoftmaxCrossEntropy: loss.SoftmaxCrossEntropy,
  LabelLogProbability: loss.LabelLogProbability,
  WeightedLogSoftmax: loss.WeightedLogSoftmax,
  DynamicQuantizedMatMul: quantized.DynamicQuantizedMatMul,
  DynamicQuantizedMatMulGrad: quantized.DynamicQuantizedMatMulGrad,
  PackedMatMul: packed.PackedMatMul,
  PackedMatMulGrad: packed.PackedMatMulGrad,
  Barrier: shape.Barrier,
}
