/**
 * How well a prompt does on held-out rows: loss, exact match and label measures after every epoch, with predictions and text measures before
 * and after the run; of each task where there are several.
 */
import type { Evaluation, Metrics, TaskMetrics } from '../library/prompt-record'
import type { Example } from '../job/records'
import { teacherForced } from './assemble'
import { firstTokens, likeliestLabels } from './labels'
import type { RowLabels } from './labels'
import { classificationReport, perplexity, textMetrics } from './metrics'
import { canBecomeExact, greedyTokens, toPrediction } from './predict'
import { scoreRows } from './score'
import type { RowScores, Scorer } from './score'
import type { BuiltSequence } from './sequences'
import type { Prompts } from './soft-prompt'
import type { Tokenizer } from './tokenizer'

/** Rows to measure on, at least one. */
export interface HeldOut {
  readonly examples: readonly Example[]
  readonly sequences: readonly BuiltSequence[]
  /** Of each row. */
  readonly labels: RowLabels
  /** Most tokens a prediction may have, EOS included. */
  readonly max_new_tokens: number
}

/** What was found of one row. */
interface RowResult {
  readonly task: string | null
  /** Cross-entropy of all its label tokens, and how many there are. */
  readonly cross_entropy: number
  readonly label_tokens: number
  readonly expected: string
  /** The likeliest label; null where outputs are no labels. */
  readonly label: string | null
  readonly predicted: string
  readonly exact: boolean
}

interface Measured {
  readonly scores: readonly RowScores[]
  readonly likeliest: readonly (string | null)[]
}

async function measureRows(scorer: Scorer, prompts: Prompts, { sequences, labels }: HeldOut): Promise<Measured | null> {
  const scores = await scoreRows(
    scorer,
    sequences.map((sequence, row) => {
      const query = teacherForced(sequence, prompts)
      const firsts = firstTokens(labels[row] ?? [])
      return { ...query, slots: [...query.slots, ...firsts.map((id) => ({ at: sequence.source.length - 1, id }))] }
    }),
  )
  if (scores === null) return null
  const likeliest = await likeliestLabels(scorer, prompts, sequences, labels, scores)
  return likeliest && { scores, likeliest }
}

async function rowResults(
  scorer: Scorer,
  prompts: Prompts,
  held: HeldOut,
  tokenizer: Tokenizer,
  worthwhile?: (row: number, said: readonly number[]) => boolean,
): Promise<readonly RowResult[] | null> {
  const measured = await measureRows(scorer, prompts, held)
  if (measured === null) return null
  const { scores, likeliest } = measured
  const { eos_token_id } = tokenizer
  const said = await greedyTokens(scorer, prompts, held.sequences, scores, held.max_new_tokens, eos_token_id, worthwhile)
  if (said === null) return null
  return held.examples.map((example, row) => {
    const target = held.sequences[row]?.target ?? []
    const { predicted, exact } = toPrediction(example, said[row] ?? [], tokenizer)
    return {
      task: example.task ?? null,
      cross_entropy: target.reduce((sum, _, k) => sum - (scores[row]?.log_probabilities[k] ?? NaN), 0),
      label_tokens: target.length,
      expected: example.output,
      label: likeliest[row] ?? null,
      predicted,
      exact,
    }
  })
}

const sumOf = (rows: readonly RowResult[], value: (row: RowResult) => number): number =>
  rows.reduce((sum, row) => sum + value(row), 0)

/** @param decoded whether predictions are whole, so that texts can be compared */
function metricsOf(rows: readonly RowResult[], decoded: boolean): Metrics {
  const loss = sumOf(rows, (row) => row.cross_entropy) / sumOf(rows, (row) => row.label_tokens)
  const labels = rows.flatMap(({ label }) => (label === null ? [] : [label]))
  const classes =
    labels.length === rows.length
      ? classificationReport(
          rows.map(({ expected }) => expected.trim()),
          labels,
        )
      : null
  const texts = decoded && classes === null ? textMetrics(rows) : null
  return {
    loss,
    perplexity: perplexity(loss),
    exact_match: sumOf(rows, ({ exact }) => Number(exact)) / rows.length,
    label_accuracy: classes?.accuracy ?? null,
    macro_f1: classes?.macro_f1 ?? null,
    rouge_l: texts?.rouge_l ?? null,
    token_f1: texts?.token_f1 ?? null,
  }
}

function taskMetrics(rows: readonly RowResult[]): TaskMetrics[] {
  const tasks = [...new Set(rows.flatMap(({ task }) => (task === null ? [] : [task])))].sort()
  if (tasks.length < 2) return []
  return tasks.map((task) => {
    const own = rows.filter((row) => row.task === task)
    return { task, rows: own.length, metrics: metricsOf(own, true) }
  })
}

/**
 * Loss (token mean), exact match and label measures of prompts. Exact match is greedy decoding's: one teacher-forced pass settles
 * nearly all rows, and only those whose text may still come out right (said in other tokens than the tokenizer's) are decoded on.
 * @returns null when the gate closed on the way.
 */
export async function measure(scorer: Scorer, prompts: Prompts, held: HeldOut, tokenizer: Tokenizer): Promise<Metrics | null> {
  const worthwhile = (row: number, said: readonly number[]): boolean => {
    const example = held.examples[row]
    return example !== undefined && canBecomeExact(example, said, tokenizer)
  }
  const rows = await rowResults(scorer, prompts, held, tokenizer, worthwhile)
  return rows && metricsOf(rows, false)
}

/** All measures, with every row's greedy prediction, decoded to its end. */
export async function evaluate(
  scorer: Scorer,
  prompts: Prompts,
  held: HeldOut,
  tokenizer: Tokenizer,
): Promise<Evaluation | null> {
  const rows = await rowResults(scorer, prompts, held, tokenizer)
  if (rows === null) return null
  const predictions = rows.map(({ task, expected, predicted, exact }, i) => {
    return { input: held.examples[i]?.input ?? '', expected, predicted, exact, task }
  })
  return { metrics: metricsOf(rows, true), predictions, tasks: taskMetrics(rows) }
}
