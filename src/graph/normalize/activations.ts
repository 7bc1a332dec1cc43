/**
 * Rules for activation functions that are more than one op of the dialect: those of ONNX beyond Relu, Sigmoid and Tanh, and onnxruntime's
 * fused forms of Gelu and Silu. One function per ONNX op.
 */
import { floatAttribute, stringAttribute } from '../host/attributes'
import type { BinaryName, UnaryName } from '../program'
import type { DeviceLane, Lane } from './lanes'
import { add } from './linear'
import { deviceInput, fail, input, type DeviceCall, type DeviceRule } from './rule'

const unary = ({ emit }: DeviceCall, op: UnaryName, x: DeviceLane): DeviceLane => emit.emit({ op, attrs: {} }, [x])
/** a op b, where b may be a number. */
const binary = ({ emit }: DeviceCall, op: BinaryName, a: Lane, b: Lane | number): DeviceLane =>
  emit.emit({ op, attrs: {} }, [a, typeof b === 'number' ? emit.scalar(b) : b])
const scaled = (call: DeviceCall, x: DeviceLane, by: number): DeviceLane => (by === 1 ? x : binary(call, 'Mul', x, by))

function geluOf({ emit }: DeviceCall, x: DeviceLane, approximate: 'none' | 'tanh'): DeviceLane {
  return emit.emit({ op: 'Gelu', attrs: { approximate } }, [x])
}

/** x * sigmoid(alpha * x). */
function siluOf(call: DeviceCall, x: DeviceLane, alpha: number): DeviceLane {
  if (alpha === 1) return call.emit.emit({ op: 'Silu', attrs: {} }, [x])
  return binary(call, 'Mul', x, unary(call, 'Sigmoid', scaled(call, x, alpha)))
}

/** x with the bias of input 1, where there is one. */
const withBias = (call: DeviceCall): DeviceLane => {
  const bias = call.inputs[1]
  return bias ? add(call, input(call, 0), bias) : deviceInput(call, 0)
}

/** ONNX's (operator set 20), and onnxruntime's, which has the erf form alone. */
export const Gelu: DeviceRule = (call) => {
  const approximate = stringAttribute(call.node, 'approximate', 'none')
  if (approximate !== 'none' && approximate !== 'tanh') return fail(`approximate '${approximate}' is not supported`)
  return [geluOf(call, deviceInput(call, 0), approximate)]
}

/** com.microsoft: (x, bias?), the tanh form. */
export const FastGelu: DeviceRule = (call) => [geluOf(call, withBias(call), 'tanh')]
/** com.microsoft: (x, bias), the erf form. */
export const BiasGelu: DeviceRule = (call) => [geluOf(call, withBias(call), 'none')]
/** com.microsoft. */
export const QuickGelu: DeviceRule = (call) => [siluOf(call, deviceInput(call, 0), floatAttribute(call.node, 'alpha', 1.702))]
/** ONNX (operator set 24). */
export const Swish: DeviceRule = (call) => [siluOf(call, deviceInput(call, 0), floatAttribute(call.node, 'alpha', 1))]

const below = (call: DeviceCall, x: DeviceLane): DeviceLane => binary(call, 'Min', x, 0)
const relu = (call: DeviceCall, x: DeviceLane): DeviceLane => unary(call, 'Relu', x)

export const LeakyRelu: DeviceRule = (call) => {
  const x = deviceInput(call, 0)
  return [binary(call, 'Add', relu(call, x), scaled(call, below(call, x), floatAttribute(call.node, 'alpha', 0.01)))]
}

/** (x, slope), the slope broadcast to x. */
export const PRelu: DeviceRule = (call) => {
  const x = deviceInput(call, 0)
  return [binary(call, 'Add', relu(call, x), binary(call, 'Mul', below(call, x), input(call, 1)))]
}

/** max(x, 0) + alpha * (exp(min(x, 0)) - 1). */
function eluOf(call: DeviceCall, x: DeviceLane, alpha: number): DeviceLane {
  const curve = binary(call, 'Sub', unary(call, 'Exp', below(call, x)), 1)
  return binary(call, 'Add', relu(call, x), scaled(call, curve, alpha))
}

export const Elu: DeviceRule = (call) => [eluOf(call, deviceInput(call, 0), floatAttribute(call.node, 'alpha', 1))]

/** The defaults are those of Klambauer et al. 2017, as ONNX writes them. */
export const Selu: DeviceRule = (call) => {
  const alpha = floatAttribute(call.node, 'alpha', 1.6732632423543772)
  return [scaled(call, eluOf(call, deviceInput(call, 0), alpha), floatAttribute(call.node, 'gamma', 1.0507009873554805))]
}

/** log(1 + exp(x)), as max(x, 0) + log(1 + exp(-|x|)), which does not overflow. */
function softplusOf(call: DeviceCall, x: DeviceLane): DeviceLane {
  const small = unary(call, 'Exp', unary(call, 'Neg', unary(call, 'Abs', x)))
  return binary(call, 'Add', relu(call, x), unary(call, 'Log', binary(call, 'Add', small, 1)))
}

export const Softplus: DeviceRule = (call) => [softplusOf(call, deviceInput(call, 0))]
export const Mish: DeviceRule = (call) => {
  const x = deviceInput(call, 0)
  return [binary(call, 'Mul', x, unary(call, 'Tanh', softplusOf(call, x)))]
}
/** x / (1 + |x|). */
export const Softsign: DeviceRule = (call) => {
  const x = deviceInput(call, 0)
  return [binary(call, 'Div', x, binary(call, 'Add', unary(call, 'Abs', x), 1))]
}

/** alpha * x + beta, cut to [0, 1]. */
function hardSigmoidOf(call: DeviceCall, x: DeviceLane, alpha: number, beta: number): DeviceLane {
  const line = binary(call, 'Add', scaled(call, x, alpha), beta)
  return binary(call, 'Min', binary(call, 'Max', line, 0), 1)
}

export const HardSigmoid: DeviceRule = (call) => {
  const [alpha, beta] = [floatAttribute(call.node, 'alpha', 0.2), floatAttribute(call.node, 'beta', 0.5)]
  return [hardSigmoidOf(call, deviceInput(call, 0), alpha, beta)]
}

export const HardSwish: DeviceRule = (call) => {
  const x = deviceInput(call, 0)
  return [binary(call, 'Mul', x, hardSigmoidOf(call, x, 1 / 6, 0.5))]
}
