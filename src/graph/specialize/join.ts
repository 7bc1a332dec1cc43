/**
 * Two Programs made one: what the first computes is what the second reads (an encoder's states). Constants stay the same Tensor
 * objects, so weights that both parts hold are still told to be one by whoever keeps them by identity.
 */
import { GraphError } from '../ir'
import { sameDims } from '../op-types'
import type { Program } from '../program'

export interface JoinedPrograms {
  /** Inputs of both; outputs of `second` alone. */
  readonly program: Program
  /** What names of `first` that `second` has too are called now. */
  readonly renamed: (name: string) => string
}

/** @throws GraphError when `seam` is no output of the one and input of the other, of one shape */
export function joinPrograms(first: Program, second: Program, seam: string): JoinedPrograms {
  const [given, wanted] = [first.values.get(seam)?.dims, second.values.get(seam)?.dims]
  if (!given || !wanted || !first.outputs.includes(seam) || !second.inputs.includes(seam) || !sameDims(given, wanted)) {
    throw new GraphError(`'${seam}' does not join the two programs: ${shape(given)} and ${shape(wanted)}`)
  }
  const names = new Map<string, string>()
  for (const name of first.values.keys()) {
    if (name === seam || !second.values.has(name)) continue
    let free = `encoder/${name}`
    while (first.values.has(free) || second.values.has(free)) free += '~'
    names.set(name, free)
  }
  const renamed = (name: string): string => names.get(name) ?? name
  const program: Program = {
    ops: [...first.ops.map((op) => ({ ...op, inputs: op.inputs.map(renamed), outputs: op.outputs.map(renamed) })), ...second.ops],
    inputs: [...first.inputs.map(renamed), ...second.inputs.filter((name) => name !== seam)],
    outputs: second.outputs,
    constants: new Map([...[...first.constants].map(([name, tensor]) => [renamed(name), tensor] as const), ...second.constants]),
    values: new Map([...[...first.values].map(([name, type]) => [renamed(name), type] as const), ...second.values]),
  }
  return { program, renamed }
}

const shape = (dims: readonly number[] | undefined): string => (dims ? `[${dims.join(', ')}]` : 'none')
