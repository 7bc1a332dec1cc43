/** How well a prompt does on held-out rows: loss, exact match and label accuracy after every epoch, with predictions before and after the run. */
import type { Evaluation, Metrics } from '../library/prompt-record'
import type { Example } from '../job/records'
import { teacherForced } from './assemble'
import { firstTokens, labelAccuracy } from './labels'
import type { LabelSet } from './labels'
import { greedyTokens, toPrediction } from './predict'
import { scoreRows } from './score'
import type { RowScores, Scorer } from './score'
import type { BuiltSequence } from './sequences'
import type { Tokenizer } from './tokenizer'

/** Rows to measure on, at least one. */
export interface HeldOut {
  readonly examples: readonly Example[]
  readonly sequences: readonly BuiltSequence[]
  /** null: the outputs are no labels. */
  readonly labels: LabelSet | null
  /** Most tokens a prediction may have, EOS included. */
  readonly max_new_tokens: number
}

interface Measured {
  readonly metrics: Metrics
  readonly scores: readonly RowScores[]
}

async function measureRows(scorer: Scorer, prompt: Float32Array, { sequences, labels }: HeldOut): Promise<Measured | null> {
  const firsts = labels ? firstTokens(labels) : []
  const scores = await scoreRows(
    scorer,
    prompt,
    sequences.map((sequence) => {
      const { fed, slots } = teacherForced(sequence)
      return { fed, slots: [...slots, ...firsts.map((id) => ({ at: sequence.source.length - 1, id }))] }
    }),
  )
  if (scores === null) return null
  let crossEntropy = 0
  let slots = 0
  let exact = 0
  sequences.forEach(({ target }, row) => {
    const score = scores[row]
    for (let k = 0; k < target.length; k++) crossEntropy -= score?.log_probabilities[k] ?? NaN
    slots += target.length
    if (target.every((id, k) => score?.greedy_ids[k] === id)) exact += 1
  })
  const label_accuracy = labels ? await labelAccuracy(scorer, prompt, sequences, labels, scores) : null
  if (labels && label_accuracy === null) return null
  return { metrics: { loss: crossEntropy / slots, exact_match: exact / sequences.length, label_accuracy }, scores }
}

/**
 * Loss (token mean), exact match (teacher forced, which is equal to greedy decoding's: all greedy tokens are the target's, EOS included) and label
 * accuracy of a prompt ([n, H]; empty for the untuned model).
 * @returns null when the gate closed on the way.
 */
export async function measure(scorer: Scorer, prompt: Float32Array, held: HeldOut): Promise<Metrics | null> {
  return (await measureRows(scorer, prompt, held))?.metrics ?? null
}

/** The same with every row's greedy prediction; exact_match is then the share of exact predictions (texts, not tokens). */
export async function evaluate(
  scorer: Scorer,
  prompt: Float32Array,
  held: HeldOut,
  tokenizer: Tokenizer,
): Promise<Evaluation | null> {
  const measured = await measureRows(scorer, prompt, held)
  if (measured === null) return null
  const said = await greedyTokens(scorer, prompt, held.sequences, measured.scores, held.max_new_tokens, tokenizer.eos_token_id)
  if (said === null) return null
  const predictions = held.examples.map((example, row) => toPrediction(example, said[row] ?? [], tokenizer))
  const exact_match = predictions.filter(({ exact }) => exact).length / predictions.length
  return { metrics: { ...measured.metrics, exact_match }, predictions }
}
