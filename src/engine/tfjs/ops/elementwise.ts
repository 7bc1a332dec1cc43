/** Element-wise ops, activations and their gradients. */
import type { TensorInfo } from '@tensorflow/tfjs-core'
import type { BinaryName, UnaryName } from '../../../graph/program'
import type { BinaryKernel, Kernels, UnaryKernel } from '../tfjs-kernels'
import { input, type Implementation } from './op'

const UNARY_KERNELS: Readonly<Record<UnaryName, UnaryKernel>> = {
  Neg: 'Neg',
  Abs: 'Abs',
  Reciprocal: 'Reciprocal',
  Sqrt: 'Sqrt',
  Exp: 'Exp',
  Log: 'Log',
  Erf: 'Erf',
  Tanh: 'Tanh',
  Sigmoid: 'Sigmoid',
  Relu: 'Relu',
  Sin: 'Sin',
  Cos: 'Cos',
  Not: 'LogicalNot',
}

const BINARY_KERNELS: Readonly<Record<BinaryName, BinaryKernel>> = {
  Add: 'Add',
  Sub: 'Sub',
  Mul: 'Multiply',
  Div: 'RealDiv',
  Pow: 'Pow',
  Max: 'Maximum',
  Min: 'Minimum',
  Greater: 'Greater',
  Equal: 'Equal',
}

export const unary: Implementation<UnaryName> = (op, inputs, k) => [k.unary(UNARY_KERNELS[op.op], input(op, inputs, 0))]

export const binary: Implementation<BinaryName> = (op, inputs, k) => [
  k.binary(BINARY_KERNELS[op.op], input(op, inputs, 0), input(op, inputs, 1)),
]

export const Where: Implementation<'Where'> = (op, inputs, k) => [
  k.select(input(op, inputs, 0), input(op, inputs, 1), input(op, inputs, 2)),
]

/** sqrt(2 / pi) and the cubic coefficient of the tanh approximation (Hendrycks & Gimpel 2016, section 2). */
const TANH_SCALE = Math.sqrt(2 / Math.PI)
const TANH_CUBIC = 0.044715

/** 1 + tanh(TANH_SCALE * (x + TANH_CUBIC x^3)), with the x^2 it needed. */
function onePlusTanh(x: TensorInfo, k: Kernels): { t1: TensorInfo; square: TensorInfo } {
  const square = k.mul(x, x)
  // TANH_SCALE * x * (1 + TANH_CUBIC * x^2)
  const slope = k.add(k.mul(square, k.scalar(TANH_SCALE * TANH_CUBIC)), k.scalar(TANH_SCALE))
  return { t1: k.add(k.unary('Tanh', k.mul(slope, x)), k.scalar(1)), square }
}

/** (1 + erf(x / sqrt 2)) / 2, the normal distribution function. */
function normalDistribution(x: TensorInfo, k: Kernels): TensorInfo {
  const erf = k.unary('Erf', k.mul(x, k.scalar(Math.SQRT1_2)))
  return k.mul(k.add(erf, k.scalar(1)), k.scalar(0.5))
}

export const Gelu: Implementation<'Gelu'> = (op, inputs, k) => {
  const x = input(op, inputs, 0)
  if (op.attrs.approximate === 'none') return [k.mul(x, normalDistribution(x, k))]
  return [k.mul(k.mul(x, k.scalar(0.5)), onePlusTanh(x, k).t1)]
}

export const GeluGrad: Implementation<'GeluGrad'> = (op, inputs, k) => {
  const dy = input(op, inputs, 0)
  const x = input(op, inputs, 1)
  if (op.attrs.approximate === 'none') {
    // d/dx x F(x) = F(x) + x f(x), f the normal density.
    const exponential = k.unary('Exp', k.mul(k.mul(x, x), k.scalar(-0.5)))
    const density = k.mul(exponential, k.scalar(1 / Math.sqrt(2 * Math.PI)))
    return [k.mul(dy, k.add(normalDistribution(x, k), k.mul(x, density)))]
  }
  const { t1, square } = onePlusTanh(x, k)
  // 1 - t^2 = t1 (2 - t1) for t1 = 1 + t.
  const sech2 = k.mul(t1, k.sub(k.scalar(2), t1))
  const inner = k.add(k.mul(square, k.scalar(3 * TANH_SCALE * TANH_CUBIC)), k.scalar(TANH_SCALE))
  const slope = k.mul(k.add(t1, k.mul(k.mul(x, sech2), inner)), k.scalar(0.5))
  return [k.mul(dy, slope)]
}

export const Silu: Implementation<'Silu'> = (op, inputs, k) => {
  const x = input(op, inputs, 0)
  return [k.mul(x, k.unary('Sigmoid', x))]
}

export const SiluGrad: Implementation<'SiluGrad'> = (op, inputs, k) => {
  const dy = input(op, inputs, 0)
  const x = input(op, inputs, 1)
  const s = k.unary('Sigmoid', x)
  // s + x s (1 - s) = s (1 + x (1 - s))
  const slope = k.mul(s, k.add(k.mul(x, k.sub(k.scalar(1), s)), k.scalar(1)))
  return [k.mul(dy, slope)]
}
