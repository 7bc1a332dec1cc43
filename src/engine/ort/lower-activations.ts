/** Gelu and Silu. Forward they are single onnxruntime kernels (vectorised erf, tanh and sigmoid inside). */
import type { OpNamed } from '../../graph/program'
import { float, MICROSOFT, type GraphBuilder } from './graph-builder'

export function lowerGelu(op: OpNamed<'Gelu'>, builder: GraphBuilder): void {
  const [x, y] = [builder.input(op, 0), builder.output(op, 0)]
  if (op.attrs.approximate === 'none') {
    builder.node('Gelu', [x], { domain: MICROSOFT, outputs: [y] })
  } else if (builder.dims(x).length > 0) {
    builder.node('FastGelu', [x], { domain: MICROSOFT, outputs: [y] })
  } else {
    // FastGelu refuses scalars.
    builder.reshape(builder.node('FastGelu', [builder.reshape(x, [], [1])], { domain: MICROSOFT }), [1], [], [y])
  }
}

export function lowerGeluGrad(op: OpNamed<'GeluGrad'>, builder: GraphBuilder): void {
  const [dy, x] = [builder.input(op, 0), builder.input(op, 1)]
  const slope = op.attrs.approximate === 'tanh' ? tanhGeluSlope(builder, x) : erfGeluSlope(builder, x)
  builder.node('Mul', [dy, slope], { outputs: op.outputs })
}

/** Phi(x) + x phi(x) = (1 + erf(t)) / 2 + t exp(-t^2) / sqrt(pi), with t = x / sqrt(2). */
function erfGeluSlope(builder: GraphBuilder, x: string): string {
  const t = builder.node('Mul', [x, builder.scalar(Math.SQRT1_2)])
  const cumulative = builder.node('Mul', [builder.node('Erf', [t]), builder.scalar(0.5)])
  const bell = builder.node('Exp', [builder.node('Neg', [builder.node('Mul', [t, t])])])
  const density = builder.node('Mul', [builder.node('Mul', [t, bell]), builder.scalar(1 / Math.sqrt(Math.PI))])
  return builder.node('Add', [builder.node('Add', [cumulative, density]), builder.scalar(0.5)])
}

const TANH_SCALE = Math.sqrt(2 / Math.PI)
const TANH_CUBIC = 0.044715

/**
 * Gelu is x s(2u) with s the logistic function and u = TANH_SCALE (x + TANH_CUBIC x^3), because (1 + tanh(u)) / 2 = s(2u).
 * Its slope is s + x s (1 - s) 2u', which needs no tanh and no squares of it.
 */
function tanhGeluSlope(builder: GraphBuilder, x: string): string {
  const node = (op_type: string, inputs: readonly string[]) => builder.node(op_type, inputs)
  const square = node('Mul', [x, x])
  const inner = node('Add', [node('Mul', [square, builder.scalar(2 * TANH_SCALE * TANH_CUBIC)]), builder.scalar(2 * TANH_SCALE)])
  const s = node('Sigmoid', [node('Mul', [inner, x])])
  const steep = node('Add', [node('Mul', [square, builder.scalar(6 * TANH_SCALE * TANH_CUBIC)]), builder.scalar(2 * TANH_SCALE)])
  // s (1 - s) first: it is 0 where x^3 is huge.
  const curve = node('Mul', [node('Sub', [s, node('Mul', [s, s])]), node('Mul', [x, steep])])
  return node('Add', [s, curve])
}

/** Under these keys the forward half leaves its parts for the gradient. */
const siluKey = (x: string) => `silu ${x}`

export function lowerSilu(op: OpNamed<'Silu'>, builder: GraphBuilder): void {
  const y = builder.node('QuickGelu', op.inputs, { domain: MICROSOFT, outputs: op.outputs, attributes: { alpha: float(1) } })
  builder.remember(siluKey(builder.input(op, 0)), y)
}

/** s (1 + x - y), with s = sigmoid(x) and y = x s. */
export function lowerSiluGrad(op: OpNamed<'SiluGrad'>, builder: GraphBuilder): void {
  const [dy, x] = [builder.input(op, 0), builder.input(op, 1)]
  const s = builder.node('Sigmoid', [x])
  const y = builder.recall(siluKey(x)) ?? builder.node('Mul', [x, s])
  const rise = builder.node('Add', [builder.node('Sub', [x, y]), builder.scalar(1)])
  builder.node('Mul', [builder.node('Mul', [dy, s]), rise], { outputs: op.outputs })
}
