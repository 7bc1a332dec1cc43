/**
 * RMSNorm: y = x / sqrt(mean(x^2) + epsilon) * scale over the last axis (Zhang & Sennrich 2019, https://arxiv.org/abs/1910.07467).
 */
import { operandOrders } from '../rewrite'
import { dividedByRoot, lastAxisMean, lastAxisVector, squared, type FusionRule } from './rule'

export const rmsNorm: FusionRule = (op, { view }) => {
  if (op.op !== 'Mul') return undefined
  for (const [normal, weight] of operandOrders(op)) {
    for (const { source: x, variance, epsilon } of dividedByRoot(view, normal)) {
      const square = lastAxisMean(view, variance)
      const scale = lastAxisVector(view, weight, x)
      if (square === undefined || squared(view, square) !== x || !scale) continue
      return (builder) => {
        builder.emitAll({ op: 'RMSNorm', name: op.name, inputs: [x, scale(builder)], attrs: { epsilon } }, op.outputs)
      }
    }
  }
  return undefined
}
