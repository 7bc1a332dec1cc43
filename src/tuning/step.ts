/**
 * One optimizer step: a group of batches goes through the frozen model, one loss and one gradient come out, and the prompt moves. It
 * knows rows of tokens, not where they come from.
 */
import type { FrozenModel } from '../engine/frozen-model'
import { teacherForced } from './assemble'
import type { Assembler } from './assemble'
import type { Batch } from './batches'
import type { Gate } from './control'
import { adamWOptions, adamWStep, clipGradient } from './optimizer'
import type { AdamWState } from './optimizer'
import type { TokenSequence } from './sequences'

export interface GroupGradient {
  /** Mean cross-entropy per label token over the group's rows, nats. */
  readonly loss: number
  readonly labels: number
  /** [n, H]: d (weighted loss) / d prompt. */
  readonly gradient: Float32Array
}

/**
 * How labels weigh in a group's loss. `token_mean`: all the same. `caikit`: the plain mean of the batches' own means, over accumulate_steps
 * even when the group is short.
 */
export type Weighting = 'token_mean' | 'caikit'

export interface StepSettings {
  readonly weighting: Weighting
  readonly accumulate_steps: number
  /** null: no clipping. */
  readonly max_grad_norm: number | null
  readonly weight_decay: number
}

const labelsIn = (batch: Batch, sequences: readonly TokenSequence[]): number =>
  batch.rows.reduce((sum, row) => sum + (sequences[row]?.target.length ?? 0), 0)

/**
 * Loss and gradient of a group of batches with respect to the prompt, summed in float64 so that how a group is cut into batches
 * doesn't show.
 * @param prompt [n, H]
 * @returns null when the gate closed on the way.
 */
export async function groupGradient(
  model: FrozenModel,
  assembler: Assembler,
  prompt: Float32Array,
  group: readonly Batch[],
  sequences: readonly TokenSequence[],
  { weighting, accumulate_steps }: Pick<StepSettings, 'weighting' | 'accumulate_steps'>,
  gate: Gate,
): Promise<GroupGradient | null> {
  const size = prompt.length
  const n = size / model.hidden_size
  const sum = new Float64Array(size)
  const labels = group.reduce((total, batch) => total + labelsIn(batch, sequences), 0)
  let crossEntropy = 0
  for (const batch of group) {
    if (!(await gate())) return null
    const own = labelsIn(batch, sequences)
    const weight = weighting === 'token_mean' ? 1 / labels : 1 / (own * accumulate_steps)
    const rows = batch.rows.map((row) => {
      const sequence = sequences[row]
      if (!sequence) throw new RangeError(`row ${row} of ${sequences.length}`)
      return teacherForced(sequence)
    })
    const input = assembler.assemble(
      batch.shape,
      prompt,
      rows,
      rows.map(() => weight),
    )
    const { loss, d_inputs_embeds } = await model.lossAndGradient(input, n)
    crossEntropy += loss / weight
    // Rows beyond the batch's own only fill it up; they weigh nothing.
    for (let b = 0; b < rows.length; b++) {
      for (let i = 0; i < size; i++) sum[i] = (sum[i] ?? 0) + (d_inputs_embeds[b * size + i] ?? NaN)
    }
  }
  return { loss: crossEntropy / labels, labels, gradient: Float32Array.from(sum) }
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
 * Moves the prompt once: `rows` ([n, H]) and `adam` change in place.
 * @returns null when the gate closed on the way; nothing has moved then.
 */
export async function trainStep(
  model: FrozenModel,
  assembler: Assembler,
  rows: Float32Array,
  adam: AdamWState,
  group: readonly Batch[],
  sequences: readonly TokenSequence[],
  learning_rate: number,
  settings: StepSettings,
  gate: Gate,
): Promise<StepDone | null> {
  const result = await groupGradient(model, assembler, rows, group, sequences, settings, gate)
  if (result === null) return null
  const { loss, labels, gradient } = result
  const gradient_norm = clipGradient(gradient, settings.max_grad_norm)
  if (!Number.isFinite(loss)) return { loss, labels, gradient_norm, diverged: 'The loss is not a finite number' }
  if (!Number.isFinite(gradient_norm)) return { loss, labels, gradient_norm, diverged: 'The gradient is not finite' }
  adamWStep(rows, gradient, adam, learning_rate, adamWOptions(settings.weight_decay))
  return { loss, labels, gradient_norm, diverged: null }
}
