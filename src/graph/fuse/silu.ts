/** SiLU: x * sigmoid(x) (Elfwing et al. 2017, https://arxiv.org/abs/1702.03118). sigmoid(c x) with c other than 1 is another function. */
import { operandOrders } from '../rewrite'
import type { FusionRule } from './rule'

export const silu: FusionRule = (op, { view }) => {
  if (op.op !== 'Mul') return undefined
  for (const [x, gate] of operandOrders(op)) {
    if (view.made(gate, 'Sigmoid')?.inputs[0] !== x) continue
    return (builder) => {
      builder.emitAll({ op: 'Silu', name: op.name, inputs: [x], attrs: {} }, op.outputs)
    }
  }
  return undefined
}
