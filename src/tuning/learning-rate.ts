/**
 * What `learning_rate: "auto"` stands for.
 *
 * Under Adam a step moves every coordinate of the prompt by about the learning rate, whatever the gradient's size, so only its ratio
 * to the spread of the embedding table means anything: PEFT's usual 3e-2 and caikit's 0.3 suit T5-like tables, but on a table with
 * std 0.02 one step at 0.3 jumps by 15 standard deviations. Scale drops out of the ratio altogether (but for weight decay, whose pull grows
 * with the rate itself); width should not enter either, as it does not for the input weights of a network under Adam (Yang et al. 2022,
 * "Tensor Programs V").
 *
 * Measured (`npm run sweep -- --learning-rate`, bench/results/learning-rate.md; one task a model, 65 to 75 steps, one or two seeds): ratios from
 * 0.06 to 1 on both embedded models (std 0.085 and 1.7), and on models with the causal one's logits but an eighth and eight times the spread, rotated
 * coordinates, or twice the width. Every one has its lowest validation loss at 0.25 or 0.5 and is within 0.02 nats of it at 0.25; 0.06 costs
 * 0.06 to 0.22, 1 costs 0.03 to 0.24. So neither width nor the length of rows is in the rule. How the best ratio goes with the number of steps was
 * not measured there.
 */
import { TuningError } from './errors'

export const AUTO_RATIO = 0.25

export interface LearningRate {
  readonly learning_rate: number
  /** For people: where the number comes from. */
  readonly reason: string
}

/** Two significant digits: no more are meant. */
const rounded = (x: number): number => Number(x.toPrecision(2))

export const autoLearningRate = (embedding_std: number): number => rounded(AUTO_RATIO * embedding_std)

const usable = (learning_rate: number): boolean => learning_rate > 0 && Number.isFinite(learning_rate)

/** What "auto" comes to on a model and why, for people: two sentences that go on from "auto is". */
export function explainAuto(embedding_std: number): string {
  const learning_rate = autoLearningRate(embedding_std)
  if (!usable(learning_rate))
    return 'not to be had on this model: its embedding table has no usable spread. Set a number, for example 0.01.'
  return (
    `${learning_rate} on this model: ${AUTO_RATIO} times the spread of its embeddings (standard deviation ${rounded(embedding_std)}). ` +
    'One step then moves the prompt by about that share of what tells one token from another, however wide the model is and however large its numbers are.'
  )
}

/** @throws TuningError when "auto" has nothing to go by. */
export function resolveLearningRate(wanted: number | 'auto', embedding_std: number): LearningRate {
  if (wanted !== 'auto') {
    const ratio = embedding_std > 0 ? `, ${rounded(wanted / embedding_std)} times the spread of the model's embeddings` : ''
    return { learning_rate: wanted, reason: `Learning rate ${wanted}, as you set it${ratio}.` }
  }
  const learning_rate = autoLearningRate(embedding_std)
  if (!usable(learning_rate)) {
    throw new TuningError(
      `The model's embedding table has no usable spread (std ${embedding_std}).`,
      'Set learning_rate to a number, for example 0.01.',
    )
  }
  return { learning_rate, reason: `Learning rate ${explainAuto(embedding_std)}` }
}
