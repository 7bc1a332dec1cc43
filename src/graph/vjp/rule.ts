/**
 * What a VJP rule is: given an op and the gradient of its output, it adds to the gradients of those inputs that need one.
 *
 * Gradients are kept lazy: the gradient of a value has the value's rank, but a dimension over which it does not vary may be 1
 * (the gradient of a mean is one number a row, say). Element-wise rules let broadcasting do the rest; a rule that needs all
 * elements asks for `dense`. A rule only ever computes for inputs that depend on what is differentiated: never for weights.
 */
import type { OpName, OpNamed } from '../program'
import type { ProgramBuilder } from '../rewrite'

export interface Backward {
  /** Emits the ops of the backward half; forward values are referred to by their names. */
  readonly builder: ProgramBuilder
  dims(value: string): readonly number[]
  /** Does the gradient of this value have to be known? */
  needs(value: string): boolean
  /** Adds to the gradient of a value. `gradient` has the value's rank; each dimension is the value's or 1. */
  add(value: string, gradient: string): void
  /** Adds to the gradient of [start, end) on one axis of a value: pieces that tile the axis are concatenated, not padded and added. */
  addPiece(value: string, axis: number, start: number, end: number, gradient: string): void
  /** A lazy gradient with every dimension written out. */
  dense(gradient: string, dims: readonly number[]): string
  /**
   * The gradient of an operand that was broadcast: `gradient` belongs to a result of shape `from`, the operand had shape `to`. Sums over
   * the axes along which it was repeated.
   */
  unbroadcast(gradient: string, from: readonly number[], to: readonly number[]): string
}

/** `dy` is the (lazy) gradient of the op's first output; only that output may carry one. */
export type VjpRule<Name extends OpName> = (op: OpNamed<Name>, dy: string, back: Backward) => void

export type VjpTable = { readonly [Name in OpName]?: VjpRule<Name> }

/** Input `i` of an op. The Program was made by typed builders, so a missing one is a mistake of ours. */
export function input(op: { readonly op: string; readonly name: string; readonly inputs: readonly string[] }, i: number): string {
  const name = op.inputs[i]
  if (name === undefined) throw new Error(`${op.op} '${op.name}' has no input ${i}`)
  return name
}

/** Output `i` of an op. */
export function output(op: { readonly op: string; readonly name: string; readonly outputs: readonly string[] }, i = 0): string {
  const name = op.outputs[i]
  if (name === undefined) throw new Error(`${op.op} '${op.name}' has no output ${i}`)
  return name
}
