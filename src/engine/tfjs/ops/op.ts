/** What an op's implementation is: a function of the op and its input tensors, giving its output tensors. */
import type { TensorInfo } from '@tensorflow/tfjs-core'
import type { PackedFormat } from '../../../graph/packed'
import type { Op, OpName, OpNamed } from '../../../graph/program'
import { EngineError } from '../../engine'
import type { HalfFormat } from '../stored-weight'
import type { Kernels } from '../tfjs-kernels'

/** An op with what plan.ts found out about its weight. */
export type PlannedOp<Name extends OpName> = Name extends 'DynamicQuantizedMatMul' | 'DynamicQuantizedMatMulGrad'
  ? OpNamed<Name> & { readonly attrs: PackedFormat }
  : Name extends 'MatMul'
    ? OpNamed<Name> & { readonly attrs: { readonly stored?: HalfFormat } }
    : OpNamed<Name>

/**
 * Runs inside a `Kernels.scope`: what it makes and does not return is released after it. `inputs` are as the op lists them and
 * stay the caller's. Quantised weights and 16-bit matrices come as the words they are stored in.
 */
export type Implementation<Name extends OpName> = (
  op: PlannedOp<Name>,
  inputs: readonly TensorInfo[],
  kernels: Kernels,
) => readonly TensorInfo[]

/** One for every op of the dialect: a missing one does not compile. */
export type OpTable = { readonly [Name in OpName]: Implementation<Name> }

export function input(op: Op, inputs: readonly TensorInfo[], index: number): TensorInfo {
  const tensor = inputs[index]
  if (tensor === undefined) throw new EngineError(`${op.op} '${op.name}' lacks input ${index}`)
  return tensor
}
