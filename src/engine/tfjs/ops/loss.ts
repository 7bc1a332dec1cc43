/** Losses over the label positions, with their gradient in the same op. */
import type { TensorInfo } from '@tensorflow/tfjs-core'
import type { Kernels } from '../tfjs-kernels'
import { input, type Implementation } from './op'
import { shiftedLogSum } from './reduce'

/** [B,L] -> [B,L,1]. */
function column(x: TensorInfo, k: Kernels): TensorInfo {
  return k.reshape(x, [...x.shape, 1])
}

function total(x: TensorInfo, k: Kernels): TensorInfo {
  return k.reduce('Sum', x, [...x.shape.keys()], false)
}

export const SoftmaxCrossEntropy: Implementation<'SoftmaxCrossEntropy'> = (op, inputs, k) => {
  const logits = input(op, inputs, 0)
  const weights = column(input(op, inputs, 2), k)
  const { shifted, exponentials, sum, log_sum } = shiftedLogSum(logits, k)
  const labels = k.oneHot(input(op, inputs, 1), logits.shape.at(-1) ?? 1)
  const chosen = k.reduceLast('Sum', k.mul(labels, shifted))
  const loss = total(k.mul(k.sub(log_sum, chosen), weights), k)
  return [loss, k.mul(k.sub(k.div(exponentials, sum), labels), weights)]
}

export const LabelLogProbability: Implementation<'LabelLogProbability'> = (op, inputs, k) => {
  const logits = input(op, inputs, 0)
  const { shifted, log_sum } = shiftedLogSum(logits, k)
  const labels = k.oneHot(input(op, inputs, 1), logits.shape.at(-1) ?? 1)
  return [k.reshape(k.sub(k.reduceLast('Sum', k.mul(labels, shifted)), log_sum), logits.shape.slice(0, -1))]
}

export const WeightedLogSoftmax: Implementation<'WeightedLogSoftmax'> = (op, inputs, k) => {
  const logits = input(op, inputs, 0)
  const weights = input(op, inputs, 1)
  const { shifted, exponentials, sum, log_sum } = shiftedLogSum(logits, k)
  const loss = total(k.mul(weights, k.sub(shifted, log_sum)), k)
  const p = k.div(exponentials, sum)
  return [loss, k.sub(weights, k.mul(p, k.reduceLast('Sum', weights)))]
}
