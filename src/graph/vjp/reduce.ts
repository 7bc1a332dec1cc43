/** VJPs of the ops that reduce along axes or normalise along one. */
import { elementCount } from '../ir'
import { positiveAxis, reducedDims } from '../op-types'
import type { OpNamed } from '../program'
import { input, output, type Backward, type VjpTable } from './rule'

/** A value of the reduced shape with the reduced axes written as 1: it broadcasts to the reduced input. */
function keepAxes(op: OpNamed<'ReduceSum' | 'ReduceMean' | 'ReduceMax'>, reduced: string, back: Backward): string {
  const dims = back.dims(input(op, 0))
  // A lazy gradient may be 1 where the shape is not; it keeps those.
  if (op.attrs.keepdims) return reduced
  const kept = reducedDims(dims, op.attrs.axes, true)
  return back.builder.reshape(back.dense(reduced, back.dims(output(op))), kept)
}

export const reduce: VjpTable = {
  ReduceSum: (op, dy, back) => {
    back.add(input(op, 0), keepAxes(op, dy, back))
  },
  ReduceMean: (op, dy, back) => {
    const x = input(op, 0)
    const count = elementCount(back.dims(x)) / elementCount(back.dims(output(op)))
    back.add(x, keepAxes(op, back.builder.scale(dy, 1 / count), back))
  },
  // Equal maxima share the gradient, as in PyTorch's amax.
  ReduceMax: (op, dy, back) => {
    const { builder } = back
    const x = input(op, 0)
    const axes = op.attrs.axes
    const atMaximum = builder.binary('Equal', x, keepAxes(op, output(op), back))
    const ones = builder.where(atMaximum, builder.scalar(1), builder.scalar(0))
    const share = builder.div(keepAxes(op, dy, back), builder.reduceSum(ones, axes, true))
    back.add(x, builder.mul(ones, share))
  },
  // dx = p (dy - sum(dy p)).
  Softmax: (op, dy, back) => {
    const { builder } = back
    const p = output(op)
    const axes = [positiveAxis(op.attrs.axis, back.dims(p).length)]
    const inner = builder.reduceSum(builder.mul(dy, p), axes, true)
    back.add(input(op, 0), builder.mul(p, builder.sub(dy, inner)))
  },
  // dx = dy - softmax(x) sum(dy).
  LogSoftmax: (op, dy, back) => {
    const { builder } = back
    const y = output(op)
    const axes = [positiveAxis(op.attrs.axis, back.dims(y).length)]
    const dense = back.dense(dy, back.dims(y))
    back.add(input(op, 0), builder.sub(dense, builder.mul(builder.unary('Exp', y), builder.reduceSum(dense, axes, true))))
  },
}
