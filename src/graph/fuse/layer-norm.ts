/**
 * LayerNorm: d = x - mean(x); y = d / sqrt(mean(d^2) + epsilon) * scale + bias over the last axis, as exporters before opset 17
 * spell it out (Ba et al. 2016, https://arxiv.org/abs/1607.06450).
 */
import type { ProgramView } from '../rewrite'
import { operandOrders } from '../rewrite'
import { dividedByRoot, lastAxisMean, lastAxisVector, squared, type FusionRule } from './rule'

export const layerNorm: FusionRule = (op, { view }) => {
  if (op.op !== 'Add') return undefined
  for (const [product, bias] of operandOrders(op)) {
    const multiplied = view.made(product, 'Mul')
    if (!multiplied) continue
    for (const [normal, scale] of operandOrders(multiplied)) {
      for (const { source, variance, epsilon } of dividedByRoot(view, normal)) {
        const x = centredFrom(view, source)
        if (x === undefined || !isVarianceOf(view, variance, x)) continue
        const vectors = [lastAxisVector(view, scale, x), lastAxisVector(view, bias, x)]
        if (!vectors.every((vector) => vector !== undefined)) continue
        return (builder) => {
          const inputs = [x, ...vectors.map((vector) => vector(builder))]
          builder.emitAll({ op: 'LayerNorm', name: op.name, inputs, attrs: { epsilon } }, op.outputs)
        }
      }
    }
  }
  return undefined
}

/** Reads x - mean(x): the name of x. */
function centredFrom(view: ProgramView, value: string): string | undefined {
  const [x, mean] = view.made(value, 'Sub')?.inputs ?? []
  return x !== undefined && mean !== undefined && lastAxisMean(view, mean) === x ? x : undefined
}

/** mean((x - mean(x))^2); the two subtractions may be two nodes. */
function isVarianceOf(view: ProgramView, value: string, x: string): boolean {
  const square = lastAxisMean(view, value)
  const centred = square === undefined ? undefined : squared(view, square)
  return centred !== undefined && centredFrom(view, centred) === x
}
