/** The table of all VJP rules: one per op, a file per family. An op that is not here can't be differentiated through. */
import type { Op, OpName } from '../program'
import { composite } from './composite'
import { elementwise } from './elementwise'
import { linear } from './linear'
import { reduce } from './reduce'
import type { Backward, VjpTable } from './rule'
import { shape } from './shape'

const TABLE: VjpTable = { ...elementwise, ...linear, ...shape, ...reduce, ...composite }

/**
 * Inputs a composite's gradient leaves out because they are weights, tables or masks: the rules have no formula for them, so an
 * op whose input of that index depends on what is differentiated can't be differentiated.
 */
const FROZEN_INPUTS: { readonly [Name in OpName]?: readonly number[] } = {
  LayerNorm: [1, 2],
  RMSNorm: [1],
  RotaryEmbedding: [1, 2],
  Attention: [3],
  DynamicQuantizedMatMul: [1, 2, 3],
  PackedMatMul: [1, 2, 3],
}

/** Can gradients flow through this op at all? */
export function differentiable(op: OpName): boolean {
  return TABLE[op] !== undefined
}

/** Indices of the inputs of an op that may not depend on what is differentiated. */
export function frozenInputs(op: OpName): readonly number[] {
  return FROZEN_INPUTS[op] ?? []
}

/** Applies the op's rule. The caller has checked `differentiable`. */
export function applyVjp(op: Op, dy: string, back: Backward): void {
  // The table pairs each name with a rule for ops of that name; TypeScript can't follow that through an index by a union.
  const rule = TABLE[op.op] as ((op: Op, dy: string, back: Backward) => void) | undefined
  if (!rule) throw new Error(`no VJP for ${op.op} '${op.name}'`)
  rule(op, dy, back)
}
