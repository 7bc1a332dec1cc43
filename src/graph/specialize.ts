/**
 * A cut model for one input shape, as a Program: shapes and masks folded, the rest in the device dialect (program.ts).
 *
 * Weights in the program are the file's own tensors, the same objects for every key; constants that depend on the file alone
 * are folded once per model. The mask is either constant ('ones': right for a causal model with right padding, where no label
 * ever sees a pad) or fed with each batch through the host plan.
 */
import type { CutModel } from './cut'
import { GraphError } from './ir'
import { Emitter } from './normalize/emitter'
import type { Lane } from './normalize/lanes'
import { sameDims } from './op-types'
import type { Program } from './program'
import { tidy } from './rewrite'
import { makeHostPlan, type HostPlan } from './specialize/host-plan'
import { inputLane } from './specialize/inputs'
import { StaticCache, Walk } from './specialize/walk'

export type { HostPlan } from './specialize/host-plan'

export interface SpecializeKey {
  readonly batch_size: number
  readonly sequence_length: number
  readonly mask: 'ones' | 'fed'
  /** Round the activations of q8 layers as onnxruntime does (no effect on other models). */
  readonly simulate_rounding: boolean
}

export interface Specialized {
  /** Inputs: 'inputs_embeds' [B,S,H] and those of the host plan. Output: 'logits' [B,S,V]. */
  readonly program: Program
  readonly host: HostPlan
}

const INPUT = 'inputs_embeds'
const OUTPUT = 'logits'
const caches = new WeakMap<CutModel, StaticCache>()

/**
 * @throws GraphError naming the node, for an op that is not supported, shapes that don't fit, or a sequence longer than the
 *   model's position table
 */
export function specialize(cut: CutModel, key: SpecializeKey): Specialized {
  checkKey(cut, key)
  const cache = caches.get(cut) ?? new StaticCache()
  caches.set(cut, cache)
  const emit = new Emitter(cache.derived, [INPUT, OUTPUT])
  const inputs = new Map<string, Lane>()
  for (const info of cut.graph.inputs) {
    const isCut = info.name === cut.inputs_embeds
    inputs.set(
      info.name,
      isCut ? emit.input(INPUT, [key.batch_size, key.sequence_length, cut.hidden_size]) : inputLane(info, key),
    )
  }
  const walk = new Walk({ opsets: cut.opsets, emit, cache, simulate_rounding: key.simulate_rounding })
  const logits = walk.run(cut.graph, inputs, cut.logits)
  if (logits.kind !== 'device')
    throw new GraphError(`'${cut.logits}' is a ${logits.kind} value: it does not depend on the embeddings`)
  const [batch, length] = logits.dims
  if (logits.dims.length !== 3 || !sameDims([batch ?? 0, length ?? 0], [key.batch_size, key.sequence_length])) {
    throw new GraphError(
      `'${cut.logits}' is [${logits.dims.join(', ')}], not one row of logits for each of ${key.batch_size} x ${key.sequence_length} positions`,
    )
  }

  const program = withoutUnusedInputs(tidy(emit.program(logits, OUTPUT)))
  const fed = new Map([...emit.fed].filter(([name]) => program.inputs.includes(name)))
  const mask = inputs.get('attention_mask')
  const host = makeHostPlan(mask?.kind === 'host' ? mask : undefined, fed)
  for (const lane of walk.tainted) lane.forget()
  return { program, host }
}

function checkKey(cut: CutModel, { batch_size, sequence_length }: SpecializeKey): void {
  for (const [name, value] of Object.entries({ batch_size, sequence_length })) {
    if (!Number.isInteger(value) || value < 1) throw new GraphError(`${name} is ${value}, a positive integer was expected`)
  }
  if (cut.max_positions !== null && sequence_length > cut.max_positions) {
    throw new GraphError(`${sequence_length} positions, but the model's position table has ${cut.max_positions}`)
  }
}

/** Clean-up may leave mask inputs that nothing reads. */
function withoutUnusedInputs(program: Program): Program {
  const read = new Set(program.ops.flatMap((op) => op.inputs))
  const unused = program.inputs.filter((name) => name !== INPUT && !read.has(name))
  const values = new Map([...program.values].filter(([name]) => !unused.includes(name)))
  return { ...program, inputs: program.inputs.filter((name) => !unused.includes(name)), values }
}
