/**
 * From an example to tokens: the verbalized source the model reads, and the target it has to say, which ends with EOS.
 *
 * Like caikit-nlp's hf_auto_causal_lm.py in what stands where (source, target, EOS; only the target is learned), unlike it in three
 * points: too long a source is cut at the end of the *input*, not of the template around it; the target is encoded without special
 * tokens, so no BOS lands in the middle; EOS always survives. `preset: "caikit"` builds sequences upstream's way instead.
 */
import type { Job } from '../job/parameters'
import type { Example } from '../job/records'
import { renderVerbalizer } from '../job/verbalizer'
import { TuningError } from './errors'
import type { Tokenizer } from './tokenizer'

export interface TokenSequence {
  /** At least one token. */
  readonly source: readonly number[]
  /** What is learned: the target's tokens and EOS. The last one is never fed to the model. */
  readonly target: readonly number[]
}

export interface BuiltSequence extends TokenSequence {
  readonly truncated_source: boolean
  readonly truncated_target: boolean
}

export interface SequenceLimits {
  readonly max_source_length: number
  readonly max_target_length: number
  readonly num_virtual_tokens: number
  readonly max_positions: number | null
}

export const limitsOf = (job: Job, max_positions: number | null): SequenceLimits => ({
  max_source_length: job.max_source_length,
  max_target_length: job.max_target_length,
  num_virtual_tokens: job.tuning_config.num_virtual_tokens,
  max_positions,
})

/** Positions a sequence takes after the virtual tokens: EOS, and whatever the last label is, is predicted but not fed. */
export const positionsOf = ({ source, target }: TokenSequence): number => source.length + target.length - 1

/** Characters a token may cover, for a first guess where to cut; any value is right, this one is quick. */
const CHARACTERS_PER_TOKEN = 8

/** The first `length` UTF-16 units, one fewer where that would split a surrogate pair. */
function cut(text: string, length: number): string {
  const last = text.charCodeAt(length - 1)
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? length - 1 : length)
}

interface Fitted {
  readonly ids: readonly number[]
  readonly truncated: boolean
}

/** The source, its input shortened from the end until all of it has at most `limit` tokens; null when the template alone has more. */
function fitSource(verbalizer: string, input: string, limit: number, tokenizer: Tokenizer): Fitted | null {
  const encode = (length: number): readonly number[] =>
    tokenizer.encode(renderVerbalizer(verbalizer, cut(input, length)), { add_special_tokens: true })
  // Gallop up, so that the cost goes with the limit and not with the length of a hostile input.
  let fits = 0
  let tooLong = Math.min(input.length, limit * CHARACTERS_PER_TOKEN)
  for (;;) {
    const ids = encode(tooLong)
    if (ids.length > limit) break
    if (tooLong === input.length) return { ids, truncated: false }
    fits = tooLong
    tooLong = Math.min(input.length, tooLong * 2)
  }
  while (tooLong - fits > 1) {
    const middle = (fits + tooLong) >> 1
    if (encode(middle).length <= limit) fits = middle
    else tooLong = middle
  }
  const ids = encode(fits)
  return ids.length <= limit ? { ids, truncated: true } : null
}

/** A model has to read something before it can say anything. */
function nonEmpty(ids: readonly number[], tokenizer: Tokenizer): readonly number[] {
  return ids.length > 0 ? ids : [tokenizer.bos_token_id ?? tokenizer.eos_token_id]
}

const templateTooLong = (verbalizer: string, limit: number): TuningError =>
  new TuningError(
    `The template ${JSON.stringify(verbalizer.slice(0, 60))} alone has more than the ${limit} tokens a source may have here.`,
    'Raise max_source_length, shorten the verbalizer, or use fewer virtual tokens.',
  )

/**
 * The source for generating: as in training, leaving room for `new_tokens` in the model's positions.
 * @throws TuningError when the template alone is too long.
 */
export function buildSource(
  verbalizer: string,
  input: string,
  limits: SequenceLimits,
  tokenizer: Tokenizer,
  new_tokens = 1,
): Fitted {
  const room = limits.max_positions === null ? Infinity : limits.max_positions - limits.num_virtual_tokens - new_tokens
  const limit = Math.min(limits.max_source_length, room)
  const source = limit >= 1 ? fitSource(verbalizer, input, limit, tokenizer) : null
  if (source === null) throw templateTooLong(verbalizer, Math.max(0, limit))
  return { ids: nonEmpty(source.ids, tokenizer), truncated: source.truncated }
}

/** @throws TuningError when the virtual tokens leave no room for text. */
function roomFor(limits: SequenceLimits): number {
  if (limits.max_positions === null) return Infinity
  const room = limits.max_positions - limits.num_virtual_tokens
  if (room >= 2) return room
  const most = Math.max(0, limits.max_positions - 2)
  throw new TuningError(
    `tuning_config.num_virtual_tokens is ${limits.num_virtual_tokens}, but the model has ${limits.max_positions} positions for virtual tokens and text together.`,
    `Give at most ${most}, and leave room for the text.`,
  )
}

/**
 * One example as tokens. Where the model's positions are too few for source and target, the target gives way down to half of them, then the
 * source's input.
 * @throws TuningError when the template alone is too long, or the virtual tokens leave no room.
 */
export function buildSequence(example: Example, verbalizer: string, limits: SequenceLimits, tokenizer: Tokenizer): BuiltSequence {
  const room = roomFor(limits)
  const source = fitSource(verbalizer, example.input, Math.min(limits.max_source_length, room), tokenizer)
  if (source === null) throw templateTooLong(verbalizer, Math.min(limits.max_source_length, room))
  const wanted = tokenizer.encode(example.output, { add_special_tokens: false })
  const targetRoom = Math.max(room - Math.max(1, source.ids.length), Math.floor(room / 2))
  const kept = wanted.slice(0, Math.min(limits.max_target_length, targetRoom))
  const sourceRoom = room - kept.length
  const fitted = source.ids.length <= sourceRoom ? source : fitSource(verbalizer, example.input, sourceRoom, tokenizer)
  if (fitted === null) throw templateTooLong(verbalizer, sourceRoom)
  return {
    source: nonEmpty(fitted.ids, tokenizer),
    target: [...kept, tokenizer.eos_token_id],
    truncated_source: fitted.truncated,
    truncated_target: kept.length < wanted.length,
  }
}

/**
 * Upstream's way (`_causal_lm_padding_as_seq2seq`): source and target both with special tokens, cut on the right to S and T+1 tokens, EOS
 * appended, everything cut to S+T+1, which can take EOS off again.
 */
function buildCaikitSequence(example: Example, verbalizer: string, limits: SequenceLimits, tokenizer: Tokenizer): BuiltSequence {
  const room = roomFor(limits)
  const encode = (text: string): readonly number[] => tokenizer.encode(text, { add_special_tokens: true })
  const allSource = nonEmpty(encode(renderVerbalizer(verbalizer, example.input)), tokenizer)
  const allTarget = encode(example.output)
  const source = allSource.slice(0, Math.min(limits.max_source_length, room - 1))
  const total = Math.min(limits.max_source_length + limits.max_target_length + 1, room + 1)
  const target = [...allTarget.slice(0, limits.max_target_length + 1), tokenizer.eos_token_id].slice(0, total - source.length)
  return {
    source,
    target,
    truncated_source: source.length < allSource.length,
    truncated_target: target.length < allTarget.length + 1,
  }
}

/** All examples of a job as tokens, in their order. Errors name the row. */
export function buildSequences(
  examples: readonly Example[],
  job: Job,
  max_positions: number | null,
  tokenizer: Tokenizer,
): BuiltSequence[] {
  const limits = limitsOf(job, max_positions)
  const build = job.preset === 'caikit' ? buildCaikitSequence : buildSequence
  return examples.map((example) => build(example, job.verbalizer, limits, tokenizer))
}
