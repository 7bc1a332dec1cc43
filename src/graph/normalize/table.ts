/**
 * Every op a value that depends on the embeddings may pass through, by its key (see opKey). An op that is not here can't be
 * trained through: coverage.ts reports exactly the keys that are missing from this table and host/table.ts.
 */
import * as F from './activations'
import * as A from './attention-ops'
import { Einsum } from './einsum'
import * as E from './elementwise'
import * as L from './linear'
import * as M from './movement'
import * as P from './packed'
import * as N from './norms'
import * as Q from './quantized'
import * as T from './rotary'
import type { DeviceRule } from './rule'

// prettier-ignore
const RULES: Readonly<Record<string, DeviceRule>> = {
  // element by element
  Neg: E.Neg, Abs: E.Abs, Reciprocal: E.Reciprocal, Sqrt: E.Sqrt, Exp: E.Exp, Log: E.Log, Erf: E.Erf, Tanh: E.Tanh,
  Sigmoid: E.Sigmoid, Relu: E.Relu, Sin: E.Sin, Cos: E.Cos, Not: E.Not, Add: E.Add, Sub: E.Sub, Mul: E.Mul, Div: E.Div, Pow: E.Pow,
  Max: E.Max, Min: E.Min, Sum: E.Sum, Clip: E.Clip, Greater: E.Greater, Less: E.Less, Equal: E.Equal, Where: E.Where,
  GreaterOrEqual: E.GreaterOrEqual, LessOrEqual: E.LessOrEqual, Sign: E.Sign, IsNaN: E.IsNaN, IsInf: E.IsInf, Cast: E.Cast,
  CastLike: E.CastLike, Identity: E.Identity, Dropout: E.Identity,
  // activations
  Gelu: F.Gelu, 'com.microsoft.Gelu': F.Gelu, 'com.microsoft.FastGelu': F.FastGelu, 'com.microsoft.BiasGelu': F.BiasGelu,
  'com.microsoft.QuickGelu': F.QuickGelu, Swish: F.Swish, LeakyRelu: F.LeakyRelu, PRelu: F.PRelu, Elu: F.Elu, Selu: F.Selu,
  Softplus: F.Softplus, Mish: F.Mish, Softsign: F.Softsign, HardSigmoid: F.HardSigmoid, HardSwish: F.HardSwish,
  // products, reductions
  MatMul: L.MatMul, Gemm: L.Gemm, Softmax: L.Softmax, LogSoftmax: L.LogSoftmax, ReduceSum: L.ReduceSum, ReduceMean: L.ReduceMean,
  ReduceMax: L.ReduceMax, ReduceMin: L.ReduceMin, ReduceL1: L.ReduceL1, ReduceL2: L.ReduceL2, ReduceSumSquare: L.ReduceSumSquare,
  Einsum, 'com.microsoft.FusedMatMul': L.FusedMatMul,
  // normalisations
  LayerNormalization: N.LayerNormalization, RMSNormalization: N.RMSNormalization, SimplifiedLayerNormalization: N.RMSNormalization,
  LpNormalization: N.LpNormalization, 'com.microsoft.SkipLayerNormalization': N.SkipLayerNormalization,
  'com.microsoft.SkipSimplifiedLayerNormalization': N.SkipSimplifiedLayerNormalization,
  // attention
  'com.microsoft.GroupQueryAttention': A.GroupQueryAttention, 'com.microsoft.MultiHeadAttention': A.MultiHeadAttention,
  'com.microsoft.Attention': A.ContribAttention, Attention: A.Attention, RotaryEmbedding: T.RotaryEmbedding,
  'com.microsoft.RotaryEmbedding': T.ContribRotaryEmbedding,
  // movement
  Reshape: M.Reshape, Squeeze: M.Squeeze, Unsqueeze: M.Unsqueeze, Flatten: M.Flatten, Transpose: M.Transpose, Expand: M.Expand,
  Tile: M.Tile, Concat: M.Concat, Slice: M.Slice, Split: M.Split, Gather: M.Gather, Pad: M.Pad,
  // q8
  DynamicQuantizeLinear: Q.DynamicQuantizeLinear, MatMulInteger: Q.MatMulInteger,
  // weights of a few bits
  'com.microsoft.MatMulNBits': P.MatMulNBits, 'com.microsoft.MatMulBnb4': P.MatMulBnb4,
}

export const DEVICE_RULES: ReadonlyMap<string, DeviceRule> = new Map(Object.entries(RULES))
