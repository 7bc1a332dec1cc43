/** Tensors without elements. No kernel ever sees one: the answer needs no computing. */
import type { TensorInfo } from '@tensorflow/tfjs-core'
import { elementCount } from '../../../graph/ir'
import type { Op, OpName } from '../../../graph/program'
import { EngineError } from '../../engine'
import type { DeviceDType } from '../backend'
import type { Kernels } from '../tfjs-kernels'

/** Sums over something, or data with zeros around: over nothing they give zeros. */
const ZERO_OVER_NOTHING: ReadonlySet<OpName> = new Set<OpName>([
  'MatMul',
  'ReduceSum',
  'Pad',
  'Attention',
  'AttentionGrad',
  'GatherRowsGrad',
  'SoftmaxCrossEntropy',
  'WeightedLogSoftmax',
  'DynamicQuantizedMatMul',
  'DynamicQuantizedMatMulGrad',
  'PackedMatMul',
  'PackedMatMulGrad',
])

interface OutputType {
  readonly dtype: DeviceDType
  readonly dims: readonly number[]
}

/** The outputs of an op that has an empty input or only empty outputs; null for every other op. */
export function runEmpty(
  op: Op,
  inputs: readonly TensorInfo[],
  outputs: readonly OutputType[],
  kernels: Kernels,
): readonly TensorInfo[] | null {
  const nothingToDo = outputs.every(({ dims }) => elementCount(dims) === 0)
  if (!nothingToDo) {
    // Concat leaves its empty inputs out by itself.
    if (op.op === 'Concat' || inputs.every((tensor) => elementCount(tensor.shape) > 0)) return null
    if (!ZERO_OVER_NOTHING.has(op.op)) throw new EngineError(`${op.op} '${op.name}': an input has no elements`)
  }
  return outputs.map(({ dims, dtype }) => kernels.zeros(dims, dtype))
}
