/** How much memory a program's values need at once: what onnxruntime's arena grows to, seen from outside of it. */
import { BYTES_PER_ELEMENT, elementCount } from './ir'
import type { Program } from './program'

/**
 * Bytes of the program's values (constants aside) alive at the fullest moment, when every value is freed after its last use. The
 * intermediate values a composite is lowered to come on top: a few times its own size, and only while it runs.
 */
export function peakActivationBytes(program: Program): number {
  const lastUse = new Map<string, number>()
  program.ops.forEach((op, i) => {
    for (const name of op.inputs) lastUse.set(name, i)
  })
  for (const name of [...program.inputs, ...program.outputs]) lastUse.set(name, Infinity)
  const size = (name: string): number => {
    const type = program.values.get(name)
    return type && !program.constants.has(name) ? elementCount(type.dims) * BYTES_PER_ELEMENT[type.dtype] : 0
  }
  let now = program.inputs.reduce((total, name) => total + size(name), 0)
  let peak = now
  program.ops.forEach((op, i) => {
    for (const name of op.outputs) now += size(name)
    peak = Math.max(peak, now)
    for (const name of new Set([...op.inputs, ...op.outputs])) if ((lastUse.get(name) ?? i) === i) now -= size(name)
  })
  return peak
}
