/** Rules for ops that work element by element. Comparisons give bool and end in Where. One function per ONNX op. */
import { sameDims } from '../op-types'
import type { BinaryName, UnaryName } from '../program'
import { full, ndDType } from '../host/array'
import { intAttribute } from '../host/attributes'
import { elementType } from '../host/shape'
import { HostLane, type DeviceLane, type Lane } from './lanes'
import { scaledProduct } from './quantized'
import { deviceInput, fail, input, resultDims, uniform, withoutRepeats, type DeviceCall, type DeviceRule } from './rule'

const unary =
  (op: UnaryName): DeviceRule =>
  (call) => [call.emit.emit({ op, attrs: {} }, [deviceInput(call, 0)])]

export const Neg = unary('Neg')
export const Abs = unary('Abs')
export const Reciprocal = unary('Reciprocal')
export const Sqrt = unary('Sqrt')
export const Exp = unary('Exp')
export const Log = unary('Log')
export const Erf = unary('Erf')
export const Tanh = unary('Tanh')
export const Sigmoid = unary('Sigmoid')
export const Relu = unary('Relu')
export const Sin = unary('Sin')
export const Cos = unary('Cos')
export const Not = unary('Not')

/** Emits a binary op; constants lose what broadcasting gives back. */
function binary(call: DeviceCall, op: BinaryName, a: Lane, b: Lane): DeviceLane {
  return call.emit.emit({ op, attrs: {} }, [withoutRepeats(call, a, b), withoutRepeats(call, b, a)])
}

/** `x` itself where combining it with `constant`, all of one value, changes neither elements nor shape. */
function unchanged(x: Lane, constant: Lane, neutral: number): Lane | undefined {
  return sameDims(resultDims(x, constant), x.dims) && uniform(constant) === neutral ? x : undefined
}

export const Add: DeviceRule = (call) => {
  const [a, b] = [input(call, 0), input(call, 1)]
  return [unchanged(a, b, 0) ?? unchanged(b, a, 0) ?? binary(call, 'Add', a, b)]
}

export const Sub: DeviceRule = (call) => {
  const [a, b] = [input(call, 0), input(call, 1)]
  return [unchanged(a, b, 0) ?? binary(call, 'Sub', a, b)]
}

export const Mul: DeviceRule = (call) => {
  const [a, b] = [input(call, 0), input(call, 1)]
  return [scaledProduct(call, a, b) ?? unchanged(a, b, 1) ?? unchanged(b, a, 1) ?? binary(call, 'Mul', a, b)]
}

export const Div: DeviceRule = (call) => {
  const [a, b] = [input(call, 0), input(call, 1)]
  return [unchanged(a, b, 1) ?? binary(call, 'Div', a, b)]
}

/** The exponent has to be one number: a power's gradient with respect to it is never wanted. */
export const Pow: DeviceRule = (call) => {
  const x = deviceInput(call, 0)
  const exponent = uniform(input(call, 1)) ?? fail('only one constant exponent is supported')
  if (exponent === 1) return [x]
  return [binary(call, 'Pow', x, call.emit.scalar(exponent))]
}

const variadic =
  (op: BinaryName): DeviceRule =>
  (call) => {
    const [first = fail('input 0 is missing'), ...others] = call.inputs.map((_, i) => input(call, i))
    return [others.reduce((a, b) => binary(call, op, a, b), first)]
  }

export const Max = variadic('Max')
export const Min = variadic('Min')
export const Sum = variadic('Add')

/** Bounds are attributes before operator set 11, optional inputs since; infinite ones (the default) do nothing. */
export const Clip: DeviceRule = (call) => {
  const bound = (i: number, name: string): number | undefined => {
    const attribute = call.node.attributes.get(name)
    if (call.opset < 11) return attribute?.type === 'float' ? attribute.value : undefined
    const lane = call.inputs[i]
    return lane ? (uniform(lane) ?? fail(`'${name}' has to be a constant`)) : undefined
  }
  const [low, high] = [bound(1, 'min'), bound(2, 'max')]
  let x = deviceInput(call, 0)
  if (low !== undefined && low > -3.4e38) x = binary(call, 'Max', x, call.emit.scalar(low))
  if (high !== undefined && high < 3.4e38) x = binary(call, 'Min', x, call.emit.scalar(high))
  return [x]
}

export const Greater: DeviceRule = (call) => [binary(call, 'Greater', input(call, 0), input(call, 1))]
export const Less: DeviceRule = (call) => [binary(call, 'Greater', input(call, 1), input(call, 0))]
export const Equal: DeviceRule = (call) => [binary(call, 'Equal', input(call, 0), input(call, 1))]

const negated = ({ emit }: DeviceCall, x: DeviceLane): DeviceLane => emit.emit({ op: 'Not', attrs: {} }, [x])
export const GreaterOrEqual: DeviceRule = (call) => [negated(call, binary(call, 'Greater', input(call, 1), input(call, 0)))]
export const LessOrEqual: DeviceRule = (call) => [negated(call, binary(call, 'Greater', input(call, 0), input(call, 1)))]

/** -1, 0 or 1; its gradient is 0 everywhere, as in PyTorch. */
export const Sign: DeviceRule = (call) => {
  const { emit } = call
  const [x, zero] = [deviceInput(call, 0), emit.scalar(0)]
  const chosen = (condition: DeviceLane, value: number, other: Lane) =>
    emit.emit({ op: 'Where', attrs: {} }, [condition, emit.scalar(value), other])
  return [chosen(binary(call, 'Greater', x, zero), 1, chosen(binary(call, 'Greater', zero, x), -1, zero))]
}

export const Where: DeviceRule = (call) => {
  const [condition, x, y] = [input(call, 0), input(call, 1), input(call, 2)]
  const dims = resultDims(condition, x, y)
  const always = uniform(condition)
  if (always !== undefined) return [call.emit.expand(always === 0 ? y : x, dims)]
  const other = x.kind === 'device' ? x : y
  return [call.emit.emit({ op: 'Where', attrs: {} }, [withoutRepeats(call, condition, other), x, y])]
}

/** Nothing on the device is ever NaN or infinite: masks come in finite (see Emitter), so this is false all over. */
export const IsNaN: DeviceRule = (call) => {
  const x = deviceInput(call, 0)
  // One element broadcasts to whatever Where combines it with.
  const dims = x.dims.map(() => 1)
  return [HostLane.of(call.node.outputs[0] ?? call.node.op_type, full('bool', dims, 0))]
}
export const IsInf: DeviceRule = IsNaN

/** Floats are all float32 on the device. A condition becomes 1 and 0. */
export const Cast: DeviceRule = (call) => {
  const x = input(call, 0)
  const to = elementType(intAttribute(call.node, 'to'))
  if (ndDType(to) !== 'float32') return fail(`a value that depends on the embeddings is cast to ${to}`)
  if (x.kind === 'integer product') return [x]
  return asFloat(call, x)
}

function asFloat(call: DeviceCall, x: Lane): Lane[] {
  if (x.kind === 'device' && x.dtype === 'bool') {
    return [call.emit.emit({ op: 'Where', attrs: {} }, [x, call.emit.scalar(1), call.emit.scalar(0)])]
  }
  // A host value whose type is that of a computed one stays where it is.
  return [x.kind === 'host' ? call.host('Cast', [x], { to: { type: 'int', value: 1 } }) : deviceInput(call, 0)]
}

/** To the type of input 1: what Cast does, or a change between floating types, which are one type here. */
export const CastLike: DeviceRule = (call) => {
  const like = input(call, 1)
  if (like.kind !== 'quantized' && 'dtype' in like && like.dtype !== 'float32')
    return fail(`a value that depends on the embeddings is cast to ${like.dtype}`)
  return asFloat(call, input(call, 0))
}

export const Identity: DeviceRule = (call) => [input(call, 0)]
