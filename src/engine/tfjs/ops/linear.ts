/** Matrix products. Weights are used as they lie in the file: transposing is a flag of the kernel, never a copy. */
import type { TensorInfo } from '@tensorflow/tfjs-core'
import { elementCount } from '../../../graph/ir'
import type { Kernels } from '../tfjs-kernels'
import { broadcastDims } from '../shapes'
import { input, type Implementation } from './op'

/** numpy matmul, the last two dimensions transposed first where asked. */
export function matMul(a: TensorInfo, b: TensorInfo, transA: boolean, transB: boolean, k: Kernels): TensorInfo {
  if (a.shape.length < 2 || b.shape.length < 2) return vectorMatMul(a, b, transA, transB, k)
  const aBatch = a.shape.slice(0, -2)
  const bBatch = b.shape.slice(0, -2)
  const [m = 1, inner = 1] = transA ? a.shape.slice(-2).reverse() : a.shape.slice(-2)
  const n = b.shape.at(transB ? -2 : -1) ?? 1
  const batch = broadcastDims([aBatch, bBatch])
  const dims = [...batch, m, n]
  if (elementCount(bBatch) === 1 && !transA) {
    // Rows of every batch entry against one matrix: a single 2-D product.
    const rows = k.reshape(a, [1, elementCount(aBatch) * m, inner])
    return k.reshape(k.matMul3(rows, matrices(b, k), false, transB), dims)
  }
  // The kernel repeats an operand that has one matrix; any other broadcast has to be written out.
  const [left, right] = [a, b].map((x) => {
    const own = elementCount(x.shape.slice(0, -2))
    return matrices(own === 1 || own === elementCount(batch) ? x : k.expand(x, [...batch, ...x.shape.slice(-2)]), k)
  })
  return k.reshape(k.matMul3(left ?? a, right ?? b, transA, transB), dims)
}

/** [..., R, C] as [batch, R, C]. */
function matrices(x: TensorInfo, k: Kernels): TensorInfo {
  return k.reshape(x, [elementCount(x.shape.slice(0, -2)), ...x.shape.slice(-2)])
}

/** A 1-D operand is a row on the left, a column on the right, and leaves no dimension behind. */
function vectorMatMul(a: TensorInfo, b: TensorInfo, transA: boolean, transB: boolean, k: Kernels): TensorInfo {
  const left = a.shape.length === 1
  const right = b.shape.length === 1
  const row = left ? k.reshape(a, [1, ...a.shape]) : a
  const column = right ? k.reshape(b, [...b.shape, 1]) : b
  const product = matMul(row, column, transA && !left, transB && !right, k)
  const matrix = product.shape.slice(-2).filter((_, i) => (i === 0 ? !left : !right))
  return k.reshape(product, [...product.shape.slice(0, -2), ...matrix])
}

export const MatMul: Implementation<'MatMul'> = (op, inputs, k) => {
  const [a, b] = [input(op, inputs, 0), input(op, inputs, 1)]
  const { transA, transB, stored } = op.attrs
  if (!stored) return [matMul(a, b, transA, transB, k)]
  return [k.storedMatMul(a, { format: stored, words: b, scales: null, zero_points: null }, transB)]
}
