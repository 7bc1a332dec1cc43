/**
 * From a model's forward Program to the programs that are run: the loss of labels with its gradient, scores of labels, and the dense
 * loss of reference files. All take `inputs_embeds` [B,S,H] (of the stack that makes the logits: a causal model, or a decoder) and the
 * forward program's other inputs, as they are.
 *
 * It knows what is computed of the logits, not what labels mean: prompts, batching and optimizers are others' business.
 */
import { differentiate } from './differentiate'
import { GraphError } from './ir'
import type { Program } from './program'
import { ProgramBuilder, ProgramView } from './rewrite'
import { restrictRows } from './restrict-rows'

const LOGITS = 'logits'
const EMBEDS = 'inputs_embeds'
/** Inputs that gradients can be asked of: the program's own, and that of the encoder joined in front of it. */
const EMBEDS_INPUTS = [EMBEDS, 'encoder_inputs_embeds'] as const
export type EmbedsInput = (typeof EMBEDS_INPUTS)[number]
/** The output that holds an input's gradient. */
const gradientOf = (input: EmbedsInput): string => `d_${input}`

export interface ScoreShape {
  /** Label slots of each row, L. */
  readonly label_length: number
}

export interface TrainingShape extends ScoreShape {
  /** Positions from the first whose gradient is returned, P (the virtual tokens), 1..S, by the input they are of. At least one input. */
  readonly gradient_lengths: Readonly<Partial<Record<EmbedsInput, number>>>
}

/**
 * How likely given tokens are, at given positions.
 *
 * Inputs: the forward program's; label_positions int32 [B,L], the position whose logits predict the label; label_ids int32 [B,L].
 * Outputs: log_probabilities [B,L]; greedy_ids int32 [B,L], the most likely token there. Logits are computed at these positions only.
 * @throws GraphError when `forward` has no logits [B,S,V] or no inputs_embeds [B,S,H]
 */
export function scoreProgram(forward: Program, { label_length }: ScoreShape): Program {
  const { builder, logits, ids } = labelRows(forward, label_length)
  builder.emit({ op: 'LabelLogProbability', name: 'log_probabilities', inputs: [logits, ids], attrs: {} }, 'log_probabilities')
  builder.emit({ op: 'ArgMax', name: 'greedy_ids', inputs: [logits], attrs: {} }, 'greedy_ids')
  return builder.finish(['log_probabilities', 'greedy_ids'])
}

/**
 * Cross-entropy of labels and its gradient: the program a tuning step runs.
 *
 * Inputs: those of `scoreProgram`; label_weights [B,L] (0 in unused slots).
 * Outputs: loss [] = sum(label_weights * -log softmax(logits at label_positions)[label_ids]); for every input in
 * `gradient_lengths` its gradient over the first P positions of every row, [B,P,H], named d_ and the input's name.
 * @throws GraphError as `scoreProgram`; when a P is not in 1..S; or naming the ops no gradient flows through
 */
export function trainingProgram(forward: Program, { label_length, gradient_lengths }: TrainingShape): Program {
  const wanted = EMBEDS_INPUTS.flatMap((input) => {
    const length = gradient_lengths[input]
    return length === undefined ? [] : [{ input, length }]
  })
  for (const { input, length } of wanted) {
    const sequence = forward.inputs.includes(input) ? (forward.values.get(input)?.dims[1] ?? 0) : 0
    if (!Number.isInteger(length) || length < 1 || length > sequence) {
      throw new GraphError(`gradient_length of ${input} is ${length}; it has to be 1 to ${sequence}, the sequence length`)
    }
  }
  const { builder, logits, ids, batch } = labelRows(forward, label_length)
  const weights = builder.input('label_weights', { dtype: 'float32', dims: [batch, label_length] })
  const inputs = [logits, ids, weights]
  const outputs = ['loss', builder.fresh('d_logits')]
  builder.emitAll({ op: 'SoftmaxCrossEntropy', name: 'loss', inputs, attrs: {} }, outputs)
  const embeds = wanted.map(({ input }) => input)
  const whole = withGradient(builder, logits, outputs, embeds, 'loss')
  return wanted.reduce((program, { input, length }) => firstRows(program, gradientOf(input), length), whole)
}

/**
 * Loss and gradient in the form of reference files: a dense target for every logit.
 *
 * Inputs: the forward program's; target_weights [B,S,V]. Outputs: loss [] = sum(target_weights * log softmax(logits)); logits [B,S,V];
 * d_inputs_embeds [B,S,H].
 * @throws GraphError as `trainingProgram`
 */
export function referenceProgram(forward: Program): Program {
  const { logits: dims } = shapesOf(forward)
  const builder = new ProgramBuilder(forward, true)
  const weights = builder.input('target_weights', { dtype: 'float32', dims })
  const outputs = ['loss', builder.fresh('d_logits')]
  builder.emitAll({ op: 'WeightedLogSoftmax', name: 'loss', inputs: [LOGITS, weights], attrs: {} }, outputs)
  return withGradient(builder, LOGITS, outputs, [EMBEDS], 'loss', LOGITS)
}

/** Dims of logits and inputs_embeds, checked. */
function shapesOf(forward: Program): { logits: readonly number[]; embeds: readonly number[] } {
  const [logits, embeds] = [forward.values.get(LOGITS)?.dims, forward.values.get(EMBEDS)?.dims]
  if (!forward.outputs.includes(LOGITS) || logits?.length !== 3)
    throw new GraphError('the program has no output logits [B, S, V]')
  if (!forward.inputs.includes(EMBEDS) || embeds?.length !== 3)
    throw new GraphError('the program has no input inputs_embeds [B, S, H]')
  if (logits[0] !== embeds[0] || logits[1] !== embeds[1]) {
    throw new GraphError(`logits [${logits.join(', ')}] are not for every position of inputs_embeds [${embeds.join(', ')}]`)
  }
  return { logits, embeds }
}

/** The forward program up to the logits of the label positions, [B,L,V], with the inputs that say which those are. */
function labelRows(forward: Program, label_length: number) {
  const [batch = 0] = shapesOf(forward).logits
  if (!Number.isInteger(label_length) || label_length < 1)
    throw new GraphError(`label_length is ${label_length}; it has to be 1 or more`)
  const labels = { dtype: 'int32', dims: [batch, label_length] } as const
  const positions = 'label_positions'
  // The selection happens somewhere inside the program, so its input has to be there before.
  const withPositions: Program = {
    ...forward,
    inputs: [...forward.inputs, positions],
    outputs: forward.outputs.filter((name) => name !== LOGITS),
    values: new Map([...forward.values, [positions, labels]]),
  }
  if (forward.values.has(positions)) throw new GraphError(`the program already has a value '${positions}'`)
  const { builder, value } = restrictRows(withPositions, LOGITS, {
    rows: label_length,
    select: (into, x) => into.emit({ op: 'GatherRows', name: into.label, inputs: [x, positions], attrs: {} }),
  })
  const ids = builder.input('label_ids', labels)
  return { builder, logits: value, ids, batch }
}

/** Closes a program with a loss, whose gradient of the logits is the second of `lossOutputs`, and differentiates it. */
function withGradient(
  builder: ProgramBuilder,
  logits: string,
  lossOutputs: readonly string[],
  inputs: readonly EmbedsInput[],
  ...outputs: string[]
): Program {
  const seed = lossOutputs[1] ?? ''
  // The logits and their gradient are outputs until it is used, so that clean-up keeps them.
  const program = builder.finish([...new Set([...outputs, logits, seed])])
  const wrt = new Map(inputs.map((input) => [input, gradientOf(input)]))
  const whole = differentiate(program, { seeds: new Map([[logits, seed]]), wrt })
  return { ...whole, outputs: [...outputs, ...wrt.values()] }
}

/** A gradient cut to the first positions, as early in the backward half as can be. */
function firstRows(program: Program, gradient: string, length: number): Program {
  const whole = new ProgramView(program).dims(gradient)
  if (whole[1] === length) return new ProgramBuilder(program, true).finish(program.outputs)
  // The name is free for the cut gradient once the whole one has another.
  const full = `${gradient}~whole`
  const rename = (name: string) => (name === gradient ? full : name)
  const { builder, value } = restrictRows(
    {
      ...program,
      ops: program.ops.map((op) => ({ ...op, inputs: op.inputs.map(rename), outputs: op.outputs.map(rename) })),
      outputs: program.outputs.filter((name) => name !== gradient),
      values: new Map([...program.values].map(([name, type]) => [rename(name), type])),
    },
    full,
    { rows: length, select: (into, x) => into.slice(x, 1, 0, length) },
  )
  builder.outputAs(value, gradient)
  return builder.finish(program.outputs)
}
