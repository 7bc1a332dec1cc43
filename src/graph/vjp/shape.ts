/** VJPs of the ops that only move elements. Gather is not among them: nothing is differentiated through a lookup. */
import type { VjpTable } from './rule'
import { input, output } from './rule'
import { positiveAxis } from '../op-types'

export const shape: VjpTable = {
  Reshape: (op, dy, back) => {
    const x = input(op, 0)
    back.add(x, back.builder.reshape(back.dense(dy, back.dims(output(op))), back.dims(x)))
  },
  Expand: (op, dy, back) => {
    const x = input(op, 0)
    back.add(x, back.unbroadcast(dy, back.dims(output(op)), back.dims(x)))
  },
  Transpose: (op, dy, back) => {
    const inverse = op.attrs.perm.map((_, axis) => op.attrs.perm.indexOf(axis))
    back.add(input(op, 0), back.builder.transpose(dy, inverse))
  },
  Concat: (op, dy, back) => {
    const { builder } = back
    const axis = positiveAxis(op.attrs.axis, back.dims(output(op)).length)
    const constantAlong = builder.dims(dy)[axis] === 1 && back.dims(output(op))[axis] !== 1
    let start = 0
    for (const x of op.inputs) {
      const end = start + (back.dims(x)[axis] ?? 0)
      if (back.needs(x)) back.add(x, constantAlong ? dy : builder.slice(dy, axis, start, end))
      start = end
    }
  },
  Slice: (op, dy, back) => {
    const { axis, start, end } = op.attrs
    const x = input(op, 0)
    const dims = back.dims(x)
    back.addPiece(x, positiveAxis(axis, dims.length), start, end, back.dense(dy, back.dims(output(op))))
  },
  Pad: (op, dy, back) => {
    const { axis, before } = op.attrs
    const dims = back.dims(input(op, 0))
    const at = positiveAxis(axis, dims.length)
    const dense = back.dense(dy, back.dims(output(op)))
    back.add(input(op, 0), back.builder.slice(dense, at, before, before + (dims[at] ?? 0)))
  },
}
