/**
 * What a fusion rule is, and the small reading helpers rules share. A rule looks at one op, the last of a pattern, follows definitions
 * backwards and, if all of the pattern is there, says how to compute that op's output with a composite instead. What the
 * pattern no longer needs is dropped later as dead code, so values in its middle may have other users.
 */
import { sameDims } from '../op-types'
import type { Op } from '../program'
import { operandOrders, type ProgramBuilder, type ProgramView } from '../rewrite'
import { fromFloat32, viewAs } from '../tensor'

/** Emits ops that compute the matched op's outputs, under the same names. */
export type Replacement = (builder: ProgramBuilder) => void

export interface FusionContext {
  readonly view: ProgramView
  /** Does a value depend on the embeddings fed? Composites take weights, tables and masks that do not. */
  readonly depends: (value: string) => boolean
}

export type FusionRule = (op: Op, context: FusionContext) => Replacement | undefined

/** A value times a number. */
export interface Scaled {
  readonly source: string
  readonly factor: number
}

/** Reads x * c, c * x or x / c with a constant number c that does not change the shape. */
export function scaled(view: ProgramView, value: string): Scaled | undefined {
  const op = view.made(value, 'Mul', 'Div')
  if (!op) return undefined
  const orders = op.op === 'Mul' ? operandOrders(op) : operandOrders(op).slice(0, 1)
  for (const [source, number] of orders) {
    const factor = view.scalar(number)
    if (factor === undefined || !sameDims(view.dims(source), view.dims(value))) continue
    return { source, factor: op.op === 'Mul' ? factor : 1 / factor }
  }
  return undefined
}

/** All factors c of nested x * c taken off: the innermost x and the product of the numbers. */
export function withoutFactors(view: ProgramView, value: string): Scaled {
  let result: Scaled = { source: value, factor: 1 }
  for (let inner = scaled(view, value); inner; inner = scaled(view, inner.source)) {
    result = { source: inner.source, factor: result.factor * inner.factor }
  }
  return result
}

/** Reads x + c or c + x with a constant number c. */
export function plusNumber(view: ProgramView, value: string): { source: string; number: number } | undefined {
  const op = view.made(value, 'Add')
  if (!op) return undefined
  for (const [source, constant] of operandOrders(op)) {
    const number = view.scalar(constant)
    if (number !== undefined && sameDims(view.dims(source), view.dims(value))) return { source, number }
  }
  return undefined
}

/** Reads a mean over the last axis, that axis kept: the name of what is averaged. */
export function lastAxisMean(view: ProgramView, value: string): string | undefined {
  const op = view.made(value, 'ReduceMean')
  const source = op?.inputs[0]
  if (!op || source === undefined || !op.attrs.keepdims || op.attrs.axes.length !== 1) return undefined
  const rank = view.dims(source).length
  return op.attrs.axes[0] === rank - 1 || op.attrs.axes[0] === -1 ? source : undefined
}

/** Reads x^2 as Pow(x, 2) or x * x. */
export function squared(view: ProgramView, value: string): string | undefined {
  const op = view.made(value, 'Pow', 'Mul')
  const [x, y] = op?.inputs ?? []
  if (x === undefined || y === undefined) return undefined
  if (op?.op === 'Mul') return x === y ? x : undefined
  return view.scalar(y) === 2 ? x : undefined
}

/**
 * Reads x / sqrt(v + epsilon) in its spellings: Div, Mul by Reciprocal, by 1 / sqrt or by a power of -1/2. `variance` is the name of v.
 */
export function dividedByRoot(
  view: ProgramView,
  value: string,
): readonly { readonly source: string; readonly variance: string; readonly epsilon: number }[] {
  const op = view.made(value, 'Div', 'Mul')
  if (!op) return []
  const orders = op.op === 'Mul' ? operandOrders(op) : operandOrders(op).slice(0, 1)
  return orders.flatMap(([source, divisor]) => {
    const radicand = op.op === 'Div' ? root(view, divisor) : inverseRoot(view, divisor)
    const sum = radicand === undefined ? undefined : plusNumber(view, radicand)
    return sum && sum.number >= 0 ? [{ source, variance: sum.source, epsilon: sum.number }] : []
  })
}

/** Reads sqrt(x) as Sqrt(x) or x^(1/2). */
function root(view: ProgramView, value: string | undefined): string | undefined {
  const op = view.made(value, 'Sqrt', 'Pow')
  if (op?.op === 'Pow' && view.scalar(op.inputs[1]) !== 0.5) return undefined
  return op?.inputs[0]
}

/** Reads 1 / sqrt(x). */
function inverseRoot(view: ProgramView, value: string): string | undefined {
  const op = view.made(value, 'Reciprocal', 'Div', 'Pow')
  if (op?.op === 'Reciprocal') return root(view, op.inputs[0])
  if (op?.op === 'Div') return view.scalar(op.inputs[0]) === 1 ? root(view, op.inputs[1]) : undefined
  return op?.op === 'Pow' && view.scalar(op.inputs[1]) === -0.5 ? op.inputs[0] : undefined
}

/** A vector [H] of a norm: gives its name in the new program. */
export type Vector = (builder: ProgramBuilder) => string

/**
 * A constant as a vector over the last axis of `x`: [H], or [1, ..., 1, H] which is read as [H]. Undefined when it is neither.
 */
export function lastAxisVector(view: ProgramView, value: string, x: string): Vector | undefined {
  const tensor = view.program.constants.get(value)
  const width = view.dims(x).at(-1)
  if (!tensor || width === undefined || tensor.dims.length > view.dims(x).length) return undefined
  if (view.type(value).dtype !== 'float32' || tensor.dims.at(-1) !== width) return undefined
  if (!tensor.dims.slice(0, -1).every((dim) => dim === 1)) return undefined
  return (builder) => (tensor.dims.length === 1 ? value : builder.constant(viewAs(tensor, [width]), `${value}~vector`))
}

/** One number in all places of the last axis of `x`. */
export function uniformVector(view: ProgramView, x: string, number: number): Vector | undefined {
  const width = view.dims(x).at(-1)
  if (width === undefined) return undefined
  return (builder) => builder.constant(fromFloat32([width], new Float32Array(width).fill(number)), `vector of ${number}`)
}
