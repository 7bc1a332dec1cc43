/** Sums, means, maxima and softmax along axes. */
import type { TensorInfo } from '@tensorflow/tfjs-core'
import type { Kernels } from '../tfjs-kernels'
import { input, type Implementation } from './op'

const REDUCE_KERNELS = { ReduceSum: 'Sum', ReduceMean: 'Mean', ReduceMax: 'Max' } as const

export const reduce: Implementation<'ReduceSum' | 'ReduceMean' | 'ReduceMax'> = (op, inputs, k) => [
  k.reduce(REDUCE_KERNELS[op.op], input(op, inputs, 0), op.attrs.axes, op.attrs.keepdims),
]

export const ArgMax: Implementation<'ArgMax'> = (op, inputs, k) => [k.argMax(input(op, inputs, 0))]

/** x - max and log sum exp(x - max) over the last axis. */
export function shiftedLogSum(
  x: TensorInfo,
  k: Kernels,
): { shifted: TensorInfo; exponentials: TensorInfo; sum: TensorInfo; log_sum: TensorInfo } {
  const shifted = k.sub(x, k.reduceLast('Max', x))
  const exponentials = k.unary('Exp', shifted)
  const sum = k.reduceLast('Sum', exponentials)
  return { shifted, exponentials, sum, log_sum: k.unary('Log', sum) }
}

export const softmax: Implementation<'Softmax' | 'LogSoftmax'> = (op, inputs, k) => {
  const x = input(op, inputs, 0)
  return [
    alongLast(x, op.attrs.axis, k, (rows) => {
      if (op.op === 'Softmax') return k.softmax(rows)
      const { shifted, log_sum } = shiftedLogSum(rows, k)
      return k.sub(shifted, log_sum)
    }),
  ]
}

/** Applies `f`, which works along the last axis, along `axis`. */
function alongLast(x: TensorInfo, axis: number, k: Kernels, f: (x: TensorInfo) => TensorInfo): TensorInfo {
  const last = x.shape.length - 1
  if (axis === last) return f(x)
  const swap = x.shape.map((_, i) => (i === axis ? last : i === last ? axis : i))
  return k.transpose(f(k.transpose(x, swap)), swap)
}
