/**
 * From an example to tokens: the verbalized source the model reads, and the target it has to say, which ends with EOS. A causal model
 * reads the source before the target; an encoder-decoder reads it in the encoder, and its decoder begins with the start token.
 *
 * Like caikit-nlp's hf_auto_causal_lm.py and hf_auto_seq2seq_lm.py in what stands where (source, target, EOS; only the target is learned),
 * unlike them in three points: too long a source is cut at the end of the *input*, not of the template around it; a causal target is
 * encoded without special tokens, so no BOS lands in the middle; EOS always survives. `preset: "caikit"` builds sequences upstream's way
 * instead.
 */
import type { Job } from '../job/parameters'
import type { Example } from '../job/records'
import { renderVerbalizer } from '../job/verbalizer'
import type { VirtualTokens } from './assemble'
import { TuningError } from './errors'
import type { Tokenizer } from './tokenizer'

export interface TokenSequence {
  /** What the encoder reads, at least one token; null on a causal model. */
  readonly encoder: readonly number[] | null
  /** What stands before the target in the stack that says it, at least one token: the source, or a decoder's start token. */
  readonly source: readonly number[]
  /** What is learned: the target's tokens and EOS. The last one is never fed to the model. */
  readonly target: readonly number[]
  /** Index of the task it belongs to; 0 where there is one. */
  readonly task: number
}

export interface BuiltSequence extends TokenSequence {
  readonly truncated_source: boolean
  readonly truncated_target: boolean
}

/** What a sequence has to be built for. */
export interface SequenceLimits {
  readonly kind: 'causal-lm' | 'seq2seq'
  readonly max_source_length: number
  readonly max_target_length: number
  readonly virtual_tokens: VirtualTokens
  readonly max_positions: number | null
}

export const limitsOf = (
  { max_source_length, max_target_length }: Pick<Job, 'max_source_length' | 'max_target_length'>,
  { kind, max_positions, virtual_tokens }: Pick<SequenceLimits, 'kind' | 'max_positions' | 'virtual_tokens'>,
): SequenceLimits => ({ kind, max_source_length, max_target_length, virtual_tokens, max_positions })

/** Puts an input into the text the model reads. */
export type Template = (input: string) => string

export const templateOf =
  (verbalizer: string): Template =>
  (input) =>
    renderVerbalizer(verbalizer, input)

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
function fitSource(template: Template, input: string, limit: number, tokenizer: Tokenizer): Fitted | null {
  const encode = (length: number): readonly number[] =>
    tokenizer.encode(template(cut(input, length)), { add_special_tokens: true })
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

const templateTooLong = (template: Template, limit: number): TuningError =>
  new TuningError(
    `The template ${JSON.stringify(template('{{input}}').slice(0, 60))} alone has more than the ${limit} tokens a source may have here.`,
    'Raise max_source_length, shorten the verbalizer, or use fewer virtual tokens.',
  )

/** What a stack has positions for behind its virtual tokens. @throws TuningError when that is no room for text. */
function roomFor({ max_positions, virtual_tokens }: SequenceLimits, stack: keyof VirtualTokens): number {
  if (max_positions === null) return Infinity
  const room = max_positions - virtual_tokens[stack]
  if (room >= 2) return room
  const most = Math.max(0, max_positions - 2)
  throw new TuningError(
    `tuning_config.num_virtual_tokens is ${virtual_tokens[stack]}, but the model has ${max_positions} positions for virtual tokens and text together.`,
    `Give at most ${most}, and leave room for the text.`,
  )
}

/**
 * The source for generating: as in training; on a causal model it leaves room for `new_tokens` in the positions.
 * @throws TuningError when the template alone is too long.
 */
export function buildSource(
  template: Template,
  input: string,
  limits: SequenceLimits,
  tokenizer: Tokenizer,
  new_tokens = 1,
): Fitted {
  const { kind, max_positions, max_source_length, virtual_tokens } = limits
  const taken = kind === 'causal-lm' ? virtual_tokens.decoder + new_tokens : virtual_tokens.encoder
  const limit = Math.min(max_source_length, max_positions === null ? Infinity : max_positions - taken)
  const source = limit >= 1 ? fitSource(template, input, limit, tokenizer) : null
  if (source === null) throw templateTooLong(template, Math.max(0, limit))
  return { ids: nonEmpty(source.ids, tokenizer), truncated: source.truncated }
}

type Build = (example: Example, template: Template, limits: SequenceLimits, tokenizer: Tokenizer, task: number) => BuiltSequence

/**
 * One example as tokens. Where a causal model's positions are too few for source and target, the target gives way down to half of them, then
 * the source's input.
 * @throws TuningError when the template alone is too long, or the virtual tokens leave no room.
 */
export const buildSequence: Build = (example, template, limits, tokenizer, task) =>
  (limits.kind === 'causal-lm' ? buildCausal : buildSeq2Seq)(example, template, limits, tokenizer, task)

const buildCausal: Build = (example, template, limits, tokenizer, task) => {
  const room = roomFor(limits, 'decoder')
  const source = fitSource(template, example.input, Math.min(limits.max_source_length, room), tokenizer)
  if (source === null) throw templateTooLong(template, Math.min(limits.max_source_length, room))
  const wanted = tokenizer.encode(example.output, { add_special_tokens: false })
  const targetRoom = Math.max(room - Math.max(1, source.ids.length), Math.floor(room / 2))
  const kept = wanted.slice(0, Math.min(limits.max_target_length, targetRoom))
  const sourceRoom = room - kept.length
  const fitted = source.ids.length <= sourceRoom ? source : fitSource(template, example.input, sourceRoom, tokenizer)
  if (fitted === null) throw templateTooLong(template, sourceRoom)
  return {
    encoder: null,
    source: nonEmpty(fitted.ids, tokenizer),
    target: [...kept, tokenizer.eos_token_id],
    task,
    truncated_source: fitted.truncated,
    truncated_target: kept.length < wanted.length,
  }
}

/**
 * The target keeps the special tokens its tokenizer gives it (a BOS for BART, a language for M2M): the decoder says them, too. Spaces in front
 * go: they part an answer from the source before it, and a decoder has none.
 */
const buildSeq2Seq: Build = (example, template, limits, tokenizer, task) => {
  const limit = Math.min(limits.max_source_length, roomFor(limits, 'encoder'))
  const source = fitSource(template, example.input, limit, tokenizer)
  if (source === null) throw templateTooLong(template, limit)
  const wanted = withoutEos(tokenizer.encode(example.output.replace(/^ +/, ''), { add_special_tokens: true }), tokenizer)
  // The start token takes a position, and EOS is predicted but not fed.
  const kept = wanted.slice(0, Math.min(limits.max_target_length, roomFor(limits, 'decoder') - 1))
  return {
    encoder: nonEmpty(source.ids, tokenizer),
    source: [startToken(tokenizer)],
    target: [...kept, tokenizer.eos_token_id],
    task,
    truncated_source: source.truncated,
    truncated_target: kept.length < wanted.length,
  }
}

const withoutEos = (ids: readonly number[], { eos_token_id }: Tokenizer): readonly number[] =>
  ids.at(-1) === eos_token_id ? ids.slice(0, -1) : ids

/** What transformers' shift_right begins with: decoder_start_token_id. */
function startToken({ decoder_start_token_id, pad_token_id }: Tokenizer): number {
  const id = decoder_start_token_id ?? pad_token_id
  if (id !== null) return id
  throw new TuningError('The model names no decoder_start_token_id.', 'Add it to its config.json, or pick another model.')
}

/**
 * Upstream's way (`_causal_lm_padding_as_seq2seq`): source and target both with special tokens, cut on the right to S and T+1 tokens, EOS
 * appended, everything cut to S+T+1, which can take EOS off again.
 */
const buildCaikitCausal: Build = (example, template, limits, tokenizer, task) => {
  const room = roomFor(limits, 'decoder')
  const encode = (text: string): readonly number[] => tokenizer.encode(text, { add_special_tokens: true })
  const allSource = nonEmpty(encode(template(example.input)), tokenizer)
  const allTarget = encode(example.output)
  const source = allSource.slice(0, Math.min(limits.max_source_length, room - 1))
  const total = Math.min(limits.max_source_length + limits.max_target_length + 1, room + 1)
  const target = [...allTarget.slice(0, limits.max_target_length + 1), tokenizer.eos_token_id].slice(0, total - source.length)
  return {
    encoder: null,
    source,
    target,
    task,
    truncated_source: source.length < allSource.length,
    truncated_target: target.length < allTarget.length + 1,
  }
}

/** Upstream's way (`hf_auto_seq2seq_lm.tokenize_function`): both cut on the right to S and T tokens, in which the tokenizer's own EOS survives; none is added. */
const buildCaikitSeq2Seq: Build = (example, template, limits, tokenizer, task) => {
  const encode = (text: string): readonly number[] => tokenizer.encode(text, { add_special_tokens: true })
  const cutTo = (ids: readonly number[], limit: number): readonly number[] => {
    if (ids.length <= limit) return ids
    const ends = ids.at(-1) === tokenizer.eos_token_id
    return ends ? [...ids.slice(0, limit - 1), tokenizer.eos_token_id] : ids.slice(0, limit)
  }
  const [source, target] = [nonEmpty(encode(template(example.input)), tokenizer), nonEmpty(encode(example.output), tokenizer)]
  const encoder = cutTo(source, Math.min(limits.max_source_length, roomFor(limits, 'encoder')))
  const labels = cutTo(target, Math.min(limits.max_target_length, roomFor(limits, 'decoder')))
  return {
    encoder,
    source: [startToken(tokenizer)],
    target: labels,
    task,
    truncated_source: encoder.length < source.length,
    truncated_target: labels.length < target.length,
  }
}

/** How a job builds its sequences. */
export function builderFor(job: Pick<Job, 'preset'>, kind: SequenceLimits['kind']): Build {
  if (job.preset !== 'caikit') return buildSequence
  return kind === 'causal-lm' ? buildCaikitCausal : buildCaikitSeq2Seq
}
