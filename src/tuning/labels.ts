/**
 * Label accuracy: on classification-like data, is a row's own label the likeliest of all labels? Unlike exact match it doesn't ask
 * the model to say the label unprompted, so it shows what was learned earlier and can be compared with chance.
 */
import { MOST_LABELS, ROWS_PER_LABEL } from './metrics'
import { scoreRows } from './score'
import type { RowScores, Scorer } from './score'
import type { BuiltSequence } from './sequences'

/** The distinct labels: each the tokens to say, EOS included. */
export type LabelSet = readonly (readonly number[])[]

/**
 * The labels of a data set, or null when its outputs are not few distinct labels: two to sixteen, each seen about three times, none cut short.
 * @param longest most positions any of them may take, with prompt and source; null: no limit.
 */
export function labelSet(
  sequences: readonly BuiltSequence[],
  outputs: readonly string[],
  num_virtual_tokens: number,
  max_positions: number | null,
): LabelSet | null {
  const labels = new Map<string, readonly number[]>()
  let longestSource = 0
  for (const [index, sequence] of sequences.entries()) {
    if (sequence.truncated_target) return null
    longestSource = Math.max(longestSource, sequence.source.length)
    labels.set(outputs[index] ?? '', sequence.target)
    if (labels.size > MOST_LABELS) return null
  }
  if (labels.size < 2 || labels.size * ROWS_PER_LABEL > sequences.length) return null
  const longest = Math.max(...[...labels.values()].map((label) => label.length))
  const fits = max_positions === null || num_virtual_tokens + longestSource + longest - 1 <= max_positions
  return fits ? [...labels.values()] : null
}

const same = (a: readonly number[], b: readonly number[]): boolean => a.length === b.length && a.every((id, i) => id === b[i])
const total = (values: Float32Array, slots: number): number => values.subarray(0, slots).reduce((sum, x) => sum + x, 0)

/** The distinct first tokens: asked along with every row, they rule most labels out. */
export const firstTokens = (labels: LabelSet): number[] => [...new Set(labels.flatMap((label) => label.slice(0, 1)))]

/**
 * The share of rows whose own label is the likeliest.
 * @param scores of each row: the slots of its own target, then one for each of `firstTokens`. A label can't be likelier than its first token, so
 * only those whose first token beats the whole own label are scored in full: exact, and after some training next to nothing.
 * @returns null when the gate closed on the way.
 */
export async function labelAccuracy(
  scorer: Scorer,
  prompt: Float32Array,
  sequences: readonly BuiltSequence[],
  labels: LabelSet,
  scores: readonly RowScores[],
): Promise<number | null> {
  const firsts = firstTokens(labels)
  const rivals = sequences.flatMap((sequence, row) => {
    const score = scores[row]
    if (!score) return []
    const own = total(score.log_probabilities, sequence.target.length)
    return labels.flatMap((label) => {
      if (same(label, sequence.target)) return []
      const first = score.log_probabilities[sequence.target.length + firsts.indexOf(label[0] ?? -1)] ?? -Infinity
      return first > own ? [{ row, own, label, source: sequence.source }] : []
    })
  })
  const answers = await scoreRows(
    scorer,
    prompt,
    rivals.map(({ source, label }) => ({
      fed: [...source, ...label.slice(0, -1)],
      slots: label.map((id, k) => ({ at: source.length - 1 + k, id })),
    })),
  )
  if (answers === null) return null
  const beaten = new Set<number>()
  rivals.forEach(({ row, own, label }, index) => {
    const answer = answers[index]
    if (answer && total(answer.log_probabilities, label.length) > own) beaten.add(row)
  })
  return (sequences.length - beaten.size) / sequences.length
}
