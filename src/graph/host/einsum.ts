/** Einsum: its equation read, 'bij,bjk->bik' as labels of each operand and of the result, and the host op. */
import { elementCount, GraphError } from '../ir'
import { checkedCount, forEachOffset, fromNumbers, stridesOf } from './array'
import { stringAttribute } from './attributes'
import { variadic, type HostOp } from './op'

export interface EinsumEquation {
  /** One list of labels per operand, one label per axis. */
  readonly operands: readonly (readonly string[])[]
  readonly result: readonly string[]
  /** Size of every label. */
  readonly sizes: ReadonlyMap<string, number>
}

/**
 * Labels of the axes, with the axes '...' stands for named '.0', '.1', ... from the last one on, so that they broadcast from there.
 * @throws GraphError for an equation that is malformed or does not fit the shapes
 */
export function readEinsum(equation: string, shapes: readonly (readonly number[])[]): EinsumEquation {
  const [left = '', right, ...more] = equation.replaceAll(' ', '').split('->')
  const terms = left.split(',')
  const wrong = (why: string): never => {
    throw new GraphError(`equation '${equation}': ${why}`)
  }
  if (more.length > 0 || [...terms, right ?? ''].some((term) => !/^[A-Za-z]*(\.\.\.)?[A-Za-z]*$/.test(term))) wrong('malformed')
  if (terms.length !== shapes.length) wrong(`${terms.length} operands, ${shapes.length} are given`)
  let widest = 0
  const operands = terms.map((term, i) => {
    const rank = shapes[i]?.length ?? 0
    const letters = term.replace('...', '').length
    const hidden = term.includes('...') ? rank - letters : 0
    if (hidden < 0 || letters + hidden !== rank) wrong(`'${term}' for a value of ${rank} axes`)
    widest = Math.max(widest, hidden)
    return spelt(term, hidden)
  })
  const sizes = new Map<string, number>()
  operands.forEach((labels, i) => {
    if (new Set(labels).size !== labels.length) wrong(`'${terms[i] ?? ''}' takes a diagonal, which is not supported`)
    labels.forEach((label, axis) => {
      const size = shapes[i]?.[axis] ?? 1
      const known = sizes.get(label) ?? 1
      if (known !== 1 && size !== 1 && known !== size) wrong(`'${label}' is both ${known} and ${size}`)
      sizes.set(label, Math.max(known, size))
    })
  })
  const result = right === undefined ? implicit(operands, widest) : spelt(right, widest)
  const unknown = result.find((label) => !sizes.has(label))
  if (unknown !== undefined) wrong(`'${unknown}' of the result is in no operand`)
  if (new Set(result).size !== result.length) wrong('the result repeats a label')
  return { operands, result, sizes }
}

function spelt(term: string, hidden: number): string[] {
  const [before = '', after] = term.split('...')
  if (after === undefined) return [...before]
  return [...before, ...Array.from({ length: hidden }, (_, i) => `.${hidden - 1 - i}`), ...after]
}

/** Without '->': the axes of '...', then every letter that occurs once, in alphabetical order. */
function implicit(operands: readonly (readonly string[])[], widest: number): string[] {
  const all = operands.flat()
  const once = all.filter((label) => !label.startsWith('.') && all.indexOf(label) === all.lastIndexOf(label)).sort()
  return [...spelt('...', widest), ...once]
}

/** Terms a sum on the host may have: frequencies by positions, not products of weights. */
const MAX_TERMS = 2 ** 24

/** Any number of operands: every combination of labels is visited once. */
export const Einsum: HostOp = (call) => {
  const inputs = variadic(call)
  const { operands, result, sizes } = readEinsum(
    stringAttribute(call.node, 'equation'),
    inputs.map((x) => x.dims),
  )
  const summed = [...sizes.keys()].filter((label) => !result.includes(label))
  const labels = [...result, ...summed]
  const dims = labels.map((label) => sizes.get(label) ?? 1)
  const terms = elementCount(dims)
  if (!(terms <= MAX_TERMS)) throw new GraphError(`a sum of ${terms} terms, the limit is ${MAX_TERMS}`)
  const shape = dims.slice(0, result.length)
  const products = inputs.reduce<Float64Array>((sofar, x, i) => {
    const strides = stridesOf(x.dims)
    const walk = labels.map((label) => {
      const axis = operands[i]?.indexOf(label) ?? -1
      return axis < 0 || x.dims[axis] === 1 ? 0 : (strides[axis] ?? 0)
    })
    forEachOffset(dims, walk, (term, offset) => (sofar[term] = (sofar[term] ?? 1) * (x.data[offset] ?? NaN)))
    return sofar
  }, new Float64Array(terms).fill(1))
  const each = terms / Math.max(1, checkedCount(shape))
  const sums = Array.from({ length: elementCount(shape) }, (_, i) => {
    let sum = 0
    for (let term = i * each; term < (i + 1) * each; term++) sum += products[term] ?? NaN
    return sum
  })
  return [fromNumbers(inputs[0]?.dtype ?? 'float32', shape, sums)]
}
