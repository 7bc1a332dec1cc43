/**
 * What the webgpu device does by kernels of our own instead of tfjs': an op of the dialect as one dispatch where ops/ composes it,
 * and the steps of compositions where tfjs' kernel is wrong or too coarse. Every entry is held to the composed form by the op cases.
 */
import type { TensorInfo } from '@tensorflow/tfjs-core'
import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu'
import type { OpTable } from '../ops/op'
import type { StepKernels } from '../tfjs-kernels'
import { LAYER_NORM, LAYER_NORM_GRAD, RMS_NORM, RMS_NORM_GRAD, SOFTMAX } from './normalize'
import { runRows, type RowKernel } from './rows'
import { runTrigonometry } from './trigonometry'

export function webgpuSteps(backend: WebGPUBackend): StepKernels {
  return {
    Softmax: (x) => runRows(backend, SOFTMAX, [x]),
    Sin: (x) => runTrigonometry(backend, 'sin', x),
    Cos: (x) => runTrigonometry(backend, 'cos', x),
  }
}

export function webgpuOps(backend: WebGPUBackend): Partial<OpTable> {
  const rows =
    (kernel: RowKernel) =>
    (op: { readonly attrs: { readonly epsilon: number } }, inputs: readonly TensorInfo[]): TensorInfo[] => [
      runRows(backend, kernel, inputs, op.attrs.epsilon),
    ]
  return {
    LayerNorm: rows(LAYER_NORM),
    LayerNormGrad: rows(LAYER_NORM_GRAD),
    RMSNorm: rows(RMS_NORM),
    RMSNormGrad: rows(RMS_NORM_GRAD),
  }
}
