/**
 * Greedy decoding of many rows with nothing but `score`: the next token is asked at the end of each row, in batches of the rows still
 * unfinished. The expected target serves as a draft: one teacher-forced pass gives all tokens up to and including the first
 * that differs, exactly as decoding one by one would, so rows the prompt gets right cost a single pass.
 */
import type { Prediction } from '../library/prompt-record'
import type { Example } from '../job/records'
import type { RowQuery } from './assemble'
import { exactMatch } from './metrics'
import { scoreRows } from './score'
import type { RowScores, Scorer } from './score'
import type { TokenSequence } from './sequences'
import type { Prompts } from './soft-prompt'
import type { Tokenizer } from './tokenizer'

interface Row {
  readonly index: number
  readonly sequence: TokenSequence
  readonly said: number[]
}

/** The greedy tokens a teacher-forced row settles: its target as far as it is followed, and the first token that isn't. */
function draftTokens(target: readonly number[], scores: RowScores): number[] {
  const said: number[] = []
  for (const [slot, id] of target.entries()) {
    const greedy = scores.greedy_ids[slot]
    if (greedy === undefined) break
    said.push(greedy)
    if (greedy !== id) break
  }
  return said
}

/**
 * What the model says after each source.
 * @param drafts scores of each row's own target (see teacherForced).
 * @param max_new_tokens most tokens a row may say, EOS included.
 * @param worthwhile asked before a row is continued; rows it refuses stay as they are. Without it all rows are decoded to their end.
 * @returns in the rows' order, EOS included where it was said; null when the gate closed on the way.
 */
export async function greedyTokens(
  scorer: Scorer,
  prompts: Prompts,
  sequences: readonly TokenSequence[],
  drafts: readonly RowScores[],
  max_new_tokens: number,
  eos_token_id: number,
  worthwhile: (row: number, said: readonly number[]) => boolean = () => true,
): Promise<number[][] | null> {
  const before = ({ source, task }: TokenSequence): number =>
    prompts(task).decoder.length / scorer.model.hidden_size + source.length
  const positions = scorer.model.max_positions ?? Infinity
  const rows: Row[] = sequences.map((sequence, index) => {
    const draft = drafts[index]
    return { index, sequence, said: draft ? draftTokens(sequence.target, draft).slice(0, max_new_tokens) : [] }
  })
  const goesOn = ({ index, sequence, said }: Row): boolean =>
    said.at(-1) !== eos_token_id &&
    said.length < max_new_tokens &&
    before(sequence) + said.length <= positions &&
    worthwhile(index, said)
  const longestSource = sequences.reduce((most, sequence) => Math.max(most, before(sequence)), 0)
  const longest = Math.min(positions, longestSource + max_new_tokens)
  for (let open = rows.filter(goesOn); open.length > 0; open = open.filter(goesOn)) {
    const queries = open.map(({ sequence, said }): RowQuery => {
      const fed = [...sequence.source, ...said]
      return { prompt: prompts(sequence.task), encoder: sequence.encoder, fed, slots: [{ at: fed.length - 1, id: 0 }] }
    })
    const scores = await scoreRows(scorer, queries, longest)
    if (scores === null) return null
    open.forEach(({ said }, i) => said.push(scores[i]?.greedy_ids[0] ?? eos_token_id))
  }
  return rows.map(({ said }) => said)
}

/** Exact: the model came to an end by itself, and its text is the expected one but for blanks around it. */
export function toPrediction(
  { output }: Example,
  said: readonly number[],
  tokenizer: Tokenizer,
): Pick<Prediction, 'predicted' | 'exact'> {
  const ended = said.at(-1) === tokenizer.eos_token_id
  const predicted = tokenizer.decode(ended ? said.slice(0, -1) : said, { skip_special_tokens: true }).trim()
  return { predicted, exact: ended && exactMatch(predicted, output) }
}

/** Whether what was said so far can still become the expected text; half a character at the end is given the benefit of the doubt. */
export function canBecomeExact({ output }: Example, said: readonly number[], tokenizer: Tokenizer): boolean {
  const text = tokenizer.decode(said, { skip_special_tokens: true }).replace(/\uFFFD+$/, '')
  return output.trim().startsWith(text.trim())
}
