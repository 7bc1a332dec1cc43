/** Linear layers whose weight stays packed on the device. */
import type { TensorInfo } from '@tensorflow/tfjs-core'
import type { OpNamed } from '../../../graph/program'
import type { StoredWeight } from '../stored-weight'
import { input, type Implementation } from './op'

function weightOf(op: OpNamed<'PackedMatMul' | 'PackedMatMulGrad'>, inputs: readonly TensorInfo[]): StoredWeight {
  return { format: op.attrs, words: input(op, inputs, 1), scales: input(op, inputs, 2), zero_points: inputs[3] ?? null }
}

export const PackedMatMul: Implementation<'PackedMatMul'> = (op, inputs, k) => [
  k.storedMatMul(input(op, inputs, 0), weightOf(op, inputs), op.attrs.transposed),
]

export const PackedMatMulGrad: Implementation<'PackedMatMulGrad'> = (op, inputs, k) => [
  k.storedMatMul(input(op, inputs, 0), weightOf(op, inputs), !op.attrs.transposed),
]
