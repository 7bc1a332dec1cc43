/** Host ops that work element by element, with numpy broadcasting. One function per ONNX op. */
import { GraphError } from '../ir'
import { broadcastDims, broadcastStrides, forEachOffset, isFloat, zeros, type NdArray, type NdDType } from './array'
import { intAttribute } from './attributes'
import { input, variadic, type HostOp } from './op'

function map(x: NdArray, f: (value: number) => number, dtype: NdDType = x.dtype): NdArray {
  const out = zeros(dtype, x.dims)
  const { data } = x
  for (let i = 0; i < data.length; i++) out.data[i] = f(data[i] ?? NaN)
  if (dtype !== 'float32') unsignZeros(out.data)
  return out
}

function zip(a: NdArray, b: NdArray, f: (a: number, b: number) => number, dtype: NdDType = a.dtype): NdArray {
  const dims = broadcastDims(a.dims, b.dims)
  const out = zeros(dtype, dims)
  const [target, left, right] = [out.data, a.data, b.data]
  if (right.length === 1 && left.length === target.length) {
    const value = right[0] ?? NaN
    for (let i = 0; i < target.length; i++) target[i] = f(left[i] ?? NaN, value)
  } else if (left.length === target.length && right.length === target.length) {
    for (let i = 0; i < target.length; i++) target[i] = f(left[i] ?? NaN, right[i] ?? NaN)
  } else {
    const rightOffsets = new Int32Array(target.length)
    forEachOffset(dims, broadcastStrides(b.dims, dims), (i, offset) => (rightOffsets[i] = offset))
    forEachOffset(dims, broadcastStrides(a.dims, dims), (i, offset) => {
      target[i] = f(left[offset] ?? NaN, right[rightOffsets[i] ?? 0] ?? NaN)
    })
  }
  if (dtype !== 'float32') unsignZeros(target)
  return out
}

/** Integers have no -0, which a later cast and division would tell from 0. */
function unsignZeros(data: Float32Array | Float64Array): void {
  for (let i = 0; i < data.length; i++) if (data[i] === 0) data[i] = 0
}

const unary =
  (f: (value: number) => number): HostOp =>
  (call) => [map(input(call, 0), f)]
const toBool =
  (f: (value: number) => boolean): HostOp =>
  (call) => [map(input(call, 0), (x) => (f(x) ? 1 : 0), 'bool')]
const binary =
  (f: (a: number, b: number) => number): HostOp =>
  (call) => [zip(input(call, 0), input(call, 1), f)]
const compare =
  (f: (a: number, b: number) => boolean): HostOp =>
  (call) => [zip(input(call, 0), input(call, 1), (a, b) => (f(a, b) ? 1 : 0), 'bool')]
const fold =
  (f: (a: number, b: number) => number): HostOp =>
  (call) => [variadic(call).reduce((a, b) => zip(a, b, f))]

export const Neg = unary((x) => -x)
export const Abs = unary(Math.abs)
export const Sign = unary(Math.sign)
export const Sqrt = unary(Math.sqrt)
export const Reciprocal = unary((x) => 1 / x)
export const Exp = unary(Math.exp)
export const Log = unary(Math.log)
export const Sin = unary(Math.sin)
export const Cos = unary(Math.cos)
export const Tanh = unary(Math.tanh)
export const Sigmoid = unary((x) => 1 / (1 + Math.exp(-x)))
export const Relu = unary((x) => (x < 0 ? 0 : x))
export const Floor = unary(Math.floor)
export const Ceil = unary(Math.ceil)
/** To the nearest integer; halves to the even one. */
export const Round = unary((x) => {
  const below = Math.floor(x)
  return x - below === 0.5 ? below + (Math.abs(below) % 2) : Math.round(x)
})
export const Not = toBool((x) => x === 0)
export const IsNaN = toBool(Number.isNaN)
export const IsInf: HostOp = (call) => {
  const [positive, negative] = ['detect_positive', 'detect_negative'].map((name) => intAttribute(call.node, name, 1) === 1)
  return [map(input(call, 0), (x) => ((x === Infinity && positive) || (x === -Infinity && negative) ? 1 : 0), 'bool')]
}

export const Add = binary((a, b) => a + b)
export const Sub = binary((a, b) => a - b)
export const Mul = binary((a, b) => a * b)
export const Pow = binary((a, b) => a ** b)

/** Integer division rounds towards zero, as in C. @throws GraphError for an integer divided by zero */
export const Div: HostOp = (call) => {
  const a = input(call, 0)
  if (isFloat(a)) return [zip(a, input(call, 1), (x, y) => x / y)]
  return [
    zip(a, input(call, 1), (x, y) => {
      if (y === 0) throw new GraphError('integer division by zero')
      return Math.trunc(x / y)
    }),
  ]
}

/** fmod = 0: the sign of the divisor, as in Python; fmod = 1: the sign of the dividend, as in C. */
export const Mod: HostOp = (call) => {
  const a = input(call, 0)
  const asInC = intAttribute(call.node, 'fmod', 0) === 1
  return [
    zip(a, input(call, 1), (x, y) => {
      if (y === 0 && !isFloat(a)) throw new GraphError('integer division by zero')
      const rest = x % y
      return asInC || rest === 0 || rest < 0 === y < 0 ? rest : rest + y
    }),
  ]
}

export const Max = fold((a, b) => (a >= b || Number.isNaN(a) ? a : b))
export const Min = fold((a, b) => (a <= b || Number.isNaN(a) ? a : b))
export const Sum = fold((a, b) => a + b)

export const Equal = compare((a, b) => a === b)
export const Less = compare((a, b) => a < b)
export const LessOrEqual = compare((a, b) => a <= b)
export const Greater = compare((a, b) => a > b)
export const GreaterOrEqual = compare((a, b) => a >= b)
export const And = compare((a, b) => a !== 0 && b !== 0)
export const Or = compare((a, b) => a !== 0 || b !== 0)
export const Xor = compare((a, b) => (a !== 0) !== (b !== 0))

export const Where: HostOp = (call) => {
  const [condition, x, y] = [input(call, 0), input(call, 1), input(call, 2)]
  const dims = broadcastDims(condition.dims, x.dims, y.dims)
  const out = zeros(x.dtype, dims)
  const target = out.data
  forEachOffset(dims, broadcastStrides(x.dims, dims), (i, offset) => (target[i] = x.data[offset] ?? NaN))
  const skip = new Uint8Array(target.length)
  forEachOffset(dims, broadcastStrides(condition.dims, dims), (i, offset) => (skip[i] = condition.data[offset] === 0 ? 0 : 1))
  forEachOffset(dims, broadcastStrides(y.dims, dims), (i, offset) => {
    if (skip[i] === 0) target[i] = y.data[offset] ?? NaN
  })
  return [out]
}

/** Bounds are attributes before operator set 11, optional inputs since. */
export const Clip: HostOp = (call) => {
  const low = call.inputs[1]?.data[0] ?? -Infinity
  const high = call.inputs[2]?.data[0] ?? Infinity
  return [map(input(call, 0), (x) => Math.min(Math.max(x, low), high))]
}
