/**
 * q8 linear layers. With simulated rounding they are the very chain quantize_dynamic writes, so onnxruntime fuses and computes
 * them as it does the original file: bit for bit.
 */
import { elementCount } from '../../graph/ir'
import { bytesFormat, type PackedFormat } from '../../graph/packed'
import type { OpNamed } from '../../graph/program'
import { FLOAT, int, type GraphBuilder } from './graph-builder'
import { lowerPackedMatMul } from './lower-packed'

export function lowerDynamicQuantizedMatMul(op: OpNamed<'DynamicQuantizedMatMul'>, builder: GraphBuilder): void {
  const [x, w] = [builder.input(op, 0), builder.input(op, 1)]
  if (!op.attrs.simulate_rounding) {
    lowerPackedMatMul({ ...op, op: 'PackedMatMul', attrs: formatOf(op, builder) }, builder)
    return
  }
  const [scale, zeroPoint] = [builder.input(op, 2), builder.input(op, 3)]
  const [levels, xScale, xZero] = quantizedInput(builder, x)
  const product = builder.node('MatMulInteger', [levels, w, xZero, zeroPoint])
  const wide = builder.node('Cast', [product], { attributes: { to: int(FLOAT) } })
  builder.node('Mul', [wide, builder.node('Mul', [xScale, scale])], { outputs: op.outputs })
}

/** dy ((w - zero point) scale)^T. */
export function lowerDynamicQuantizedMatMulGrad(op: OpNamed<'DynamicQuantizedMatMulGrad'>, builder: GraphBuilder): void {
  lowerPackedMatMul({ ...op, op: 'PackedMatMulGrad', attrs: formatOf(op, builder) }, builder)
}

/** Layers with the same input (q, k and v) share its rounding, as quantize_dynamic lets them. */
function quantizedInput(builder: GraphBuilder, x: string): readonly [string, string, string] {
  const names = ['levels', 'scale', 'zero point'].map((part) => `quantized ${part} ${x}`)
  const [levels, scale, zero] = names.map((key) => builder.shared(key, () => builder.freshName()))
  if (levels === undefined || scale === undefined || zero === undefined) throw new Error('unreachable')
  builder.shared(`quantized ${x}`, () => builder.node('DynamicQuantizeLinear', [x], { outputs: [levels, scale, zero] }))
  return [levels, scale, zero]
}

function formatOf(op: OpNamed<'DynamicQuantizedMatMul' | 'DynamicQuantizedMatMulGrad'>, builder: GraphBuilder): PackedFormat {
  return bytesFormat(builder.type(builder.input(op, 1)), elementCount(builder.dims(builder.input(op, 2))))
}
