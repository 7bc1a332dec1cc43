/** Gradients of Programs two ways, for comparing: by differentiate.ts, and by central differences of the float64 evaluator. */
import { differentiate } from '../../src/graph/differentiate'
import { elementCount } from '../../src/graph/ir'
import type { Program } from '../../src/graph/program'
import { ProgramBuilder } from '../../src/graph/rewrite'
import { evaluateProgram } from './evaluate-program'
import { at, nd, type Nd } from './nd'

export type Feeds = ReadonlyMap<string, ArrayLike<number>>

/** A builder with the given float inputs and nothing else. */
export function programWith(inputs: Readonly<Record<string, readonly number[]>>): ProgramBuilder {
  const builder = new ProgramBuilder({ ops: [], inputs: [], outputs: [], constants: new Map(), values: new Map() }, false)
  for (const [name, dims] of Object.entries(inputs)) builder.input(name, { dtype: 'float32', dims })
  return builder
}

/** Adds an input `dy` for the gradient that arrives at `value`, and the output `dx` = d sum(value * dy) / d `wrt`. */
export function withGradient(program: Program, value: string, wrt: string): Program {
  const builder = new ProgramBuilder(program, true)
  const type = builder.type(value)
  builder.input('dy', type)
  const seeded = builder.finish([...new Set([...program.outputs, value])])
  return differentiate(seeded, { seeds: new Map([[value, 'dy']]), wrt: new Map([[wrt, 'dx']]) })
}

/** Seeded noise in (-1, 1) for every input of a program, by name. */
export function noiseFor(program: Program, seed: number): Map<string, Float64Array> {
  let state = seed >>> 0
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 31 - 1
  }
  return new Map(
    program.inputs.map((name) => {
      const dims = program.values.get(name)?.dims ?? []
      return [name, Float64Array.from({ length: elementCount(dims) }, () => random())]
    }),
  )
}

/** d sum(value * dy) / d wrt by central differences. */
export function numericGradient(program: Program, feeds: Feeds, value: string, wrt: string, epsilon = 1e-5): Nd {
  const dims = program.values.get(wrt)?.dims ?? []
  const x = Float64Array.from(feeds.get(wrt) ?? [])
  const dy = feeds.get('dy') ?? []
  const loss = (i: number, step: number) => {
    const moved = x.slice()
    moved[i] = at(moved, i) + step
    const y = evaluateProgram(program, new Map([...feeds, [wrt, moved]]), { outputs: [value] }).get(value)
    return y ? y.data.reduce((sum, element, k) => sum + element * at(dy, k), 0) : NaN
  }
  return nd(
    dims,
    x.map((_, i) => (loss(i, epsilon) - loss(i, -epsilon)) / (2 * epsilon)),
  )
}

/** Largest |a - b|, relative to the largest |b| (at least 1e-3, so that an all-zero gradient is compared absolutely). */
export function relativeError(a: Nd | undefined, b: Nd | undefined): number {
  if (!a || !b || a.dims.join() !== b.dims.join()) return Infinity
  const scale = b.data.reduce((most, element) => Math.max(most, Math.abs(element)), 1e-3)
  return a.data.reduce((worst, element, i) => {
    const difference = Math.abs(element - at(b.data, i))
    return Number.isNaN(difference) ? Infinity : Math.max(worst, difference / scale)
  }, 0)
}

/**
 * How far the gradient that differentiate.ts makes for `value` with respect to `wrt` is from central differences. `feeds` may
 * replace noise inputs.
 */
export function gradientError(program: Program, value: string, wrt: string, seed = 1, replaced: Feeds = new Map()): number {
  const both = withGradient(program, value, wrt)
  const feeds = new Map<string, ArrayLike<number>>([...noiseFor(both, seed), ...replaced])
  const analytic = evaluateProgram(both, feeds).get('dx')
  return relativeError(analytic, numericGradient(both, feeds, value, wrt))
}
