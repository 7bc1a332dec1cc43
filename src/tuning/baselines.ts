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

/** The instruction TEXT_PROMPT stands for: its own, else the starting text, also where the run does not start from it; null: there is none. */
function textPrompt({ baseline_text_prompt, tuning_config }: Job): string | null {
  const words = baseline_text_prompt.trim() || tuning_config.prompt_tuning_init_text.trim()
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

export interface BaselineInputs {
  readonly job: Job
  /** Held-out rows. */
  readonly rows: readonly Example[]
  /** Where solved examples come from: those of the row's own task. */
  readonly train: readonly Example[]
  /** The run's. */
  readonly limits: SequenceLimits
  readonly tokenizer: Tokenizer
  /** Tokens of the longest label that may be asked for behind a source; 1 where outputs are no labels. */
  readonly longest_label: number
}

/** How the held-out rows of a baseline are written; null when its words alone are too long to be read. */
export function baselineSequences(name: BaselineName, inputs: BaselineInputs): readonly BuiltSequence[] | null {
  const { job, rows, limits, tokenizer } = inputs
  const plain = templateOf(job.verbalizer)
  if (name === 'baseline') return rows.map((row) => builderOf(inputs)(row, plain, limits.max_source_length))
  if (name === 'few_shot') return fewShotSequences(inputs, plain)
  const words = `${textPrompt(job) ?? ''}\n`
  const wanted = limits.max_source_length + tokensIn(words, tokenizer)
  if (wanted > longestWithWords(inputs)) return null
  const most = mostTokens(inputs, wanted)
  try {
    return rows.map((row) => builderOf(inputs)(row, (input) => `${words}${plain(input)}`, most))
  } catch (error) {
    if (error instanceof TuningError) return null
    throw error
  }
}

/** Builds rows without virtual tokens, their source at most so many tokens long. */
const builderOf = ({ job, limits, tokenizer }: BaselineInputs) => {
  const build = builderFor(job, limits.kind)
  const bare = { ...limits, virtual_tokens: { encoder: 0, decoder: 0 } }
  return (row: Example, template: Template, max_source_length: number): BuiltSequence =>
    build(row, template, { ...bare, max_source_length }, tokenizer, 0)
}

/** Words in front make a source at most this long, beside those trained on: attention's memory grows with the square. */
const longestWithWords = ({ limits }: BaselineInputs): number => Math.max(4 * limits.max_source_length, 512)

const tokensIn = (text: string, tokenizer: Tokenizer): number => tokenizer.encode(text, { add_special_tokens: false }).length

/** `wanted` tokens of source, but no more than leave a causal model positions for any label behind it. */
function mostTokens({ limits, longest_label }: BaselineInputs, wanted: number): number {
  if (limits.kind !== 'causal-lm' || limits.max_positions === null) return wanted
  return Math.max(1, Math.min(wanted, limits.max_positions - longest_label + 1))
}

/** Solved examples as text in front of a source, and its tokens. */
interface Shots {
  readonly before: string
  readonly tokens: number
}

function fewShotSequences(inputs: BaselineInputs, plain: Template): readonly BuiltSequence[] {
  const { rows, limits } = inputs
  const build = builderOf(inputs)
  const shots = new Map<string, readonly Shots[]>()
  const shotsFor = (task: string): readonly Shots[] => {
    const known = shots.get(task) ?? drawShots(inputs, task, plain)
    shots.set(task, known)
    return known
  }
  const ending = limits.kind === 'causal-lm' ? plain : (input: string): string => withSign(plain(input))
  const own = limits.max_source_length
  return rows.map((row) => {
    // With as many of them as fit without cutting the row's own input or answer.
    for (const { before, tokens } of shotsFor(row.task ?? '')) {
      const most = mostTokens(inputs, Math.min(own + tokens, longestWithWords(inputs)))
      if (tokens >= most) continue
      try {
        const built = build(row, (input) => `${before}${ending(input)}`, most)
        if (!built.truncated_source && !built.truncated_target) return built
      } catch (error) {
        // Examples and template alone are longer than that.
        if (!(error instanceof TuningError)) throw error
      }
    }
    return build(row, ending, mostTokens(inputs, own))
  })
}

/** The task's solved examples, drawn by seed: all of them, one fewer, ..., the first alone. Those longer than a row of training are left out. */
function drawShots({ job, train, limits, tokenizer }: BaselineInputs, task: string, plain: Template): readonly Shots[] {
  const own = train.filter((row) => (row.task ?? '') === task)
  const most = limits.max_source_length + limits.max_target_length
  const lines = new Random(job.seed, `few-shot ${task}`)
    .shuffled(own)
    .slice(0, job.few_shot_examples)
    .map((example) => `${lineOf(limits.kind, plain, example)}\n`)
    .map((line) => ({ line, tokens: tokensIn(line, tokenizer) }))
    .filter(({ tokens }) => tokens <= most)
  return lines.map((_, left_out) => {
    const used = lines.slice(0, lines.length - left_out)
    return { before: used.map(({ line }) => line).join(''), tokens: used.reduce((sum, { tokens }) => sum + tokens, 0) }
  })
}
