/**
 * Checks that a Program is one: every value defined once and before it is used, every type what its op gives. For tests of whoever
 * makes Programs, and for engines that would rather refuse than read past the end of a buffer.
 */
import { BYTES_PER_ELEMENT, elementCount, GraphError } from './ir'
import { outputTypes, sameDims } from './op-types'
import type { Program, ValueType } from './program'
import { byteLength } from './tensor'

/** Element types a constant of a value type may be stored in. */
const STORED_AS: Readonly<Record<ValueType['dtype'], readonly string[]>> = {
  float32: ['float32', 'float16', 'bfloat16'],
  int32: ['int32'],
  bool: ['bool'],
  int8: ['int8'],
  uint8: ['uint8'],
}

/** @throws GraphError naming the op or value that is wrong */
export function validateProgram(program: Program): void {
  const defined = new Set<string>()
  const typeOf = (name: string): ValueType => {
    const type = program.values.get(name)
    if (!type) throw new GraphError(`value '${name}' has no type`)
    return type
  }
  const define = (name: string, by: string): void => {
    if (defined.has(name)) throw new GraphError(`${by} defines '${name}' a second time`)
    typeOf(name)
    defined.add(name)
  }
  for (const name of program.inputs) define(name, 'an input')
  for (const [name, tensor] of program.constants) {
    define(name, 'a constant')
    const { dtype, dims } = typeOf(name)
    if (!sameDims(dims, tensor.dims) || !STORED_AS[dtype].includes(tensor.dtype)) {
      throw new GraphError(
        `constant '${name}' is ${tensor.dtype}[${tensor.dims.join(', ')}], its value ${dtype}[${dims.join(', ')}]`,
      )
    }
    const bytes = tensor.dtype === 'string' ? NaN : elementCount(dims) * BYTES_PER_ELEMENT[tensor.dtype]
    if (byteLength(tensor) !== bytes) throw new GraphError(`constant '${name}' has ${byteLength(tensor)} bytes, not ${bytes}`)
  }
  for (const op of program.ops) {
    const missing = op.inputs.find((name) => !defined.has(name))
    if (missing !== undefined) throw new GraphError(`${op.op} '${op.name}' reads '${missing}' before it is defined`)
    const types = outputTypes(op, op.inputs.map(typeOf))
    if (types.length < op.outputs.length) throw new GraphError(`${op.op} '${op.name}' has ${types.length} outputs`)
    op.outputs.forEach((name, i) => {
      define(name, `${op.op} '${op.name}'`)
      const [expected, given] = [types[i], typeOf(name)]
      if (expected?.dtype !== given.dtype || !sameDims(expected.dims, given.dims)) {
        throw new GraphError(
          `${op.op} '${op.name}': '${name}' is ${given.dtype}[${given.dims.join(', ')}], not what the op gives`,
        )
      }
    })
  }
  for (const name of program.outputs) if (!defined.has(name)) throw new GraphError(`output '${name}' is not defined`)
}
