/** How well a prompt does on held-out rows: loss, exact match and label accuracy after every epoch, with predictions before and after the run. */
import type { Evaluation, Metrics } from '../library/prompt-record'
import type { Example } from '../job/records'
import { teacherForced } from './assemble'
import { firstTokens, labelAccuracy } from './labels'
import type { LabelSet } from './labels'
import { canBecomeExact, greedyTokens, toPrediction } from './predict'
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
  readonly loss: number
  readonly label_accuracy: number | null
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
  sequences.forEach(({ target }, row) => {
    for (let k = 0; k < target.length; k++) crossEntropy -= scores[row]?.log_probabilities[k] ?? NaN
    slots += target.length
  })
  const label_accuracy = labels ? await labelAccuracy(scorer, prompt, sequences, labels, scores) : null
  if (labels && label_accuracy === null) return null
  return { loss: crossEntropy / slots, label_accuracy, scores }
}

async function evaluateRows(
  scorer: Scorer,
  prompt: Float32Array,
  held: HeldOut,
  tokenizer: Tokenizer,
  worthwhile?: (row: number, said: readonly number[]) => boolean,
): Promise<Evaluation | null> {
  const measured = await measureRows(scorer, prompt, held)
  if (measured === null) return null
  const { loss, label_accuracy, scores } = measured
  const said = await greedyTokens(scorer, prompt, held.sequences, scores, held.max_new_tokens, tokenizer.eos_token_id, worthwhile)
  if (said === null) return null
  const predictions = held.examples.map((example, row) => toPrediction(example, said[row] ?? [], tokenizer))
  const exact_match = predictions.filter(({ exact }) => exact).length / predictions.length
  return { metrics: { loss, exact_match, label_accuracy }, predictions }
}

/**
 * Loss (token mean), exact match and label accuracy of a prompt ([n, H]; empty for the untuned model). Exact match is greedy decoding's: one
 * teacher-forced pass settles nearly all rows, and only those whose text may still come out right (said in other tokens than the
 * tokenizer's) are decoded on.
 * @returns null when the gate closed on the way.
 */
export async function measure(
  scorer: Scorer,
  prompt: Float32Array,
  held: HeldOut,
  tokenizer: Tokenizer,
): Promise<Metrics | null> {
  const worthwhile = (row: number, said: readonly number[]): boolean => {
    const example = held.examples[row]
    return example !== undefined && canBecomeExact(example, said, tokenizer)
  }
  return (await evaluateRows(scorer, prompt, held, tokenizer, worthwhile))?.metrics ?? null
}

/** The same numbers with every row's greedy prediction, decoded to its end. */
export const evaluate = (scorer: Scorer, prompt: Float32Array, held: HeldOut, tokenizer: Tokenizer): Promise<Evaluation | null> =>
  evaluateRows(scorer, prompt, held, tokenizer)
