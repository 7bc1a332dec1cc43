/**
 * Attention with grouped queries, and rotary embedding. The G = N / M query heads of one key head lie next to each other, so
 * [B,N,S,D] is read as [B,M,G*S,D]: repeated keys and values are never made, and their gradients add up over the group inside the
 * matrix product. onnxruntime's Reshape is free.
 */
import type { OpNamed } from '../../graph/program'
import { EngineError } from '../engine'
import { int, lastOf, type GraphBuilder } from './graph-builder'
import { matMul } from './lower-matmul'

/** The output of the attention whose probabilities these are: the gradient has a use for it. */
const outputKey = (p: string) => `attention output ${p}`

export function lowerAttention(op: OpNamed<'Attention'>, builder: GraphBuilder): void {
  const [q, k, v] = [builder.input(op, 0), builder.input(op, 1), builder.input(op, 2)]
  const [y, p] = [builder.output(op, 0), builder.output(op, 1)]
  const mask = op.inputs[3]
  const scores = matMul(builder, grouped(builder, q, k), k, { transB: true, alpha: op.attrs.scale })
  const [whole, folded] = [builder.dims(p), groupedDims(builder, p, k)]
  const separate = builder.reshape(scores, folded, whole)
  const masked = mask === undefined ? separate : builder.node('Add', [separate, mask])
  builder.node('Softmax', [masked], { outputs: [p], attributes: { axis: int(-1) } })
  const weights = builder.reshape(p, whole, folded)
  if (weights === p) {
    matMul(builder, p, v, { outputs: [y] })
  } else {
    builder.reshape(matMul(builder, weights, v), groupedDims(builder, y, k), builder.dims(y), [y])
  }
  builder.remember(outputKey(p), y)
}

/** With dp = dy v^T: ds = p (dp - rowsum(dp p)), dq = scale ds k, dk = scale ds^T q, dv = p^T dy. */
export function lowerAttentionGrad(op: OpNamed<'AttentionGrad'>, builder: GraphBuilder): void {
  const [dy, q, k] = [builder.input(op, 0), builder.input(op, 1), builder.input(op, 2)]
  const [v, p] = [builder.input(op, 3), builder.input(op, 4)]
  const [dq, dk, dv] = [builder.output(op, 0), builder.output(op, 1), builder.output(op, 2)]
  const [dyGrouped, qGrouped, pGrouped] = [grouped(builder, dy, k), grouped(builder, q, k), grouped(builder, p, k)]
  matMul(builder, pGrouped, dyGrouped, { transA: true, outputs: [dv] })
  const dp = matMul(builder, dyGrouped, v, { transB: true })
  // rowsum(dp p) = rowsum(dy y) for y = p v: E numbers a row to go through instead of T.
  const y = builder.recall(outputKey(p))
  const product = y === undefined ? [dp, pGrouped] : [dyGrouped, grouped(builder, y, k)]
  const dot = builder.node('ReduceSum', [builder.node('Mul', product), builder.int64s([-1])], {
    attributes: { keepdims: int(1) },
  })
  const ds = builder.node('Mul', [builder.node('Sub', [dp, dot]), pGrouped])
  const { scale: alpha } = op.attrs
  const folded = groupedDims(builder, q, k)
  const whole = builder.dims(q)
  if (grouped(builder, q, k) === q) matMul(builder, ds, k, { alpha, outputs: [dq] })
  else builder.reshape(matMul(builder, ds, k, { alpha }), folded, whole, [dq])
  matMul(builder, ds, qGrouped, { transA: true, alpha, outputs: [dk] })
}

/** [B,N,S,D] as [B,M,G*S,D]. */
function grouped(builder: GraphBuilder, x: string, k: string): string {
  return builder.shared(`grouped ${x}`, () => builder.reshape(x, builder.dims(x), groupedDims(builder, x, k)))
}

function groupedDims(builder: GraphBuilder, x: string, k: string): readonly number[] {
  const [b, n, s, d] = builder.dims(x)
  const m = builder.dims(k)[1]
  if (b === undefined || n === undefined || s === undefined || d === undefined || !m || n % m !== 0) {
    throw new EngineError(`attention: '${x}' is [${builder.dims(x).join(', ')}], its keys [${builder.dims(k).join(', ')}]`)
  }
  return [b, m, (n / m) * s, d]
}

/** x cos + swap(x) (sin [-1.., 1..]), swap exchanging the halves of the last axis: rotate_half without negating x. */
export function lowerRotary(op: OpNamed<'RotaryEmbedding'>, builder: GraphBuilder): void {
  const sin = builder.input(op, 2)
  const signed = builder.shared(`rotary ${sin}`, () => builder.node('Mul', [sin, signs(builder, sin, -1)]))
  rotate(op, builder, signed)
}

/** dy cos + unrotate_half(dy sin) = dy cos + swap(dy) (swap(sin) [1.., -1..]). */
export function lowerRotaryGrad(op: OpNamed<'RotaryEmbeddingGrad'>, builder: GraphBuilder): void {
  const sin = builder.input(op, 2)
  const signed = builder.shared(`rotary gradient ${sin}`, () =>
    builder.node('Mul', [swapHalves(builder, sin, lastOf(builder.dims(sin))), signs(builder, sin, 1)]),
  )
  rotate(op, builder, signed)
}

function rotate(op: OpNamed<'RotaryEmbedding' | 'RotaryEmbeddingGrad'>, builder: GraphBuilder, signedSin: string): void {
  const [x, cos] = [builder.input(op, 0), builder.input(op, 1)]
  const along = builder.node('Mul', [x, cos])
  const across = builder.node('Mul', [swapHalves(builder, x, lastOf(builder.dims(x))), signedSin])
  builder.node('Add', [along, across], { outputs: op.outputs })
}

function swapHalves(builder: GraphBuilder, x: string, size: number): string {
  if (size % 2 !== 0) throw new EngineError(`rotary embedding of '${x}': its last axis is odd (${size})`)
  const halves = [builder.freshName(), builder.freshName()]
  builder.node('Split', [x], { outputs: halves, attributes: { axis: int(-1), num_outputs: int(2) } })
  return builder.node('Concat', [...halves].reverse(), { attributes: { axis: int(-1) } })
}

/** [first.., -first..] over the two halves of the last axis. */
function signs(builder: GraphBuilder, x: string, first: number): string {
  const size = lastOf(builder.dims(x))
  return builder.float32s(
    [size],
    Array.from({ length: size }, (_, i) => (i < size / 2 ? first : -first)),
  )
}
