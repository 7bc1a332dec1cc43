/**
 * The tuned prompt beside what it has to beat, in words: who takes part, and who was best. It measures nothing itself. Pure.
 */
import type { Job } from '../../job/parameters'
import type { BaselineName, Evaluation, TuneReport } from '../../library/prompt-record'
import { percent, plural } from './format'

export interface Contestant {
  readonly key: BaselineName | 'tuned'
  readonly name: string
  /** What it is, in a sentence. */
  readonly about: string
  readonly evaluation: Evaluation
  /** Held-out rows with exactly the expected answer, and all of them. */
  readonly right: number
  readonly rows: number
}

/** The words that stand in front for TEXT_PROMPT. */
function instructionOf({ baseline_text_prompt, tuning_config }: Job): string {
  const { prompt_tuning_init_method: method, prompt_tuning_init_text: text } = tuning_config
  return baseline_text_prompt.trim() || (method === 'TEXT' ? text.trim() : '')
}

const LONGEST = 120
const quoted = (text: string): string => `“${text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text}”`

type Reported = Pick<TuneReport, BaselineName | 'tuned'>

/** Those that were measured, the tuned prompt last. @param job null: not known */
export function contestants(report: Reported, job: Job | null): readonly Contestant[] {
  const words = job ? instructionOf(job) : ''
  const shots = job ? plural(job.few_shot_examples, 'example') : 'examples'
  const all = [
    { key: 'baseline', name: 'Untuned', about: 'The model as it is.' },
    {
      key: 'text_prompt',
      name: 'With an instruction',
      about: `The model as it is, with ${words === '' ? 'an instruction in words' : quoted(words)} in front.`,
    },
    {
      key: 'few_shot',
      name: `With ${shots}`,
      about: `The model as it is, with ${shots} and their outputs in front (fewer where they do not fit).`,
    },
    { key: 'tuned', name: 'Tuned', about: 'The model with the tuned virtual tokens in front.' },
  ] as const
  return all.flatMap(({ key, name, about }) => {
    const evaluation = report[key]
    if (!evaluation) return []
    const right = evaluation.predictions.filter(({ exact }) => exact).length
    return [{ key, name, about, evaluation, right, rows: evaluation.predictions.length }]
  })
}

/** How good, by what counts most: exact answers; where none or all are equal, what comes close. */
function compare(a: Contestant, b: Contestant): number {
  const [x, y] = [a.evaluation.metrics, b.evaluation.metrics]
  return (
    x.exact_match - y.exact_match ||
    (x.label_accuracy ?? 0) - (y.label_accuracy ?? 0) ||
    (x.macro_f1 ?? 0) - (y.macro_f1 ?? 0) ||
    (x.rouge_l ?? 0) - (y.rouge_l ?? 0)
  )
}

/** How it is called in the middle of a sentence. */
const inWords = ({ key, name }: Contestant): string =>
  key === 'baseline' ? 'the untuned model' : key === 'tuned' ? 'the tuned prompt' : `the untuned model ${name.toLowerCase()}`

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

/** Close calls by another measure, where exact answers say nothing. */
function closeness(one: Contestant): string {
  const { label_accuracy, rouge_l } = one.evaluation.metrics
  if (label_accuracy !== null) return `label accuracy ${percent(label_accuracy)}`
  return rouge_l === null ? `${one.right} of ${one.rows}` : `ROUGE-L ${percent(rouge_l)}`
}

/** Which was best, in a sentence or two; '' when the tuned prompt was not measured. */
export function verdict(all: readonly Contestant[]): string {
  const tuned = all.find(({ key }) => key === 'tuned')
  if (!tuned) return ''
  const others = all.filter((one) => one !== tuned)
  const rival = others.reduce<Contestant | null>((best, one) => (best === null || compare(one, best) > 0 ? one : best), null)
  const rows = plural(tuned.rows, 'held-out row')
  if (rival === null) return `The tuned prompt gets ${tuned.right} of ${rows} right.`
  const byExact = tuned.right !== rival.right
  const measured = (one: Contestant): string => (byExact ? String(one.right) : closeness(one))
  const lead = compare(tuned, rival)
  if (lead === 0) {
    const none = tuned.right === 0 ? ' Neither has learned the task; more epochs or more examples may help.' : ''
    return `The tuned prompt does no better than ${inWords(rival)}: both get ${tuned.right} of ${rows} right.${none}`
  }
  const [first, second] = lead > 0 ? [tuned, rival] : [rival, tuned]
  const result = byExact
    ? `${first.right} of ${rows} right, against ${second.right} by ${inWords(second)}`
    : `${first.right} of ${rows} right like ${inWords(second)}, but ${measured(first)} against ${measured(second)}`
  const advice = lead > 0 ? '' : ' More epochs, more examples or more virtual tokens may help.'
  return `${capital(inWords(first))} was best: ${result}.${advice}`
}

/** What there is without a prompt, in a few words: the untuned model, and whoever beats it: "untuned 0 %, with 4 examples 63 %". */
export function withoutPrompt(report: Omit<Reported, 'tuned'>, job: Job | null): string {
  const rivals = contestants({ ...report, tuned: null }, job)
  const untuned = rivals.find(({ key }) => key === 'baseline')
  const best = rivals.reduce((best, one) => (best === undefined || compare(one, best) > 0 ? one : best), untuned)
  return [...new Set([untuned, best])]
    .flatMap((one) => (one ? [`${one.name.toLowerCase()} ${percent(one.evaluation.metrics.exact_match)}`] : []))
    .join(', ')
}

export interface TaskRow {
  readonly task: string
  readonly rows: number
  readonly untuned: Evaluation['metrics'] | null
  readonly tuned: Evaluation['metrics']
}

/** The tasks one by one, where examples name several. */
export function taskRows(report: Reported): readonly TaskRow[] {
  return (report.tuned?.tasks ?? []).map(({ task, rows, metrics }) => ({
    task,
    rows,
    tuned: metrics,
    untuned: report.baseline?.tasks.find((other) => other.task === task)?.metrics ?? null,
  }))
}
