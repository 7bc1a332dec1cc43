/**
 * Barrier: x as it is, but no earlier than another value. onnxruntime computes equal nodes once and picks their order by itself; nothing
 * of `after` (a slice of length 0) put behind x makes both impossible, exactly and for one copy of x.
 */
import { elementCount } from '../../graph/ir'
import type { OpNamed, ValueDType } from '../../graph/program'
import { BOOL, FLOAT, INT32, int, type GraphBuilder } from './graph-builder'

/** The element types onnxruntime's Cast knows of those a value can have. */
const CAST_TO: Readonly<Partial<Record<ValueDType, number>>> = { float32: FLOAT, int32: INT32, bool: BOOL }

export function lowerBarrier(op: OpNamed<'Barrier'>, builder: GraphBuilder): void {
  const [x, after] = [builder.input(op, 0), builder.input(op, 1)]
  const [dims, afterDims] = [builder.dims(x), builder.dims(after)]
  const flat = builder.reshape(x, dims, [elementCount(dims)])
  const row = builder.reshape(after, afterDims, [elementCount(afterDims)])
  const zero = builder.int64s([0])
  const nothing = builder.node('Slice', [row, zero, zero, zero])
  const dtype = builder.type(x).dtype
  const to = CAST_TO[dtype]
  const alike =
    builder.type(after).dtype === dtype || to === undefined
      ? nothing
      : builder.node('Cast', [nothing], { attributes: { to: int(to) } })
  const joined = builder.node('Concat', [flat, alike], { attributes: { axis: int(0) } })
  builder.reshape(joined, [elementCount(dims)], dims, op.outputs)
}
