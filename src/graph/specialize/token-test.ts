/**
 * Token ids compared with one id: exports that tell padding by its id (M2M-100 counts positions that way) ask nothing else of the ids. What
 * is padding here is masked or read by nobody, so the answer is no at every position, and ids need not be known when a model is specialised.
 */
import { opKey } from '../host/attributes'
import { full, type NdArray } from '../host/array'
import { elementCount, type Node } from '../ir'
import { HostLane } from '../normalize/lanes'

/** Ops whose output holds the same ids as their first input. */
const PASSES_IDS: ReadonlySet<string> = new Set(['Identity', 'Cast', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze'])

export function isTokenTest(node: Node, inputs: readonly (HostLane | null)[]): boolean {
  const [a, b] = inputs
  if (opKey(node) !== 'Equal' || !a || !b) return false
  const one = (lane: HostLane) => lane.taint === null && elementCount(lane.dims) === 1
  return (holdsIds(a) && one(b)) || (holdsIds(b) && one(a))
}

function holdsIds(lane: HostLane): boolean {
  if (lane.taint !== 'input_ids') return false
  const { step } = lane
  if (!step) return true
  const from = step.inputs[0]
  return PASSES_IDS.has(opKey(step.node)) && from !== null && from !== undefined && holdsIds(from)
}

/** The answer, in the shape of the comparison. */
export const noToken = (name: string, { dtype, dims }: NdArray): HostLane => HostLane.of(name, full(dtype, dims, 0))
