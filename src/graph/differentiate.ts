/**
 * Differentiation as a transformation: appends to a Program the ops that compute the gradients of some of its inputs, from the gradients
 * of some of its values (reverse mode, one VJP rule per op). The result is an ordinary Program with no tape. Nothing is computed
 * for constants; forward values the backward half needs are referred to by name, and dead or repeated ops are cleaned away.
 *
 * It knows nothing of losses: objective.ts says where the gradient comes from.
 */
import { GraphError } from './ir'
import { sameDims } from './op-types'
import type { Op, Program } from './program'
import { ProgramBuilder, ProgramView } from './rewrite'
import { applyVjp, differentiable, frozenInputs } from './vjp'
import type { Backward } from './vjp/rule'

export { differentiable } from './vjp'

export interface DifferentiateOptions {
  /** The gradients that are known: value -> the value that holds d loss / d that value, of the same shape. */
  readonly seeds: ReadonlyMap<string, string>
  /** The program inputs gradients are wanted of, each with the name of the output that is to hold it (of the same shape). */
  readonly wrt: ReadonlyMap<string, string>
}

/**
 * @throws GraphError listing by op and node name what has no VJP, before anything is emitted; or when no seed depends on one of `wrt`
 */
export function differentiate(program: Program, options: DifferentiateOptions): Program {
  const { seeds, wrt } = options
  const sources = [...wrt.keys()]
  const view = new ProgramView(program)
  for (const [value, seed] of seeds) {
    if (!sameDims(view.dims(value), view.dims(seed)))
      throw new GraphError(`the gradient '${seed}' has not the shape of '${value}'`)
  }
  const dependent = view.dependents(sources)
  const onPath = pathOps(view, seeds.keys(), dependent)
  const missing = withoutVjp(onPath, dependent)
  if (missing.length > 0) {
    throw new GraphError(`no gradient through ${missing.map(({ op, name, why }) => `${op} '${name}'${why}`).join(', ')}`)
  }

  const builder = new ProgramBuilder(program, true)
  const pass = new BackwardPass(builder, dependent)
  for (const [value, seed] of seeds) if (pass.needs(value)) pass.add(value, seed)
  for (const op of onPath.toReversed()) {
    const [first, ...others] = op.outputs
    if (others.some((value) => pass.has(value)))
      throw new GraphError(`no gradient through a second output of ${op.op} '${op.name}'`)
    builder.label = op.name
    const dy = first === undefined ? undefined : pass.total(first)
    if (dy !== undefined) applyVjp(op, dy, pass)
  }
  for (const [source, gradient] of wrt) {
    builder.label = gradient
    const total = pass.total(source)
    if (total === undefined)
      throw new GraphError(`'${source}' has no influence on ${[...seeds.keys()].map((s) => `'${s}'`).join(', ')}`)
    builder.outputAs(pass.dense(total, view.dims(source)), gradient)
  }
  return builder.finish([...program.outputs, ...wrt.values()])
}

/** An op on the path to be differentiated that has no rule. `why` adds what is special about the place, or is empty. */
export interface MissingVjp {
  readonly op: string
  readonly name: string
  readonly why: string
}

/** What stands in the way of d `value` / d `wrt`: empty when it can be computed. */
export function missingVjps(program: Program, value: string, wrt: string): MissingVjp[] {
  const view = new ProgramView(program)
  const dependent = view.dependents([wrt])
  return withoutVjp(pathOps(view, [value], dependent), dependent)
}

function withoutVjp(ops: readonly Op[], dependent: ReadonlySet<string>): MissingVjp[] {
  return ops.flatMap((op): MissingVjp[] => {
    if (!differentiable(op.op)) return [{ op: op.op, name: op.name, why: '' }]
    const frozen = frozenInputs(op.op).find((i) => dependent.has(op.inputs[i] ?? ''))
    return frozen === undefined ? [] : [{ op: op.op, name: op.name, why: ` (its input ${frozen} depends on what is tuned)` }]
  })
}

/** The ops, in order, through which what `dependent` depends on reaches one of `targets`. */
function pathOps(view: ProgramView, targets: Iterable<string>, dependent: ReadonlySet<string>): Op[] {
  const wanted = new Set(targets)
  const path: Op[] = []
  for (const op of view.program.ops.toReversed()) {
    if (!op.outputs.some((value) => wanted.has(value) && dependent.has(value))) continue
    path.push(op)
    for (const value of op.inputs) if (dependent.has(value)) wanted.add(value)
  }
  return path.reverse()
}

interface Piece {
  readonly axis: number
  readonly start: number
  readonly end: number
  readonly gradient: string
}

/** Gradients gathered so far, and the operations rules have on them. */
class BackwardPass implements Backward {
  private readonly wholes = new Map<string, string[]>()
  private readonly pieces = new Map<string, Piece[]>()

  constructor(
    readonly builder: ProgramBuilder,
    private readonly dependent: ReadonlySet<string>,
  ) {}

  dims(value: string): readonly number[] {
    return this.builder.dims(value)
  }

  needs(value: string): boolean {
    return this.dependent.has(value)
  }

  has(value: string): boolean {
    return this.wholes.has(value) || this.pieces.has(value)
  }

  add(value: string, gradient: string): void {
    const list = this.wholes.get(value) ?? []
    this.wholes.set(value, list)
    list.push(gradient)
  }

  addPiece(value: string, axis: number, start: number, end: number, gradient: string): void {
    const list = this.pieces.get(value) ?? []
    this.pieces.set(value, list)
    list.push({ axis, start, end, gradient })
  }

  /** The whole (lazy) gradient of a value: everything added so far; undefined where nothing was. */
  total(value: string): string | undefined {
    const parts = [...(this.wholes.get(value) ?? []), ...this.joined(value)]
    // Lazy ones first, so that what is small is added up small.
    const size = (name: string) => this.dims(name).reduce((count, dim) => count * dim, 1)
    parts.sort((a, b) => size(a) - size(b))
    return parts.length === 0 ? undefined : parts.reduce((sum, part) => this.builder.add(sum, part))
  }

  /**
   * The pieces of a value as gradients of all of it. Where one begins as another ends they are laid end to end (a Split's backward
   * is one Concat); zeros stand before and after.
   */
  private joined(value: string): string[] {
    const dims = this.dims(value)
    const rows: Piece[][] = []
    const sorted = (this.pieces.get(value) ?? []).toSorted((a, b) => a.axis - b.axis || a.start - b.start)
    for (const piece of sorted) {
      const row = rows.find((candidate) => candidate.at(-1)?.axis === piece.axis && candidate.at(-1)?.end === piece.start)
      if (row) row.push(piece)
      else rows.push([piece])
    }
    return rows.map((row) => {
      const [axis, start, end] = [row[0]?.axis ?? 0, row[0]?.start ?? 0, row.at(-1)?.end ?? 0]
      const run = this.builder.concat(
        row.map((piece) => piece.gradient),
        axis,
      )
      return this.builder.pad(run, axis, start, (dims[axis] ?? 0) - end)
    })
  }

  dense(gradient: string, dims: readonly number[]): string {
    return this.builder.expand(gradient, dims)
  }

  unbroadcast(gradient: string, from: readonly number[], to: readonly number[]): string {
    const own = this.dims(gradient)
    const offset = from.length - to.length
    const repeated = from.flatMap((dim, axis) => (dim !== 1 && (axis < offset || to[axis - offset] === 1) ? [axis] : []))
    const axes = repeated.filter((axis) => own[axis] === from[axis])
    const summed = axes.length > 0 ? this.builder.reduceSum(gradient, axes, true) : gradient
    // A lazy gradient is the same all along an axis where it is 1: its sum is a multiple.
    const repeats = repeated.reduce((count, axis) => count * (own[axis] === 1 ? (from[axis] ?? 1) : 1), 1)
    const multiple = this.builder.scale(summed, repeats)
    return this.builder.reshape(multiple, this.dims(multiple).slice(offset))
  }
}
