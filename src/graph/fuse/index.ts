/**
 * Recognises composites in a Program of plain ops: each file beside this one knows one of them, by how values are defined and used and
 * never by their names. What matches no rule stays as it is, so nothing depends on a match for its correctness.
 */
import type { OpName, Program } from '../program'
import { COMPOSITES } from '../program'
import { ProgramBuilder, ProgramView, tidy } from '../rewrite'
import { attention } from './attention'
import { flatLinear } from './flat-linear'
import { gelu } from './gelu'
import { layerNorm } from './layer-norm'
import { rmsNorm } from './rms-norm'
import { rotary } from './rotary'
import type { FusionRule } from './rule'
import { silu } from './silu'

/** Program inputs that are activations; the others are masks. */
const ACTIVATIONS = ['inputs_embeds', 'encoder_inputs_embeds', 'encoder_hidden_states']

/** In the order they are tried; none makes what another reads, but flat layers are unfolded first. */
const RULES: readonly FusionRule[] = [flatLinear, layerNorm, rmsNorm, gelu, silu, rotary, attention]

/** The same function with composites where their patterns were. Weights stay the same Tensor objects. */
export function fuse(program: Program): Program {
  return RULES.reduce(applyRule, tidy(program))
}

/** `program` is tidy: what a rule finds nothing in is left as it is. */
function applyRule(program: Program, rule: FusionRule): Program {
  const view = new ProgramView(program)
  const dependent = view.dependents(ACTIVATIONS)
  const context = { view, depends: (value: string) => dependent.has(value) }
  const builder = new ProgramBuilder(program, false)
  let found = false
  for (const op of program.ops) {
    const replacement = rule(op, context)
    builder.label = op.name
    if (replacement) replacement(builder)
    else builder.push(op)
    found ||= replacement !== undefined
  }
  return found ? builder.finish(program.outputs) : program
}

export interface FusionReport {
  readonly ops_before: number
  readonly ops_after: number
  /** Op counts by name after fusing. */
  readonly counts: Readonly<Partial<Record<OpName, number>>>
  /** Composites after fusing. */
  readonly composites: number
  /** Places that look like the heart of a composite (a softmax, a norm's root, an activation) before fusing, and how many of them were fused. */
  readonly candidates: number
  readonly fused: number
}

/** Ops that a rule's pattern turns on: one of them means one composite, if all goes well. */
const HEARTS: ReadonlySet<OpName> = new Set<OpName>(['Softmax', 'Sqrt', 'Erf', 'Tanh', 'Sigmoid'])
const COMPOSITE_NAMES: ReadonlySet<string> = new Set(COMPOSITES)

/** What `fuse` did: `before` as it went in, `after` as it came out. */
export function fusionReport(before: Program, after: Program): FusionReport {
  const counts: Partial<Record<OpName, number>> = {}
  for (const { op } of after.ops) counts[op] = (counts[op] ?? 0) + 1
  const hearts = (program: Program) => tidy(program).ops.filter(({ op }) => HEARTS.has(op)).length
  const candidates = hearts(before)
  return {
    ops_before: before.ops.length,
    ops_after: after.ops.length,
    counts,
    composites: after.ops.filter(({ op }) => COMPOSITE_NAMES.has(op)).length,
    candidates,
    fused: candidates - hearts(after),
  }
}
