/**
 * Rotary position embedding: x * cos + rotate_half(x) * sin with rotate_half(x) = Concat(Neg(second half), first half) of the last axis
 * (Su et al. 2021, https://arxiv.org/abs/2104.09864; the half-split form of GPT-NeoX and Llama).
 */
import { broadcastsTo } from '../op-types'
import { operandOrders, type ProgramView } from '../rewrite'
import type { FusionRule } from './rule'

export const rotary: FusionRule = (op, { view, depends }) => {
  if (op.op !== 'Add') return undefined
  for (const [plain, turned] of operandOrders(op)) {
    const [plainProduct, turnedProduct] = [view.made(plain, 'Mul'), view.made(turned, 'Mul')]
    if (!plainProduct || !turnedProduct) continue
    for (const [rotated, sin] of operandOrders(turnedProduct)) {
      const x = rotateHalf(view, rotated)
      const cos = operandOrders(plainProduct).find(([source]) => source === x)?.[1]
      if (x === undefined || cos === undefined || depends(cos) || depends(sin)) continue
      if (!broadcastsTo(view.dims(cos), view.dims(x)) || !broadcastsTo(view.dims(sin), view.dims(x))) continue
      return (builder) => {
        builder.emitAll({ op: 'RotaryEmbedding', name: op.name, inputs: [x, cos, sin], attrs: {} }, op.outputs)
      }
    }
  }
  return undefined
}

/** Reads rotate_half(x): the name of x. */
function rotateHalf(view: ProgramView, value: string): string | undefined {
  const concat = view.made(value, 'Concat')
  const lastAxis = view.dims(value).length - 1
  const size = view.dims(value)[lastAxis] ?? 0
  if (!concat || concat.inputs.length !== 2 || (concat.attrs.axis !== lastAxis && concat.attrs.axis !== -1)) return undefined
  const second = view.made(view.made(concat.inputs[0], 'Neg')?.inputs[0], 'Slice')
  const first = view.made(concat.inputs[1], 'Slice')
  const x = first?.inputs[0]
  if (!first || !second || x === undefined || second.inputs[0] !== x || size % 2 !== 0) return undefined
  const onLastAxis = [first, second].every(({ attrs }) => attrs.axis === lastAxis || attrs.axis === -1)
  const halves =
    first.attrs.start === 0 && first.attrs.end === size / 2 && second.attrs.start === size / 2 && second.attrs.end === size
  return onLastAxis && halves && view.dims(x)[lastAxis] === size ? x : undefined
}
