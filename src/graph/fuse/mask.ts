/**
 * The mask of an attention pattern: what exporters write between the scores and the softmax, Add(scores, mask) and
 * Where(condition, scores, minimum) in any order, read as one list of terms and written as one additive mask. What is constant (a
 * causal mask, in the shape the program is for) is added up here; what is fed stays an op, which all layers share.
 */
import type { Tensor } from '../ir'
import { elementCount } from '../ir'
import { broadcastDims, broadcastsTo, sameDims } from '../op-types'
import type { ProgramBuilder, ProgramView } from '../rewrite'
import { operandOrders } from '../rewrite'
import { fromFloat32, toFloat32 } from '../tensor'
import type { FusionContext } from './rule'

/** `value` is added; or `fill` where `condition` is not `keep`. */
export type MaskTerm =
  | { readonly kind: 'add'; readonly value: string }
  | { readonly kind: 'fill'; readonly condition: string; readonly keep: boolean; readonly fill: number }

/** A fill at or below this leaves nothing of a score after the softmax, added to it or put in its place. */
const HIGHEST_FILL = -1e4
/** Minus infinity and sums of several minima: a row masked everywhere would be NaN, and with it the gradient of all others. */
const LOWEST_FLOAT32 = -3.4028234663852886e38

/**
 * Reads one masking step off scores [B,N,S,T]: the term, and the scores before it.
 */
export function maskStep(value: string, { view, depends }: FusionContext): { term: MaskTerm; scores: string } | undefined {
  const dims = view.dims(value)
  const op = view.made(value, 'Add', 'Where')
  if (op?.op === 'Add') {
    for (const [scores, mask] of operandOrders(op)) {
      if (depends(mask) || !depends(scores) || !sameDims(view.dims(scores), dims)) continue
      if (broadcastsTo(view.dims(mask), dims)) return { term: { kind: 'add', value: mask }, scores }
    }
  }
  if (op?.op === 'Where') {
    const [condition = '', whenTrue = '', whenFalse = ''] = op.inputs
    for (const [scores, other, keep] of [
      [whenTrue, whenFalse, true],
      [whenFalse, whenTrue, false],
    ] as const) {
      const fill = filled(view, other)
      if (fill === undefined || fill > HIGHEST_FILL || depends(condition)) continue
      if (!sameDims(view.dims(scores), dims)) continue
      return { term: { kind: 'fill', condition, keep, fill: Math.max(fill, LOWEST_FLOAT32) }, scores }
    }
  }
  return undefined
}

/** The number a constant has in all its elements. */
function filled(view: ProgramView, value: string): number | undefined {
  const tensor = view.program.constants.get(value)
  if (!tensor || view.type(value).dtype !== 'float32') return undefined
  const data = toFloat32(tensor)
  const [first] = data
  return data.every((element) => element === first) ? first : undefined
}

/** Emits the sum of all terms; undefined when nothing is masked. */
export function emitMask(builder: ProgramBuilder, view: ProgramView, terms: readonly MaskTerm[]): string | undefined {
  const isFolded = (term: MaskTerm) => view.isConstant(term.kind === 'add' ? term.value : term.condition)
  const folded = foldTerms(view, terms.filter(isFolded))
  const parts = folded ? [builder.constant(folded, 'attention mask')] : []
  for (const term of terms) {
    if (isFolded(term)) continue
    if (term.kind === 'add') {
      parts.push(term.value)
      continue
    }
    const [zero, fill] = [builder.scalar(0), builder.scalar(term.fill)]
    parts.push(term.keep ? builder.where(term.condition, zero, fill) : builder.where(term.condition, fill, zero))
  }
  return parts.length === 0 ? undefined : parts.reduce((sum, part) => builder.add(sum, part))
}

/** The sum of constant terms as one tensor; undefined when it is zero everywhere. */
function foldTerms(view: ProgramView, terms: readonly MaskTerm[]): Tensor | undefined {
  const operands = terms.map((term) => {
    const name = term.kind === 'add' ? term.value : term.condition
    const tensor = view.program.constants.get(name)
    const data = tensor ? toFloat32(tensor) : new Float32Array()
    const element = term.kind === 'add' ? (x: number) => x : (x: number) => ((x !== 0) === term.keep ? 0 : term.fill)
    return { dims: view.dims(name), data, element }
  })
  const dims = broadcastDims(...operands.map((operand) => operand.dims))
  if (!dims || operands.length === 0) return undefined
  const sum = new Float64Array(elementCount(dims))
  for (const { dims: own, data, element } of operands) {
    forEachBroadcast(own, dims, (to, from) => {
      sum[to] = (sum[to] ?? 0) + element(data[from] ?? 0)
    })
  }
  if (sum.every((value) => value === 0)) return undefined
  return fromFloat32(
    dims,
    Float32Array.from(sum, (value) => Math.max(value, LOWEST_FLOAT32)),
  )
}

/** Visits every element of `dims` with the offset of the element of `source` that broadcasting puts there. */
function forEachBroadcast(source: readonly number[], dims: readonly number[], visit: (to: number, from: number) => void): void {
  const lead = dims.length - source.length
  const steps = dims.map((_, axis) => {
    const size = source[axis - lead]
    return size === undefined || size === 1 ? 0 : elementCount(source.slice(axis - lead + 1))
  })
  const count = elementCount(dims)
  const index = dims.map(() => 0)
  let from = 0
  for (let to = 0; to < count; to++) {
    visit(to, from)
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      const step = steps[axis] ?? 0
      const next = (index[axis] ?? 0) + 1
      from += step
      if (next < (dims[axis] ?? 1)) {
        index[axis] = next
        break
      }
      from -= step * next
      index[axis] = 0
    }
  }
}
