/** What an op's implementation is: a function of the op and its input tensors, giving its output tensors. */
import type { TensorInfo } from '@tensorflow/tfjs-core'
import type { Op, OpName, OpNamed } from '../../../graph/program'
import { EngineError } from '../../engine'
import type { Kernels } from '../tfjs-kernels'

/**
 * Runs inside a `Kernels.scope`: what it makes and does not return is released after it. `inputs` are as the op lists them and
 * stay the caller's. Quantised weights come as float32, their zero point already subtracted.
 */
export type Implementation<Name extends OpName> = (
  op: OpNamed<Name>,
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
