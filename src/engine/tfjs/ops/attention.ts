/**
 * Scaled dot-product attention with grouped heads, its gradient, and rotary positions. Query heads that share a key head lie
 * next to each other, so [B,N,S,D] is [B*M, N/M*S, D] without moving data and key heads are never repeated.
 */
import type { TensorInfo } from '@tensorflow/tfjs-core'
import type { Kernels } from '../tfjs-kernels'
import { input, type Implementation } from './op'

/** [B,N,S,X] as [B*M, N/M*S, X]: one matrix per key head. */
function byKeyHead(x: TensorInfo, keyHeads: number, k: Kernels): TensorInfo {
  const [batch = 1, heads = 1, rows = 1, columns = 1] = x.shape
  return k.reshape(x, [batch * keyHeads, (heads / keyHeads) * rows, columns])
}

export const Attention: Implementation<'Attention'> = (op, inputs, k) => {
  const q = input(op, inputs, 0)
  const key = input(op, inputs, 1)
  const value = input(op, inputs, 2)
  const mask = inputs[3]
  const [batch = 1, heads = 1, queries = 1] = q.shape
  const [, keyHeads = 1, keys = 1] = key.shape
  const width = value.shape[3] ?? 1
  const scaled = byKeyHead(k.mul(q, k.scalar(op.attrs.scale)), keyHeads, k)
  const scores = k.reshape(k.matMul3(scaled, byKeyHead(key, keyHeads, k), false, true), [batch, heads, queries, keys])
  const p = k.softmax(mask === undefined ? scores : k.add(scores, mask))
  const y = k.matMul3(byKeyHead(p, keyHeads, k), byKeyHead(value, keyHeads, k))
  return [k.reshape(y, [batch, heads, queries, width]), p]
}

export const AttentionGrad: Implementation<'AttentionGrad'> = (op, inputs, k) => {
  const q = input(op, inputs, 1)
  const key = input(op, inputs, 2)
  const value = input(op, inputs, 3)
  const keyHeads = key.shape[1] ?? 1
  const dy = byKeyHead(input(op, inputs, 0), keyHeads, k)
  const probabilities = byKeyHead(input(op, inputs, 4), keyHeads, k)
  const dv = k.matMul3(probabilities, dy, true, false)
  const dp = k.matMul3(dy, byKeyHead(value, keyHeads, k), false, true)
  const ds = k.softmaxGrad(dp, probabilities, op.attrs.scale)
  const dq = k.matMul3(ds, byKeyHead(key, keyHeads, k))
  const dk = k.matMul3(ds, byKeyHead(q, keyHeads, k), true, false)
  return [k.reshape(dq, q.shape), k.reshape(dk, key.shape), k.reshape(dv, value.shape)]
}

/** [first * x2, second * x1] for the halves x1, x2 of the last axis, where one of first, second is -1 and the other 1. */
function swapHalves(x: TensorInfo, negate: 'first' | 'second', k: Kernels): TensorInfo {
  const axis = x.shape.length - 1
  const size = x.shape[axis] ?? 0
  const low = k.slice(x, axis, 0, size / 2)
  const high = k.slice(x, axis, size / 2, size)
  return negate === 'first' ? k.concat([k.unary('Neg', high), low], axis) : k.concat([high, k.unary('Neg', low)], axis)
}

export const RotaryEmbedding: Implementation<'RotaryEmbedding'> = (op, inputs, k) => {
  const x = input(op, inputs, 0)
  return [k.add(k.mul(x, input(op, inputs, 1)), k.mul(swapHalves(x, 'first', k), input(op, inputs, 2)))]
}

export const RotaryEmbeddingGrad: Implementation<'RotaryEmbeddingGrad'> = (op, inputs, k) => {
  const dy = input(op, inputs, 0)
  return [k.add(k.mul(dy, input(op, inputs, 1)), swapHalves(k.mul(dy, input(op, inputs, 2)), 'second', k))]
}
