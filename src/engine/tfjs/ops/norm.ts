/** Layer and RMS normalisation over the last axis, and their gradients with respect to x (scale and bias are frozen). */
import type { TensorInfo } from '@tensorflow/tfjs-core'
import type { Kernels } from '../tfjs-kernels'
import { input, type Implementation } from './op'

/** 1 / sqrt(mean(x^2) + epsilon) over the last axis. */
function inverseRoot(x: TensorInfo, epsilon: number, k: Kernels): TensorInfo {
  return k.unary('Rsqrt', k.add(k.reduceLast('Mean', k.mul(x, x)), k.scalar(epsilon)))
}

function centred(x: TensorInfo, k: Kernels): TensorInfo {
  return k.sub(x, k.reduceLast('Mean', x))
}

/** Gradient of n(x) = x r, r = 1 / sqrt(mean(x^2) + epsilon), given dn: r (dn - n mean(dn n)). */
function normalizeGrad(dn: TensorInfo, x: TensorInfo, epsilon: number, k: Kernels): TensorInfo {
  const r = inverseRoot(x, epsilon, k)
  const n = k.mul(x, r)
  return k.mul(k.sub(dn, k.mul(n, k.reduceLast('Mean', k.mul(dn, n)))), r)
}

export const LayerNorm: Implementation<'LayerNorm'> = (op, inputs, k) => {
  const x = centred(input(op, inputs, 0), k)
  const normal = k.mul(x, inverseRoot(x, op.attrs.epsilon, k))
  return [k.add(k.mul(normal, input(op, inputs, 1)), input(op, inputs, 2))]
}

export const LayerNormGrad: Implementation<'LayerNormGrad'> = (op, inputs, k) => {
  const dn = k.mul(input(op, inputs, 0), input(op, inputs, 2))
  return [centred(normalizeGrad(dn, centred(input(op, inputs, 1), k), op.attrs.epsilon, k), k)]
}

export const RMSNorm: Implementation<'RMSNorm'> = (op, inputs, k) => {
  const x = input(op, inputs, 0)
  return [k.mul(k.mul(x, inverseRoot(x, op.attrs.epsilon, k)), input(op, inputs, 1))]
}

export const RMSNormGrad: Implementation<'RMSNormGrad'> = (op, inputs, k) => {
  const dn = k.mul(input(op, inputs, 0), input(op, inputs, 2))
  return [normalizeGrad(dn, input(op, inputs, 1), op.attrs.epsilon, k)]
}
