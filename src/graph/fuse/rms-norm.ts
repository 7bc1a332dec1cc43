/**
 * RMSNorm: y = x / sqrt(mean(x^2) + epsilon) * scale over the last axis (Zhang & Sennrich 2019, https://arxiv.org/abs/1910.07467). The
 * scale may be missing (an exporter drops a product with ones).
 */
import { operandOrders } from '../rewrite'
import { dividedByRoot, lastAxisMean, lastAxisVector, squared, uniformVector, type FusionRule } from './rule'

export const rmsNorm: FusionRule = (op, { view }) => {
  const value = op.outputs[0]
  if (value === undefined || (op.op !== 'Mul' && op.op !== 'Div')) return undefined
  const scaledForms = op.op === 'Mul' ? operandOrders(op).map(([normal, weight]) => ({ normal, weight })) : []
  for (const { normal, weight } of [...scaledForms, { normal: value, weight: undefined }]) {
    for (const { source: x, variance, epsilon } of dividedByRoot(view, normal)) {
      const square = lastAxisMean(view, variance)
      const scale = weight === undefined ? uniformVector(view, x, 1) : lastAxisVector(view, weight, x)
      if (square === undefined || squared(view, square) !== x || !scale) continue
      return (builder) => {
        builder.emitAll({ op: 'RMSNorm', name: op.name, inputs: [x, scale(builder)], attrs: { epsilon } }, op.outputs)
      }
    }
  }
  return undefined
}
