/** Ops that move data and compute nothing. Most of them are free, or one copy, whatever the rank. */
import { input, type Implementation } from './op'

export const Reshape: Implementation<'Reshape' | 'Expand'> = (op, inputs, k) => {
  const x = input(op, inputs, 0)
  return [op.op === 'Reshape' ? k.reshape(x, op.attrs.dims) : k.expand(x, op.attrs.dims)]
}

export const Transpose: Implementation<'Transpose'> = (op, inputs, k) => [k.transpose(input(op, inputs, 0), op.attrs.perm)]

export const Concat: Implementation<'Concat'> = (op, inputs, k) => [k.concat(inputs, op.attrs.axis)]

export const Slice: Implementation<'Slice'> = (op, inputs, k) => {
  const { axis, start, end } = op.attrs
  return [k.slice(input(op, inputs, 0), axis, start, end)]
}

export const Pad: Implementation<'Pad'> = (op, inputs, k) => {
  const { axis, before, after } = op.attrs
  return [k.pad(input(op, inputs, 0), axis, before, after)]
}

export const Gather: Implementation<'Gather'> = (op, inputs, k) => [
  k.gather(input(op, inputs, 0), input(op, inputs, 1), op.attrs.axis),
]

/** Ops run in the order of the program anyway: nothing is left to do. */
export const Barrier: Implementation<'Barrier'> = (op, inputs) => [input(op, inputs, 0)]

export const GatherRows: Implementation<'GatherRows'> = (op, inputs, k) => {
  const [rows = 0, sequence = 0, hidden = 0] = input(op, inputs, 0).shape
  const positions = input(op, inputs, 1)
  const first = k.constant(`rows ${rows} x ${sequence}`, [rows, 1], 'int32', () =>
    Int32Array.from({ length: rows }, (_, row) => row * sequence),
  )
  const flat = k.reshape(input(op, inputs, 0), [rows * sequence, hidden])
  return [k.gather(flat, k.add(positions, first), 0)]
}

export const GatherRowsGrad: Implementation<'GatherRowsGrad'> = (op, inputs, k) => {
  const dy = input(op, inputs, 0)
  const positions = input(op, inputs, 1)
  // A matmul with one-hot rows instead of scattering: tfjs' scatter adds floats atomically, in no fixed order.
  return [k.matMul3(k.oneHot(positions, op.attrs.sequence_length), dy, true, false)]
}
