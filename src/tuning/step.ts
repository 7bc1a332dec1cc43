/**
 * One optimizer step: a group of batches goes through the frozen model, one loss and one gradient come out, and the prompt moves. It
 * knows rows of tokens, not where they come from.
 */
import type { FrozenModel, GradientLengths, LossAndGradient } from '../engine/frozen-model'
import { teacherForced } from './assemble'
import type { Assembler } from './assemble'
import type { Batch } from './batches'
import type { Gate } from './control'
import { clipGradient, optimizerStep } from './optimizer'
import type { OptimizerSettings, OptimizerState } from './optimizer'
import type { TokenSequence } from './sequences'
import { parameterGradient, promptsOf } from './soft-prompt'
import type { PromptLayout } from './soft-prompt'

export interface GroupGradient {
  /** Mean cross-entropy per label token over the group's rows, nats. */
  readonly loss: number
  readonly labels: number
  /** d (weighted loss) / d parameters. */
  readonly gradient: Float32Array
}

/**
 * How labels weigh in a group's loss. `token_mean`: all the same. `caikit`: the plain mean of the batches' own means, over accumulate_steps
 * even when the group is short.
 */
export type Weighting = 'token_mean' | 'caikit'

export interface StepSettings extends OptimizerSettings {
  readonly weighting: Weighting
  readonly accumulate_steps: number
  /** null: no clipping. */
  readonly max_grad_norm: number | null
}

const labelsIn = (batch: Batch, sequences: readonly TokenSequence[]): number =>
  batch.rows.reduce((sum, row) => sum + (sequences[row]?.target.length ?? 0), 0)

/** What is trained, and its numbers, which steps move in place. */
export interface Trained {
  readonly layout: PromptLayout
  readonly parameters: Float32Array
}

/**
 * Loss and gradient of a group of batches with respect to the parameters, summed in float64 so that how a group is cut into batches
 * doesn't show.
 * @returns null when the gate closed on the way.
 */
export async function groupGradient(
  model: FrozenModel,
  assembler: Assembler,
  { layout, parameters }: Trained,
  group: readonly Batch[],
  sequences: readonly TokenSequence[],
  { weighting, accumulate_steps }: Pick<StepSettings, 'weighting' | 'accumulate_steps'>,
  gate: Gate,
): Promise<GroupGradient | null> {
  const prompts = promptsOf(layout, parameters)
  const sums = new Map<number, Float64Array>()
  const lengths = gradientLengths(layout)
  const labels = group.reduce((total, batch) => total + labelsIn(batch, sequences), 0)
  let crossEntropy = 0
  for (const batch of group) {
    if (!(await gate())) return null
    const own = labelsIn(batch, sequences)
    const weight = weighting === 'token_mean' ? 1 / labels : 1 / (own * accumulate_steps)
    const rows = batch.rows.map((row) => {
      const sequence = sequences[row]
      if (!sequence) throw new RangeError(`row ${row} of ${sequences.length}`)
      return sequence
    })
    const input = await assembler.assemble(
      batch.shape,
      rows.map((sequence) => teacherForced(sequence, prompts)),
      rows.map(() => weight),
      lengths.encoder > 0 ? 'embeds' : 'states',
    )
    const result = await model.lossAndGradient(input, lengths)
    crossEntropy += result.loss / weight
    // Rows beyond the batch's own only fill it up; they weigh nothing.
    rows.forEach(({ task }, b) => addRows(sums, task, layout, result, b))
  }
  return { loss: crossEntropy / labels, labels, gradient: parameterGradient(layout, parameters, sums) }
}

const gradientLengths = ({ stacks, num_virtual_tokens }: PromptLayout): GradientLengths => ({
  encoder: stacks.includes('encoder') ? num_virtual_tokens : 0,
  decoder: stacks.includes('decoder') ? num_virtual_tokens : 0,
})

/** Adds the gradient of row b's virtual tokens to that of its task's. */
function addRows(sums: Map<number, Float64Array>, task: number, layout: PromptLayout, result: LossAndGradient, b: number): void {
  const size = layout.num_virtual_tokens * layout.hidden_size
  const sum = sums.get(task) ?? new Float64Array(layout.stacks.length * size)
  sums.set(task, sum)
  layout.stacks.forEach((stack, part) => {
    const from = stack === 'encoder' ? result.d_encoder_inputs_embeds : result.d_inputs_embeds
    for (let i = 0; i < size; i++) sum[part * size + i] = (sum[part * size + i] ?? 0) + (from[b * size + i] ?? NaN)
  })
}

export interface StepDone {
  readonly loss: number
  readonly labels: number
  /** Norm of the gradient before clipping. */
  readonly gradient_norm: number
  /** Set when a number was not finite: what, in words. The prompt has then not moved. */
  readonly diverged: string | null
}

/**
 * Moves the prompt once: its parameters and the optimizer's state change in place.
 * @returns null when the gate closed on the way; nothing has moved then.
 */
export async function trainStep(
  model: FrozenModel,
  assembler: Assembler,
  trained: Trained,
  state: OptimizerState,
  group: readonly Batch[],
  sequences: readonly TokenSequence[],
  learning_rate: number,
  settings: StepSettings,
  gate: Gate,
): Promise<StepDone | null> {
  const result = await groupGradient(model, assembler, trained, group, sequences, settings, gate)
  if (result === null) return null
  const { loss, labels, gradient } = result
  const gradient_norm = clipGradient(gradient, settings.max_grad_norm)
  if (!Number.isFinite(loss)) return { loss, labels, gradient_norm, diverged: 'The loss is not a finite number' }
  if (!Number.isFinite(gradient_norm)) return { loss, labels, gradient_norm, diverged: 'The gradient is not finite' }
  optimizerStep(settings, trained, gradient, state, learning_rate)
  return { loss, labels, gradient_norm, diverged: null }
}
