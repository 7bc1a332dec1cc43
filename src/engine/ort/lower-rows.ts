/** Rows picked by position per batch entry, and their gradient. */
import { elementCount } from '../../graph/ir'
import type { OpNamed } from '../../graph/program'
import { EngineError } from '../engine'
import { int, type GraphBuilder } from './graph-builder'
import { matMul } from './lower-matmul'

/** One Gather over [B*S, H]: row b*S + positions[b,l]. */
export function lowerGatherRows(op: OpNamed<'GatherRows'>, builder: GraphBuilder): void {
  const [x, positions] = [builder.input(op, 0), builder.input(op, 1)]
  const dims = builder.dims(x)
  const [batch, length, width] = dims
  if (batch === undefined || length === undefined || width === undefined) {
    throw new EngineError(`GatherRows '${op.name}': '${x}' is [${dims.join(', ')}], three dimensions are expected`)
  }
  const starts = Array.from({ length: batch }, (_, b) => b * length)
  const rows =
    batch === 1
      ? positions
      : builder.shared(`rows ${length} ${positions}`, () => builder.node('Add', [positions, builder.int32s([batch, 1], starts)]))
  const flat = builder.reshape(x, dims, [batch * length, width])
  builder.node('Gather', [flat, rows], { outputs: op.outputs, attributes: { axis: int(0) } })
}

/**
 * onehot(positions)^T dy, a [S,L] by [L,H] product per batch entry. It is right for repeated rows and the same on every
 * run, which a scatter with threads is not; and it is small beside the LM head, whose V is larger than S.
 */
export function lowerGatherRowsGrad(op: OpNamed<'GatherRowsGrad'>, builder: GraphBuilder): void {
  const [dy, positions] = [builder.input(op, 0), builder.input(op, 1)]
  const size = op.attrs.sequence_length
  const onehot = builder.shared(`onehot ${size} ${positions}`, () => oneHot(builder, positions, size))
  matMul(builder, onehot, dy, { transA: true, outputs: op.outputs })
}

/** float32 [..., size]: 1 where the last axis' index is the id. */
function oneHot(builder: GraphBuilder, ids: string, size: number): string {
  const dims = builder.dims(ids)
  const column = builder.reshape(ids, dims, [...dims, 1])
  const range = builder.int32s(
    [size],
    Array.from({ length: elementCount([size]) }, (_, i) => i),
  )
  // Not a Cast: see floatOf in lower-packed.ts.
  return builder.node('Where', [builder.node('Equal', [column, range]), builder.scalar(1), builder.scalar(0)])
}
