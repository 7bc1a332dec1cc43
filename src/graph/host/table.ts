/**
 * Every op the host interpreter knows, by its key (see opKey). An op that is not here can't be computed outside the device:
 * coverage.ts reports exactly the keys that are missing from this table and normalize/table.ts.
 */
import { GraphError, type Node } from '../ir'
import type { NdArray } from './array'
import { atNode, opKey } from './attributes'
import { Einsum } from './einsum'
import * as E from './elementwise'
import * as M from './movement'
import type { HostOp } from './op'
import * as P from './place'
import * as Q from './quantize'
import * as R from './reduce'
import * as S from './shape'

// prettier-ignore
const OPS: Readonly<Record<string, HostOp>> = {
  // shapes, types, constants
  Shape: S.Shape, Size: S.Size, Identity: S.Identity, Dropout: S.Identity, Constant: S.Constant, ConstantOfShape: S.ConstantOfShape,
  Range: S.Range, Cast: S.Cast, CastLike: S.CastLike, Reshape: S.Reshape, Squeeze: S.Squeeze, Unsqueeze: S.Unsqueeze, Flatten: S.Flatten,
  // element by element
  Neg: E.Neg, Abs: E.Abs, Sign: E.Sign, Sqrt: E.Sqrt, Reciprocal: E.Reciprocal, Exp: E.Exp, Log: E.Log, Sin: E.Sin, Cos: E.Cos,
  Tanh: E.Tanh, Sigmoid: E.Sigmoid, Relu: E.Relu, Floor: E.Floor, Ceil: E.Ceil, Round: E.Round, Not: E.Not, IsNaN: E.IsNaN, IsInf: E.IsInf,
  Clip: E.Clip,
  Add: E.Add, Sub: E.Sub, Mul: E.Mul, Div: E.Div, Mod: E.Mod, Pow: E.Pow, Max: E.Max, Min: E.Min, Sum: E.Sum,
  Equal: E.Equal, Less: E.Less, LessOrEqual: E.LessOrEqual, Greater: E.Greater, GreaterOrEqual: E.GreaterOrEqual,
  And: E.And, Or: E.Or, Xor: E.Xor, Where: E.Where,
  // movement
  Transpose: M.Transpose, Expand: M.Expand, Tile: M.Tile, Concat: M.Concat, Slice: M.Slice, Split: M.Split, Gather: M.Gather,
  GatherElements: M.GatherElements, GatherND: M.GatherND, ScatterND: M.ScatterND, Trilu: M.Trilu,
  Pad: P.Pad, ScatterElements: P.ScatterElements, OneHot: P.OneHot, EyeLike: P.EyeLike,
  // combining
  ReduceSum: R.ReduceSum, ReduceProd: R.ReduceProd, ReduceMax: R.ReduceMax, ReduceMin: R.ReduceMin, ReduceMean: R.ReduceMean,
  ReduceL1: R.ReduceL1, ReduceL2: R.ReduceL2, ReduceSumSquare: R.ReduceSumSquare, ArgMax: R.ArgMax, ArgMin: R.ArgMin,
  CumSum: R.CumSum, MatMul: R.MatMul, Softmax: R.Softmax, Einsum,
  // quantised weights
  DequantizeLinear: Q.DequantizeLinear, 'com.microsoft.GatherBlockQuantized': Q.GatherBlockQuantized,
}

export const HOST_OPS: ReadonlyMap<string, HostOp> = new Map(Object.entries(OPS))

/**
 * Evaluates one node.
 * @param opset version of the operator set of the node's domain
 * @throws GraphError naming the node, for an op that is not in the table, bad inputs or a result that is too large
 */
export function evaluateNode(node: Node, opset: number, inputs: readonly (NdArray | null)[]): readonly NdArray[] {
  return atNode(node, () => {
    const op = HOST_OPS.get(opKey(node))
    if (!op) throw new GraphError('this op is not supported outside the device')
    return op({ node, opset, inputs })
  })
}
