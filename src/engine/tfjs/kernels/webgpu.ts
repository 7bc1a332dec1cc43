/**
 * What the webgpu device does by kernels of our own instead of tfjs': an op of the dialect in one dispatch where ops/ composes it,
 * and the steps of compositions where tfjs' kernel is wrong or too coarse. Every entry is held to the composed form by the op cases.
 */
import type { TensorInfo } from '@tensorflow/tfjs-core'
import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu'
import type { Op } from '../../../graph/program'
import { RotaryEmbedding, RotaryEmbeddingGrad } from '../ops/attention'
import { input, type OpTable } from '../ops/op'
import { DynamicQuantizedMatMul, unscaledWeight } from '../ops/quantized'
import type { StepKernels } from '../tfjs-kernels'
import { COS, GELU, GELU_GRAD, runElementwise, SILU, SILU_GRAD, SIN, type ElementwiseKernel } from './elementwise'
import { LABEL_LOG_PROBABILITY, LABEL_LOSS, LABEL_LOSS_GRAD } from './label-loss'
import { runMatMul } from './matmul'
import { LAYER_NORM, LAYER_NORM_GRAD, RMS_NORM, RMS_NORM_GRAD, SOFTMAX, SOFTMAX_GRAD } from './normalize'
import { runQuantize, runRescale } from './quantize'
import { runRotary } from './rotary'
import { runRows, type RowKernel } from './rows'

export function webgpuSteps(backend: WebGPUBackend): StepKernels {
  return {
    unary: { Sin: (x) => runElementwise(backend, SIN, [x]), Cos: (x) => runElementwise(backend, COS, [x]) },
    softmax: (x) => runRows(backend, SOFTMAX, [x]),
    softmaxGrad: (dp, p, scale) => runRows(backend, SOFTMAX_GRAD, [dp, p], scale),
    matMul3: (a, b, transposeA, transposeB) => runMatMul(backend, a, b, transposeA, transposeB),
  }
}

type Normalization = Op & { readonly attrs: { readonly epsilon: number } }

export function webgpuOps(backend: WebGPUBackend): Partial<OpTable> {
  const rows = (kernel: RowKernel) => (op: Normalization, inputs: readonly TensorInfo[]) => [
    runRows(backend, kernel, inputs, op.attrs.epsilon),
  ]
  const elementwise = (kernel: ElementwiseKernel) => (_: Op, inputs: readonly TensorInfo[]) => [
    runElementwise(backend, kernel, inputs),
  ]
  return {
    LayerNorm: rows(LAYER_NORM),
    LayerNormGrad: rows(LAYER_NORM_GRAD),
    RMSNorm: rows(RMS_NORM),
    RMSNormGrad: rows(RMS_NORM_GRAD),
    Gelu: (op, inputs) => [runElementwise(backend, GELU[op.attrs.approximate], inputs)],
    GeluGrad: (op, inputs) => [runElementwise(backend, GELU_GRAD[op.attrs.approximate], inputs)],
    Silu: elementwise(SILU),
    SiluGrad: elementwise(SILU_GRAD),
    RotaryEmbedding: (op, inputs, kernels) => {
      const out = runRotary(backend, 'forward', inputs)
      return out === null ? RotaryEmbedding(op, inputs, kernels) : [out]
    },
    RotaryEmbeddingGrad: (op, inputs, kernels) => {
      const out = runRotary(backend, 'grad', inputs)
      return out === null ? RotaryEmbeddingGrad(op, inputs, kernels) : [out]
    },
    DynamicQuantizedMatMul(op, inputs, kernels) {
      if (!op.attrs.simulate_rounding) return DynamicQuantizedMatMul(op, inputs, kernels)
      const { levels, range } = runQuantize(backend, input(op, inputs, 0))
      const product = kernels.storedMatMul(kernels.adopt(levels), unscaledWeight(op, inputs), false)
      return [runRescale(backend, product, kernels.adopt(range), input(op, inputs, 2))]
    },
    LabelLogProbability: (_, inputs) => [runRows(backend, LABEL_LOG_PROBABILITY, inputs)],
    SoftmaxCrossEntropy(op, inputs, kernels) {
      const losses = kernels.adopt(runRows(backend, LABEL_LOSS, inputs))
      const loss = kernels.reduce('Sum', losses, [...input(op, inputs, 1).shape.keys()], false)
      return [loss, kernels.adopt(runRows(backend, LABEL_LOSS_GRAD, inputs))]
    },
  }
}
