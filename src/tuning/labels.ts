/**
 * The likeliest label: on classification-like data, which of all labels does the model find likeliest behind a row? Unlike exact match that
 * doesn't ask it to say the label unprompted, so it shows what was learned earlier and can be compared with chance.
 */
import { teacherForced } from './assemble'
import { metricsFitting } from './metrics'
import { MOST_LABELS } from './metrics/fitting'
import { scoreRows } from './score'
import type { RowScores, Scorer } from './score'
import type { BuiltSequence } from './sequences'
import type { Prompts } from './soft-prompt'

/** The distinct labels: each its text without blanks around it, and the tokens to say, EOS included. No two have the same tokens. */
export type LabelSet = readonly { readonly text: string; readonly ids: readonly number[] }[]

/** Every label costs slots, and one text may be there in several spellings (blanks around it make other tokens). */
const MOST_SPELLINGS = 4 * MOST_LABELS

/**
 * The labels of a data set, or null when its outputs are not few distinct labels (see metricsFitting), or one was cut short.
 * @param tokens virtual tokens in front of the stack that says them
 * @param max_positions most positions any of them may take, with virtual tokens and source; null: no limit.
 */
export function labelSet(
  sequences: readonly BuiltSequence[],
  outputs: readonly string[],
  tokens: number,
  max_positions: number | null,
): LabelSet | null {
  if (metricsFitting(outputs) !== 'labels' || sequences.some(({ truncated_target }) => truncated_target)) return null
  const labels = new Map<string, LabelSet[number]>()
  sequences.forEach(({ target }, index) => labels.set(target.join(), { text: (outputs[index] ?? '').trim(), ids: target }))
  if (labels.size > MOST_SPELLINGS) return null
  const longestSource = sequences.reduce((most, { source }) => Math.max(most, source.length), 0)
  const longest = longestOf([...labels.values()])
  const fits = max_positions === null || tokens + longestSource + longest - 1 <= max_positions
  return fits ? [...labels.values()] : null
}

/** Tokens of the longest label. */
const longestOf = (labels: LabelSet): number => labels.reduce((most, { ids }) => Math.max(most, ids.length), 0)

/** The labels of each row: those of its own task, since one task's label is no answer to another's row. null: its task has none. */
export type RowLabels = readonly (LabelSet | null)[]

/** @param tasks of each sequence, and `outputs` likewise; the rest as for labelSet */
export function rowLabels(
  sequences: readonly BuiltSequence[],
  outputs: readonly string[],
  tasks: readonly string[],
  tokens: number,
  max_positions: number | null,
): RowLabels {
  const sets = new Map<string, LabelSet | null>()
  for (const task of new Set(tasks)) {
    const own = sequences.flatMap((sequence, i) => (tasks[i] === task ? [{ sequence, output: outputs[i] ?? '' }] : []))
    sets.set(
      task,
      labelSet(
        own.map(({ sequence }) => sequence),
        own.map(({ output }) => output),
        tokens,
        max_positions,
      ),
    )
  }
  return tasks.map((task) => sets.get(task) ?? null)
}

/** Tokens of the longest label any row may be asked for; 1 where there are none. */
export const longestLabel = (labels: RowLabels): number =>
  labels.reduce((most, set) => (set ? Math.max(most, longestOf(set)) : most), 1)

/** Slots that rows need besides their own targets', for the labels' first tokens. */
export const labelSlots = (labels: RowLabels): number =>
  [...new Set(labels)].reduce((most, set) => (set ? Math.max(most, firstTokens(set).length) : most), 0)

const same = (a: readonly number[], b: readonly number[]): boolean => a.length === b.length && a.every((id, i) => id === b[i])
const total = (values: Float32Array, slots: number): number => values.subarray(0, slots).reduce((sum, x) => sum + x, 0)

/** The distinct first tokens: asked along with every row, they rule most labels out. */
export const firstTokens = (labels: LabelSet): number[] => [...new Set(labels.flatMap(({ ids }) => ids.slice(0, 1)))]

/**
 * The likeliest label of each row, by its text; null for rows without labels.
 * @param scores of each row: the slots of its own target, then one for each of its labels' `firstTokens`. A label can't be likelier than its first
 * token, so only those whose first token beats the whole own label are scored in full: exact, and after some training next to nothing.
 * @returns null when the gate closed on the way.
 */
export async function likeliestLabels(
  scorer: Scorer,
  prompts: Prompts,
  sequences: readonly BuiltSequence[],
  labels: RowLabels,
  scores: readonly RowScores[],
): Promise<readonly (string | null)[] | null> {
  const rivals = sequences.flatMap((sequence, row) => {
    const [score, own] = [scores[row], labels[row]]
    return score && own ? rivalsOf(sequence, own, score).map((rival) => ({ ...rival, row, sequence })) : []
  })
  const answers = await scoreRows(
    scorer,
    rivals.map(({ sequence, label }) => teacherForced({ ...sequence, target: label.ids }, prompts)),
  )
  if (answers === null) return null
  const best = new Map<number, { readonly text: string; readonly likelihood: number }>()
  rivals.forEach(({ row, own, label }, index) => {
    const likelihood = total(answers[index]?.log_probabilities ?? new Float32Array(0), label.ids.length)
    if (likelihood > (best.get(row)?.likelihood ?? own)) best.set(row, { text: label.text, likelihood })
  })
  return sequences.map(({ target }, row) => {
    const set = labels[row]
    return set ? (best.get(row)?.text ?? set.find(({ ids }) => same(ids, target))?.text ?? '') : null
  })
}

/** Labels that may be likelier than the row's own, with how likely that is. */
function rivalsOf({ target }: BuiltSequence, labels: LabelSet, score: RowScores) {
  const firsts = firstTokens(labels)
  const own = total(score.log_probabilities, target.length)
  return labels.flatMap((label) => {
    if (same(label.ids, target)) return []
    const first = score.log_probabilities[target.length + firsts.indexOf(label.ids[0] ?? -1)] ?? -Infinity
    return first > own ? [{ own, label }] : []
  })
}
