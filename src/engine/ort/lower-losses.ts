/** Losses over the vocabulary, the widest tensors of a step: as few passes over [B,L,V] as possible, indices stay int32. */
import type { OpNamed } from '../../graph/program'
import { int, type GraphBuilder } from './graph-builder'

const LAST_AXIS = { axis: int(-1) }

/** loss = -sum(w log p[id]), d_logits = w (p - onehot(id)): the onehot touches one element a row, by scatter. */
export function lowerSoftmaxCrossEntropy(op: OpNamed<'SoftmaxCrossEntropy'>, builder: GraphBuilder): void {
  const [logits, ids, weights] = [builder.input(op, 0), builder.input(op, 1), builder.input(op, 2)]
  const [loss, dLogits] = [builder.output(op, 0), builder.output(op, 1)]
  const w = column(builder, weights)
  const logP = builder.node('LogSoftmax', [logits], { attributes: LAST_AXIS })
  const weighted = builder.node('Mul', [pick(builder, logP, ids), w])
  const total = builder.node('ReduceSum', [weighted, ''], { attributes: { keepdims: int(0) } })
  builder.node('Neg', [total], { outputs: [loss] })
  const p = builder.node('Softmax', [logits], { attributes: LAST_AXIS })
  const spread = builder.node('Mul', [p, w])
  const atLabel = builder.node('Sub', [pick(builder, spread, ids), w])
  builder.node('ScatterElements', [spread, column(builder, ids), atLabel], { outputs: [dLogits], attributes: LAST_AXIS })
}

export function lowerLabelLogProbability(op: OpNamed<'LabelLogProbability'>, builder: GraphBuilder): void {
  const [logits, ids] = [builder.input(op, 0), builder.input(op, 1)]
  const logP = builder.node('LogSoftmax', [logits], { attributes: LAST_AXIS })
  const dims = builder.dims(ids)
  builder.reshape(pick(builder, logP, ids), [...dims, 1], dims, op.outputs)
}

/** d_logits = w - p sum(w). */
export function lowerWeightedLogSoftmax(op: OpNamed<'WeightedLogSoftmax'>, builder: GraphBuilder): void {
  const [logits, weights] = [builder.input(op, 0), builder.input(op, 1)]
  const [loss, dLogits] = [builder.output(op, 0), builder.output(op, 1)]
  const logP = builder.node('LogSoftmax', [logits], { attributes: LAST_AXIS })
  const weighted = builder.node('Mul', [logP, weights])
  builder.node('ReduceSum', [weighted, ''], { outputs: [loss], attributes: { keepdims: int(0) } })
  const sums = builder.node('ReduceSum', [weights, builder.int64s([-1])], { attributes: { keepdims: int(1) } })
  const p = builder.node('Softmax', [logits], { attributes: LAST_AXIS })
  builder.node('Sub', [weights, builder.node('Mul', [p, sums])], { outputs: [dLogits] })
}

/** x[b,l,ids[b,l]] as [B,L,1]. */
function pick(builder: GraphBuilder, x: string, ids: string): string {
  return builder.node('GatherElements', [x, column(builder, ids)], { attributes: LAST_AXIS })
}

/** [B,L] as [B,L,1]. */
function column(builder: GraphBuilder, x: string): string {
  const dims = builder.dims(x)
  return builder.shared(`column ${x}`, () => builder.reshape(x, dims, [...dims, 1]))
}
