/**
 * LayerNorm: d = x - mean(x); y = d / sqrt(mean(d^2) + epsilon) * scale + bias over the last axis, as exporters before opset 17
 * spell it out (Ba et al. 2016, https://arxiv.org/abs/1607.06450). Scale and bias may be missing.
 */
import type { Op } from '../program'
import type { ProgramView } from '../rewrite'
import { operandOrders } from '../rewrite'
import { dividedByRoot, lastAxisMean, lastAxisVector, squared, uniformVector, type FusionRule, type Vector } from './rule'

export const layerNorm: FusionRule = (op, { view }) => {
  for (const { normal, scale, bias } of affineForms(view, op)) {
    for (const { source, variance, epsilon } of dividedByRoot(view, normal)) {
      const x = centredFrom(view, source)
      if (x === undefined || !isVarianceOf(view, variance, x)) continue
      const vectors = [vectorOr(view, scale, x, 1), vectorOr(view, bias, x, 0)]
      if (!vectors.every((vector) => vector !== undefined)) continue
      return (builder) => {
        const inputs = [x, ...vectors.map((vector) => vector(builder))]
        builder.emitAll({ op: 'LayerNorm', name: op.name, inputs, attrs: { epsilon } }, op.outputs)
      }
    }
  }
  return undefined
}

interface Affine {
  readonly normal: string
  readonly scale?: string
  readonly bias?: string
}

/** The ways an op may be normal * scale + bias: as itself, as a product, as a sum. */
function affineForms(view: ProgramView, op: Op): Affine[] {
  const value = op.outputs[0]
  if (value === undefined) return []
  if (op.op === 'Div') return [{ normal: value }]
  if (op.op === 'Mul') return [{ normal: value }, ...operandOrders(op).map(([normal, scale]) => ({ normal, scale }))]
  if (op.op !== 'Add') return []
  return operandOrders(op).flatMap(([sum, bias]): Affine[] => {
    const product = view.made(sum, 'Mul')
    return product ? operandOrders(product).map(([normal, scale]) => ({ normal, scale, bias })) : []
  })
}

function vectorOr(view: ProgramView, value: string | undefined, x: string, missing: number): Vector | undefined {
  return value === undefined ? uniformVector(view, x, missing) : lastAxisVector(view, value, x)
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
