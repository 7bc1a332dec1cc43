/**
 * What a tuned prompt has to beat, with words alone: an instruction in front of the source, or solved examples. Each is a way to write the
 * source; the untuned model reads it without virtual tokens.
 */
import type { Job } from '../job/parameters'
import type { Example } from '../job/records'
import type { BaselineName } from '../library/prompt-record'
import { TuningError } from './errors'
import { Random } from './random'
import { builderFor, templateOf } from './sequences'
import type { BuiltSequence, SequenceLimits, Template } from './sequences'
import type { Tokenizer } from './tokenizer'

/** The instruction TEXT_PROMPT stands for; null: there is none. */
export function textPrompt({ baseline_text_prompt, tuning_config }: Job): string | null {
  const { prompt_tuning_init_method: method, prompt_tuning_init_text: text } = tuning_config
  const words = baseline_text_prompt.trim() || (method === 'TEXT' ? text.trim() : '')
  return words === '' ? null : words
}

/** The baselines a job asks for and that can be had. */
export function baselinesOf(job: Job): readonly BaselineName[] {
  const wanted: BaselineName[] = []
  if (job.baselines.includes('UNTUNED')) wanted.push('baseline')
  if (job.baselines.includes('TEXT_PROMPT') && textPrompt(job) !== null) wanted.push('text_prompt')
  if (job.baselines.includes('FEW_SHOT')) wanted.push('few_shot')
  return wanted
}

/**
 * A solved example as a line. A causal model goes on writing where the line breaks off, so source and target follow each other as in
 * training. An encoder reads the whole list; there an arrow tells them apart, unless the template ends with such a sign itself.
 */
function lineOf(kind: SequenceLimits['kind'], template: Template, { input, output }: Example): string {
  const source = template(input)
  if (kind === 'causal-lm') return `${source}${output}`
  return `${withSign(source)} ${output}`
}

const withSign = (source: string): string => (/[:>=?]\s*$/.test(source) ? source.trimEnd() : `${source} ->`)

/**
 * How the held-out rows of a baseline are written.
 * @param train where solved examples come from, those of the row's own task.
 * @param longest_label tokens of the longest label: any of them may be asked behind any row. 0 where outputs are no labels.
 * @throws TuningError when an instruction does not fit the model.
 */
export function baselineSequences(
  name: BaselineName,
  job: Job,
  rows: readonly Example[],
  train: readonly Example[],
  limits: SequenceLimits,
  tokenizer: Tokenizer,
  longest_label: number,
): readonly BuiltSequence[] {
  const build = builderFor(job, limits.kind)
  const plain = templateOf(job.verbalizer)
  // Words are no virtual tokens, and may be longer than a source: what the model has positions for is the limit.
  const room =
    limits.kind === 'causal-lm' && limits.max_positions !== null
      ? limits.max_positions - Math.max(0, longest_label - 1)
      : Infinity
  const wide = { ...limits, max_source_length: room, virtual_tokens: { encoder: 0, decoder: 0 } }
  if (name === 'baseline') {
    return rows.map((row) => build(row, plain, { ...limits, virtual_tokens: wide.virtual_tokens }, tokenizer, 0))
  }
  if (name === 'text_prompt') {
    const words = textPrompt(job) ?? ''
    try {
      return rows.map((row) => build(row, (input) => `${words}\n${plain(input)}`, wide, tokenizer, 0))
    } catch (error) {
      if (error instanceof TuningError) throw tooManyWords(words)
      throw error
    }
  }
  const shots = new Map<string, readonly string[]>()
  const shotsFor = (task: string | undefined): readonly string[] => {
    const key = task ?? ''
    const known =
      shots.get(key) ??
      drawShots(
        job,
        key,
        train.filter((row) => (row.task ?? '') === key),
        limits.kind,
        plain,
      )
    shots.set(key, known)
    return known
  }
  const ending = limits.kind === 'causal-lm' ? plain : (input: string): string => withSign(plain(input))
  return rows.map((row) => fitShots(shotsFor(row.task), ending, (template) => build(row, template, wide, tokenizer, 0)))
}

const tooManyWords = (words: string): TuningError =>
  new TuningError(
    `The instruction to compare with, ${JSON.stringify(words.slice(0, 60))}, is longer than what the model has positions for.`,
    'Give a shorter baseline_text_prompt, or leave TEXT_PROMPT out of baselines.',
  )

function drawShots(job: Job, task: string, train: readonly Example[], kind: SequenceLimits['kind'], plain: Template): string[] {
  const random = new Random(job.seed, `few-shot ${task}`)
  return random
    .shuffled(train)
    .slice(0, job.few_shot_examples)
    .map((example) => lineOf(kind, plain, example))
}

/** With as many of the solved examples as fit without cutting the row's own input, or more of its target than is cut anyway. */
function fitShots(shots: readonly string[], ending: Template, build: (template: Template) => BuiltSequence): BuiltSequence {
  const bare = build(ending)
  for (let used = shots.length; used > 0; used--) {
    const before = shots.slice(0, used).map((shot) => `${shot}\n`)
    try {
      const built = build((input) => `${before.join('')}${ending(input)}`)
      if (!built.truncated_source && built.target.length === bare.target.length) return built
    } catch (error) {
      // The examples alone are longer than the model reads.
      if (!(error instanceof TuningError)) throw error
    }
  }
  return bare
}
