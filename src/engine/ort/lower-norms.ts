/**
 * Normalisation. The forward halves are single onnxruntime kernels; the gradients are written out and recompute the
 * statistics, because those kernels' Mean and InvStdDev outputs are not there on every provider.
 */
import type { OpNamed } from '../../graph/program'
import { float, int, type GraphBuilder } from './graph-builder'

export function lowerLayerNorm(op: OpNamed<'LayerNorm'>, builder: GraphBuilder): void {
  const attributes = { axis: int(-1), epsilon: float(op.attrs.epsilon) }
  builder.node('LayerNormalization', op.inputs, { outputs: op.outputs, attributes })
}

/** dx = r (g - mean(g) - n mean(g n)), with g = dy scale, r = 1 / sqrt(var(x) + epsilon), n = (x - mean(x)) r. */
export function lowerLayerNormGrad(op: OpNamed<'LayerNormGrad'>, builder: GraphBuilder): void {
  const [dy, x, scale] = [builder.input(op, 0), builder.input(op, 1), builder.input(op, 2)]
  const centred = builder.node('Sub', [x, rowMean(builder, x)])
  const r = inverseRootMeanSquare(builder, centred, op.attrs.epsilon)
  const n = builder.node('Mul', [centred, r])
  const g = builder.node('Mul', [dy, scale])
  const centredGradient = builder.node('Sub', [g, rowMean(builder, g)])
  const along = builder.node('Mul', [n, rowMean(builder, builder.node('Mul', [g, n]))])
  builder.node('Mul', [builder.node('Sub', [centredGradient, along]), r], { outputs: op.outputs })
}

export function lowerRMSNorm(op: OpNamed<'RMSNorm'>, builder: GraphBuilder): void {
  // onnxruntime's own op, though it lives in the standard domain.
  const attributes = { axis: int(-1), epsilon: float(op.attrs.epsilon), stash_type: int(1) }
  builder.node('SimplifiedLayerNormalization', op.inputs, { outputs: op.outputs, attributes })
}

/** dx = g r - x r^3 mean(g x), with g = dy scale, r = 1 / sqrt(mean(x^2) + epsilon). */
export function lowerRMSNormGrad(op: OpNamed<'RMSNormGrad'>, builder: GraphBuilder): void {
  const [dy, x, scale] = [builder.input(op, 0), builder.input(op, 1), builder.input(op, 2)]
  const r = inverseRootMeanSquare(builder, x, op.attrs.epsilon)
  const g = builder.node('Mul', [dy, scale])
  const correlation = rowMean(builder, builder.node('Mul', [g, x]))
  const factor = builder.node('Mul', [builder.node('Mul', [r, r]), correlation])
  // r (g - x r^2 mean(g x)): the factors per row are multiplied first, they are few.
  const direct = builder.node('Sub', [g, builder.node('Mul', [x, factor])])
  builder.node('Mul', [direct, r], { outputs: op.outputs })
}

function rowMean(builder: GraphBuilder, x: string): string {
  return builder.node('ReduceMean', [x, builder.int64s([-1])], { attributes: { keepdims: int(1) } })
}

/** 1 / sqrt(mean(x^2) + epsilon) per row. */
function inverseRootMeanSquare(builder: GraphBuilder, x: string, epsilon: number): string {
  const meanSquare = rowMean(builder, builder.node('Mul', [x, x]))
  const root = builder.node('Sqrt', [builder.node('Add', [meanSquare, builder.scalar(epsilon)])])
  return builder.node('Reciprocal', [root])
}
