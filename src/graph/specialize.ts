/**
 * A cut model for one input shape, as a Program: shapes and masks folded, the rest in the device dialect (program.ts).
 *
 * Weights in the program are the file's own tensors, the same objects for every key; constants that depend on the file alone
 * are folded once per model. The mask is either constant ('ones': right for a causal model with right padding, where no label
 * ever sees a pad) or fed with each batch through the host plan (an encoder reads both ways, so its padding must be masked).
 */
import { ENCODER_STATES, type CutGraph, type CutRole, type CutSeq2Seq } from './cut'
import { GraphError } from './ir'
import { Emitter } from './normalize/emitter'
import type { HostLane, Lane } from './normalize/lanes'
import { sameDims } from './op-types'
import type { Program } from './program'
import { tidy } from './rewrite'
import { HostBudget } from './specialize/budget'
import { joinHostPlans, makeHostPlan, type HostPlan } from './specialize/host-plan'
import { inputLane } from './specialize/inputs'
import { joinPrograms } from './specialize/join'
import { StaticCache, Walk } from './specialize/walk'

export type { HostPlan } from './specialize/host-plan'

export interface SpecializeKey {
  readonly batch_size: number
  readonly sequence_length: number
  readonly mask: 'ones' | 'fed'
  /** Round the activations of q8 layers as onnxruntime does (no effect on other models). */
  readonly simulate_rounding: boolean
  /** For a decoder: the length and width of the encoder's states it reads. */
  readonly encoder?: { readonly sequence_length: number; readonly width: number }
}

export interface Specialized {
  /**
   * Inputs: `inputs_embeds` [B,S,H] (an encoder's: `encoder_inputs_embeds`; a decoder also reads `encoder_hidden_states`) and those of the
   * host plan. Output: `logits` [B,S,V], or an encoder's `encoder_hidden_states` [B,S,W].
   */
  readonly program: Program
  readonly host: HostPlan
}

/** Names of a part's own input and output in its Program: those of an encoder and of its decoder never collide. */
const NAMES: Readonly<Record<CutRole, { readonly input: string; readonly output: string }>> = {
  causal: { input: 'inputs_embeds', output: 'logits' },
  encoder: { input: 'encoder_inputs_embeds', output: ENCODER_STATES },
  decoder: { input: 'inputs_embeds', output: 'logits' },
}
const caches = new WeakMap<CutGraph, StaticCache>()

/**
 * @throws GraphError naming the node, for an op that is not supported, shapes that don't fit, or a sequence longer than the
 *   model's position table
 */
export function specialize(cut: CutGraph, key: SpecializeKey): Specialized {
  checkKey(cut, key)
  const { input, output } = NAMES[cut.role]
  const cache = caches.get(cut) ?? new StaticCache()
  caches.set(cut, cache)
  const emit = new Emitter(cache.derived, [input, output, ENCODER_STATES])
  const { batch_size, sequence_length, mask, encoder } = key
  const shape = { batch_size, sequence_length, mask, encoder_length: encoder?.sequence_length ?? null }
  const inputs = new Map<string, Lane>()
  for (const info of cut.graph.inputs) {
    if (info.name === cut.inputs_embeds) {
      inputs.set(info.name, emit.input(input, [batch_size, sequence_length, cut.hidden_size]))
    } else if (info.name === ENCODER_STATES && encoder) {
      inputs.set(info.name, emit.input(ENCODER_STATES, [batch_size, encoder.sequence_length, encoder.width]))
    } else inputs.set(info.name, inputLane(info, shape))
  }
  const walk = new Walk({
    opsets: cut.opsets,
    emit,
    cache,
    simulate_rounding: key.simulate_rounding,
    budget: new HostBudget(cut.graph, shape),
  })
  const result = walk.run(cut.graph, inputs, cut.output)
  if (result.kind !== 'device')
    throw new GraphError(`'${cut.output}' is a ${result.kind} value: it does not depend on the embeddings`)
  const [batch, length] = result.dims
  if (result.dims.length !== 3 || !sameDims([batch ?? 0, length ?? 0], [batch_size, sequence_length])) {
    throw new GraphError(
      `'${cut.output}' is [${result.dims.join(', ')}], not one row for each of ${batch_size} x ${sequence_length} positions`,
    )
  }

  const program = withoutUnusedInputs(tidy(emit.program(result, output)), input)
  const fed = new Map([...emit.fed].filter(([name]) => program.inputs.includes(name)))
  const host = makeHostPlan(fedMask(inputs), fed)
  for (const lane of walk.tainted) lane.forget()
  return { program, host }
}

export interface Seq2SeqKey {
  readonly batch_size: number
  /** Positions of the decoder. */
  readonly sequence_length: number
  /** Positions of the encoder. */
  readonly encoder_length: number
  readonly simulate_rounding: boolean
}

/**
 * An encoder and its decoder as one Program with `encoder_inputs_embeds` [B,E,H] and `inputs_embeds` [B,S,H] (the decoder's); its mask
 * is that of the encoder's positions, [B,E].
 * @throws GraphError as `specialize`
 */
export function specializeSeq2Seq(cut: CutSeq2Seq, key: Seq2SeqKey): Specialized {
  const { batch_size, sequence_length, encoder_length, simulate_rounding } = key
  const shared = { batch_size, mask: 'fed', simulate_rounding } as const
  const encoder = specialize(cut.encoder, { ...shared, sequence_length: encoder_length })
  const width = encoder.program.values.get(ENCODER_STATES)?.dims[2] ?? 0
  const decoder = specialize(cut.decoder, { ...shared, sequence_length, encoder: { sequence_length: encoder_length, width } })
  const { program, renamed } = joinPrograms(encoder.program, decoder.program, ENCODER_STATES)
  return { program, host: joinHostPlans(encoder.host, decoder.host, renamed) }
}

function fedMask(inputs: ReadonlyMap<string, Lane>): HostLane | undefined {
  for (const lane of inputs.values()) if (lane.kind === 'host' && lane.taint === 'attention_mask') return lane
  return undefined
}

function checkKey(cut: CutGraph, { batch_size, sequence_length, encoder }: SpecializeKey): void {
  const sizes = { batch_size, sequence_length, ...(encoder && { encoder_length: encoder.sequence_length }) }
  for (const [name, value] of Object.entries(sizes)) {
    if (!Number.isInteger(value) || value < 1) throw new GraphError(`${name} is ${value}, a positive integer was expected`)
  }
  if (cut.role === 'decoder' && !encoder) throw new GraphError("a decoder needs the shape of its encoder's states")
  if (cut.max_positions !== null && sequence_length > cut.max_positions) {
    throw new GraphError(`${sequence_length} positions, but the model's position table has ${cut.max_positions}`)
  }
}

/** Clean-up may leave mask inputs that nothing reads. */
function withoutUnusedInputs(program: Program, input: string): Program {
  const read = new Set(program.ops.flatMap((op) => op.inputs))
  const unused = program.inputs.filter((name) => name !== input && !read.has(name))
  const values = new Map([...program.values].filter(([name]) => !unused.includes(name)))
  return { ...program, inputs: program.inputs.filter((name) => !unused.includes(name)), values }
}
