/**
 * tfjs' matrix product, but never by its split-K program: for products with K >= 2000 and few results (the gradient of a language
 * model's head) that one gives wrong numbers with a transposed B (tfjs 4.22.0, relative error above 1 measured), and adds its parts
 * atomically, in an order that differs from run to run.
 */
import { env, getKernel, type TensorInfo } from '@tensorflow/tfjs-core'
import { webgpu_util, type WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu'
import { EngineError } from '../../engine'

const PROGRAM_FLAG = 'WEBGPU_MATMUL_PROGRAM_TYPE'
/** Inner dimension from which tfjs may split it (BatchMatMul_impl.ts). */
const SPLIT_FROM = 2000
/** Results up to which it uses a reduction instead, which is fine. */
const REDUCED_RESULTS = 128

/** a [batch,M,K], b [batch,K,N], each transposed first where asked. */
export function runMatMul(
  backend: WebGPUBackend,
  a: TensorInfo,
  b: TensorInfo,
  transposeA: boolean,
  transposeB: boolean,
): TensorInfo {
  const kernel = getKernel('BatchMatMul', 'webgpu')
  if (!kernel) throw new EngineError('tfjs has no BatchMatMul kernel for webgpu')
  const [batch = 1, rows = 1, inner = 1] = transposeA ? [a.shape[0], a.shape[2], a.shape[1]] : a.shape
  const columns = b.shape[transposeB ? 1 : 2] ?? 1
  const call = (): TensorInfo => {
    const result = kernel.kernelFunc({ inputs: { a, b }, attrs: { transposeA, transposeB }, backend })
    if (Array.isArray(result)) throw new EngineError('tfjs kernel BatchMatMul gave several tensors')
    return result
  }
  if (inner < SPLIT_FROM || batch > 1 || rows * columns <= REDUCED_RESULTS) return call()
  // The choice can only be made through a flag of tfjs' environment, which is left as it was.
  const { MatMulSmallOutputSizeProgram, MatMulPackedProgram } = webgpu_util.MatMulProgramType
  const fewTiles = Math.ceil(rows / 32) * Math.ceil(columns / 32) <= backend.thresholdToIncreaseWorkgroups * 2
  const before = env().getNumber(PROGRAM_FLAG)
  env().set(PROGRAM_FLAG, fewTiles ? MatMulSmallOutputSizeProgram : MatMulPackedProgram)
  try {
    return call()
  } finally {
    env().set(PROGRAM_FLAG, before)
  }
}
