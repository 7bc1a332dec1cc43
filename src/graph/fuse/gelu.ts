/**
 * GELU (Hendrycks & Gimpel 2016, https://arxiv.org/abs/1606.08415), erf form x/2 (1 + erf(x / sqrt 2)) and tanh form
 * x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).
 *
 * Exporters multiply these out in many orders, so they are compared as polynomials: with t the erf or tanh, the whole has to be
 * 0.5 x + 0.5 x t and the argument of t the polynomial of x given above, however they are put together.
 */
import { sameDims } from '../op-types'
import type { Op } from '../program'
import type { ProgramView } from '../rewrite'
import { withoutFactors, type FusionRule } from './rule'

/** Relative difference allowed in a coefficient: files in float16 have their constants rounded to 11 bits. */
const COEFFICIENT_TOLERANCE = 5e-4
/** Deepest nesting of arithmetic followed. The longest known spelling needs 6. */
const MAX_DEPTH = 8
const ARITHMETIC = ['Add', 'Sub', 'Mul', 'Div', 'Neg', 'Pow'] as const

const ERF_ARGUMENT = new Map([['1,0', Math.SQRT1_2]])
const TANH_SCALE = Math.sqrt(2 / Math.PI)
const TANH_ARGUMENT = new Map([['1,0', TANH_SCALE], ['3,0', TANH_SCALE * 0.044715]]) // prettier-ignore
const GELU = new Map([['1,0', 0.5], ['1,1', 0.5]]) // prettier-ignore

export const gelu: FusionRule = (op, { view }) => {
  const [whole] = op.outputs
  if (whole === undefined || (op.op !== 'Mul' && op.op !== 'Div' && op.op !== 'Add')) return undefined
  for (const bend of operandsBeneath(view, op).map((value) => view.made(value, 'Erf', 'Tanh'))) {
    const [argument, t] = [bend?.inputs[0], bend?.outputs[0]]
    if (!bend || argument === undefined || t === undefined || !sameDims(view.dims(t), view.dims(whole))) continue
    const expected = bend.op === 'Erf' ? ERF_ARGUMENT : TANH_ARGUMENT
    const x = variables(view, argument).find((candidate) => equals(polynomial(view, argument, candidate), expected))
    if (x === undefined || !equals(polynomial(view, whole, x, t), GELU)) continue
    return (builder) => {
      const approximate = bend.op === 'Erf' ? 'none' : 'tanh'
      builder.emitAll({ op: 'Gelu', name: op.name, inputs: [x], attrs: { approximate } }, op.outputs)
    }
  }
  return undefined
}

/** Values reached from an op through a few arithmetic ops, nearest first. */
function operandsBeneath(view: ProgramView, op: Op): string[] {
  const found: string[] = []
  let level: readonly Op[] = [op]
  // The 1 + t is at most four steps below: Mul(Mul(x, Add(1, t)), 0.5) needs three.
  for (let depth = 0; depth < 4; depth++) {
    const values = [...new Set(level.flatMap(({ inputs }) => inputs))].filter((value) => !view.isConstant(value))
    found.push(...values)
    level = values.flatMap((value) => view.made(value, ...ARITHMETIC) ?? [])
  }
  return found
}

/** Values an expression could be a polynomial of: everything that goes into it. */
function variables(view: ProgramView, value: string): string[] {
  const producer = view.made(value, ...ARITHMETIC)
  const inner = withoutFactors(view, value).source
  return [...new Set([inner, ...(producer ? operandsBeneath(view, producer) : [value])])]
}

/** Coefficients by the exponents of x and t, written 'i,j'. */
type Polynomial = ReadonlyMap<string, number>

function equals(a: Polynomial | undefined, b: Polynomial): boolean {
  if (!a) return false
  const close = (x: number, y: number) => Math.abs(x - y) <= COEFFICIENT_TOLERANCE * Math.abs(y)
  return [...new Set([...a.keys(), ...b.keys()])].every((term) => close(a.get(term) ?? 0, b.get(term) ?? 0))
}

/** An expression as a polynomial of x and t; undefined where it is none, or has values of another shape in it. */
function polynomial(view: ProgramView, value: string, x: string, t?: string, depth = 0): Polynomial | undefined {
  if (value === x) return new Map([['1,0', 1]])
  if (value === t) return new Map([['0,1', 1]])
  const number = view.scalar(value)
  if (number !== undefined) return new Map([['0,0', number]])
  const op = view.made(value, ...ARITHMETIC)
  if (!op || depth >= MAX_DEPTH || !sameDims(view.dims(value), view.dims(x))) return undefined
  const [a, b] = op.inputs.map((operand) => polynomial(view, operand, x, t, depth + 1))
  if (!a) return undefined
  if (op.op === 'Neg') return times(a, constant(-1))
  if (!b) return undefined
  switch (op.op) {
    case 'Add':
      return plus(a, b)
    case 'Sub':
      return plus(a, times(b, constant(-1)))
    case 'Mul':
      return times(a, b)
    case 'Div': {
      const divisor = onlyConstant(b)
      return divisor === undefined ? undefined : times(a, constant(1 / divisor))
    }
    case 'Pow': {
      const exponent = onlyConstant(b)
      if (exponent === 2) return times(a, a)
      return exponent === 3 ? times(a, times(a, a)) : undefined
    }
    default:
      return undefined
  }
}

const constant = (value: number): Polynomial => new Map([['0,0', value]])

function onlyConstant(p: Polynomial): number | undefined {
  return p.size === 1 ? p.get('0,0') : undefined
}

function plus(a: Polynomial, b: Polynomial): Polynomial {
  const sum = new Map(a)
  for (const [term, coefficient] of b) sum.set(term, (sum.get(term) ?? 0) + coefficient)
  return sum
}

function times(a: Polynomial, b: Polynomial): Polynomial {
  const product = new Map<string, number>()
  for (const [termA, coefficientA] of a) {
    const [i = 0, j = 0] = termA.split(',').map(Number)
    for (const [termB, coefficientB] of b) {
      const [k = 0, l = 0] = termB.split(',').map(Number)
      const term = `${i + k},${j + l}`
      product.set(term, (product.get(term) ?? 0) + coefficientA * coefficientB)
    }
  }
  return product
}
