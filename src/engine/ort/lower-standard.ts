/** Standard ops in ONNX form: what program.ts keeps as attributes becomes inputs where opset 21 wants it so. */
import type { OpNamed } from '../../graph/program'
import { INT32, int, ints, type GraphBuilder } from './graph-builder'

export function lowerElementwise(op: OpNamed<'Neg' | 'Add' | 'Where'>, builder: GraphBuilder): void {
  builder.node(op.op, op.inputs, { outputs: op.outputs })
}

export function lowerWithAxis(op: OpNamed<'Softmax' | 'Concat' | 'Gather'>, builder: GraphBuilder): void {
  builder.node(op.op, op.inputs, { outputs: op.outputs, attributes: { axis: int(op.attrs.axis) } })
}

export function lowerReduce(op: OpNamed<'ReduceSum'>, builder: GraphBuilder): void {
  const { axes, keepdims } = op.attrs
  const x = builder.input(op, 0)
  const attributes = { keepdims: int(Number(keepdims)) }
  // No axes would mean all of them.
  if (axes.length === 0) builder.node('Identity', [x], { outputs: op.outputs })
  else builder.node(op.op, [x, builder.int64s(axes)], { outputs: op.outputs, attributes })
}

export function lowerReshape(op: OpNamed<'Reshape'>, builder: GraphBuilder): void {
  const x = builder.input(op, 0)
  builder.reshape(x, builder.dims(x), op.attrs.dims, op.outputs)
}

export function lowerExpand(op: OpNamed<'Expand'>, builder: GraphBuilder): void {
  builder.node('Expand', [builder.input(op, 0), builder.int64s(op.attrs.dims)], { outputs: op.outputs })
}

export function lowerTranspose(op: OpNamed<'Transpose'>, builder: GraphBuilder): void {
  builder.node('Transpose', op.inputs, { outputs: op.outputs, attributes: { perm: ints(op.attrs.perm) } })
}

export function lowerSlice(op: OpNamed<'Slice'>, builder: GraphBuilder): void {
  const { axis, start, end } = op.attrs
  const inputs = [builder.input(op, 0), builder.int64s([start]), builder.int64s([end]), builder.int64s([axis])]
  builder.node('Slice', inputs, { outputs: op.outputs })
}

export function lowerPad(op: OpNamed<'Pad'>, builder: GraphBuilder): void {
  const { axis, before, after } = op.attrs
  const x = builder.input(op, 0)
  const rank = builder.dims(x).length
  const pads = new Array<number>(2 * rank).fill(0)
  pads[axis] = before
  pads[rank + axis] = after
  builder.node('Pad', [x, builder.int64s(pads)], { outputs: op.outputs })
}

export function lowerArgMax(op: OpNamed<'ArgMax'>, builder: GraphBuilder): void {
  const index = builder.node('ArgMax', [builder.input(op, 0)], { attributes: { axis: int(-1), keepdims: int(0) } })
  builder.node('Cast', [index], { outputs: op.outputs, attributes: { to: int(INT32) } })
}
