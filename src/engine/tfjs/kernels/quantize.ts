/**
 * DynamicQuantizeLinear (ONNX) in two dispatches, one finding the range of the whole tensor, one rounding; ops/quantized.ts says what
 * they compute.
 */
import type { TensorInfo } from '@tensorflow/tfjs-core'
import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu'
import { elementCount } from '../../../graph/ir'
import { runFlat, type FlatKernel } from './flat'
import { columns, runRows, view, type RowKernel } from './rows'

/** Over the tensor as one row: (scale, zero point) as elements 0 and 1. */
const RANGE: RowKernel = {
  name: 'quantize_range',
  inputs: ['x'],
  result: 'pairs',
  body: `
    var low = 0.0;
    var high = 0.0;
    ${columns('low = min(low, x[start + c]); high = max(high, x[start + c]);')}
    low = -rowMax(-low);
    high = rowMax(high);
    let scale = select((high - low) / 255.0, 1.0, high == low);
    if (inside && tid == 0) {
      result[2 * row] = scale;
      result[2 * row + 1] = round(clamp(-low / scale, 0.0, 255.0));
    }`,
}

const LEVELS: FlatKernel = {
  name: 'quantize_levels',
  inputs: ['x', 'range'],
  uniforms: [],
  functions: '',
  statements: 'let scale = range[0]; let zero_point = range[1];',
  value: 'clamp(round(x[index] / scale) + zero_point, 0.0, 255.0) - zero_point',
}

const RESCALE: FlatKernel = {
  name: 'quantize_rescale',
  inputs: ['product', 'range', 'w_scale'],
  uniforms: ['scales'],
  functions: '',
  statements: '',
  value: 'product[index] * (w_scale[index % uniforms.scales] * range[0])',
}

/** levels: about x / scale in whole numbers; range: [1,2], the scale first. The caller owns both. */
export function runQuantize(backend: WebGPUBackend, x: TensorInfo): { levels: TensorInfo; range: TensorInfo } {
  const range = runRows(backend, RANGE, [view(x, [1, elementCount(x.shape)])])
  return { levels: runFlat(backend, LEVELS, [x, range]), range }
}

/** product [...,N] times w_scale ([1] or [N]) times the scale of the rounded operand. */
export function runRescale(backend: WebGPUBackend, product: TensorInfo, range: TensorInfo, w_scale: TensorInfo): TensorInfo {
  return runFlat(backend, RESCALE, [product, range, w_scale], [elementCount(w_scale.shape)])
}
