/**
 * VJPs of the matrix products. The gradient of an activation reads the same weight with its transpose flag turned over:
 * no transposed copy is ever made, and a [B,S,K] x [K,N] product stays one product backwards.
 */
import type { OpNamed } from '../program'
import { input, output, type Backward, type VjpTable } from './rule'

function matMul(op: OpNamed<'MatMul'>, dy: string, back: Backward): void {
  const { builder } = back
  const [a, b] = [input(op, 0), input(op, 1)]
  const { transA, transB } = op.attrs
  const dense = back.dense(dy, back.dims(output(op)))
  // Batch dimensions an operand lacks were broadcast; so were those where it has 1.
  const add = (value: string, product: string) => {
    back.add(value, back.unbroadcast(product, builder.dims(product), back.dims(value)))
  }
  if (back.needs(a)) add(a, transA ? builder.matMul(b, dense, transB, true) : builder.matMul(dense, b, false, !transB))
  if (back.needs(b)) add(b, transB ? builder.matMul(dense, a, true, transA) : builder.matMul(a, dense, !transA, false))
}

export const linear: VjpTable = {
  MatMul: matMul,
  DynamicQuantizedMatMul: (op, dy, back) => {
    const x = input(op, 0)
    if (!back.needs(x)) return
    const inputs = [back.dense(dy, back.dims(output(op))), ...op.inputs.slice(1)]
    back.add(x, back.builder.emit({ op: 'DynamicQuantizedMatMulGrad', name: op.name, inputs, attrs: {} }))
  },
  PackedMatMul: (op, dy, back) => {
    const x = input(op, 0)
    if (!back.needs(x)) return
    const inputs = [back.dense(dy, back.dims(output(op))), ...op.inputs.slice(1)]
    back.add(x, back.builder.emit({ op: 'PackedMatMulGrad', name: op.name, inputs, attrs: op.attrs }))
  },
}
