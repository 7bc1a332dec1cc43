/**
 * Linear layers of dynamically quantised files (onnxruntime's quantize_dynamic). The weight arrives as float32 whole numbers,
 * zero point subtracted (tfjs-engine.ts does that once, at upload); the scale is applied to the product, as onnxruntime does.
 */
import type { TensorInfo } from '@tensorflow/tfjs-core'
import type { Kernels } from '../tfjs-kernels'
import { matMul } from './linear'
import { input, type Implementation } from './op'

export const DynamicQuantizedMatMul: Implementation<'DynamicQuantizedMatMul'> = (op, inputs, k) => {
  const x = input(op, inputs, 0)
  const w = input(op, inputs, 1)
  const w_scale = input(op, inputs, 2)
  if (!op.attrs.simulate_rounding) return [k.mul(matMul(x, w, false, false, k), w_scale)]
  const { levels, scale } = roundedDynamically(x, k)
  return [k.mul(matMul(levels, w, false, false, k), k.mul(w_scale, scale))]
}

export const DynamicQuantizedMatMulGrad: Implementation<'DynamicQuantizedMatMulGrad'> = (op, inputs, k) => [
  matMul(k.mul(input(op, inputs, 0), input(op, inputs, 2)), input(op, inputs, 1), false, true, k),
]

/**
 * DynamicQuantizeLinear (ONNX, uint8): the range, widened to hold 0, in 255 steps. `levels` are (rounded - zero point), so that x is
 * about levels * scale; `scale` is one number.
 */
function roundedDynamically(x: TensorInfo, k: Kernels): { levels: TensorInfo; scale: TensorInfo } {
  const every = [...x.shape.keys()]
  const zero = k.scalar(0)
  const low = k.binary('Minimum', k.reduce('Min', x, every, false), zero)
  const high = k.binary('Maximum', k.reduce('Max', x, every, false), zero)
  const range = k.sub(high, low)
  // All zeros: any scale will do; onnxruntime takes 1.
  const flat = k.cast(k.binary('Equal', range, zero), 'float32')
  const scale = k.add(k.div(range, k.scalar(255)), flat)
  const clamp = (level: TensorInfo) => k.binary('Minimum', k.binary('Maximum', level, zero), k.scalar(255))
  const zeroPoint = k.unary('Round', clamp(k.unary('Neg', k.div(low, scale))))
  const rounded = clamp(k.add(k.unary('Round', k.div(x, scale)), zeroPoint))
  return { levels: k.sub(rounded, zeroPoint), scale }
}
