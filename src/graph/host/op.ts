/** What an op of the host interpreter is: a function named as in ONNX, from one call to its results. */
import { GraphError, type Node } from '../ir'
import { axisOf, integers, type NdArray } from './array'
import { intsAttribute } from './attributes'

export interface HostCall {
  readonly node: Node
  /** Version of the operator set of the node's domain. */
  readonly opset: number
  /** null where an optional input is absent. */
  readonly inputs: readonly (NdArray | null)[]
}

export type HostOp = (call: HostCall) => readonly NdArray[]

/** A required input. @throws GraphError when absent */
export function input(call: HostCall, i: number): NdArray {
  return call.inputs[i] ?? lacks(i)
}

function lacks(i: number): never {
  throw new GraphError(`input ${i} is missing`)
}

/** All inputs of a variadic op. */
export function variadic(call: HostCall): NdArray[] {
  if (call.inputs.length === 0) lacks(0)
  return call.inputs.map((_, i) => input(call, i))
}

/**
 * Axes given as attribute or, from operator set `since` on, as input `i`; made non-negative for `rank` axes.
 * Undefined when absent, which each op reads its own way.
 */
export function axesOf(call: HostCall, since: number, i: number, rank: number): number[] | undefined {
  const given = call.inputs[i]
  const axes = call.opset >= since ? given && integers(given) : intsAttribute(call.node, 'axes')
  return axes?.map((axis) => axisOf(axis, rank))
}
