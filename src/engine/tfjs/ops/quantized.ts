/**
 * Linear layers of dynamically quantised files (onnxruntime's quantize_dynamic). The weight stays bytes; with rounding its scale is applied to
 * the product, as onnxruntime does.
 */
import type { TensorInfo } from '@tensorflow/tfjs-core'
import type { StoredWeight } from '../stored-weight'
import type { Kernels } from '../tfjs-kernels'
import { input, type Implementation, type PlannedOp } from './op'

type QuantizedOp = PlannedOp<'DynamicQuantizedMatMul'> | PlannedOp<'DynamicQuantizedMatMulGrad'>

function weightOf(op: QuantizedOp, inputs: readonly TensorInfo[]): StoredWeight {
  const [words, scales, zero_points] = [input(op, inputs, 1), input(op, inputs, 2), input(op, inputs, 3)]
  return { format: op.attrs, words, scales, zero_points }
}

/** The weight in whole numbers. */
export function unscaledWeight(op: PlannedOp<'DynamicQuantizedMatMul'>, inputs: readonly TensorInfo[]): StoredWeight {
  return { ...weightOf(op, inputs), scales: null }
}

export const DynamicQuantizedMatMul: Implementation<'DynamicQuantizedMatMul'> = (op, inputs, k) => {
  const x = input(op, inputs, 0)
  if (!op.attrs.simulate_rounding) return [k.storedMatMul(x, weightOf(op, inputs), false)]
  const { levels, scale } = roundedDynamically(x, k)
  return [k.mul(k.storedMatMul(levels, unscaledWeight(op, inputs), false), k.mul(input(op, inputs, 2), scale))]
}

export const DynamicQuantizedMatMulGrad: Implementation<'DynamicQuantizedMatMulGrad'> = (op, inputs, k) => [
  k.storedMatMul(input(op, inputs, 0), weightOf(op, inputs), true),
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
