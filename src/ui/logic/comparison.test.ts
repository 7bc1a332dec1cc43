import { describe, expect, it } from 'vitest'
import { checkJob } from '../../job/check-job'
import type { Evaluation, Metrics } from '../../library/prompt-record'
import { contestants, taskRows, verdict, withoutPrompt } from './comparison'
import { everyMeasure, rateMeasures } from './measures'

const METRICS: Metrics = {
  loss: 1,
  perplexity: Math.E,
  exact_match: 0,
  label_accuracy: null,
  macro_f1: null,
  rouge_l: null,
  token_f1: null,
}

function evaluation(right: number, rows: number, more: Partial<Metrics> = {}, tasks: Evaluation['tasks'] = []): Evaluation {
  const predictions = Array.from({ length: rows }, (_, i) => ({
    input: `${i}`,
    expected: 'x',
    predicted: i < right ? 'x' : 'y',
    exact: i < right,
    task: null,
  }))
  return { metrics: { ...METRICS, exact_match: right / rows, ...more }, predictions, tasks }
}
const NONE = { baseline: null, text_prompt: null, few_shot: null, tuned: null }

function job(settings: object) {
  const checked = checkJob({ base_model: 'm', ...settings })
  if (!checked.ok) throw new Error('not a job')
  return checked.job
}

describe('who takes part', () => {
  it('only what was measured, the tuned prompt last, each said in the job’s own numbers', () => {
    const report = { ...NONE, few_shot: evaluation(1, 4), tuned: evaluation(4, 4), text_prompt: evaluation(0, 4) }
    const all = contestants(report, job({ few_shot_examples: 1, baseline_text_prompt: 'Say x.' }))
    expect(all.map(({ name }) => name)).toEqual(['With an instruction', 'With 1 example', 'Tuned'])
    expect(all[0]?.about).toContain('“Say x.”')
    expect(all.map(({ right, rows }) => [right, rows])).toEqual([
      [0, 4],
      [1, 4],
      [4, 4],
    ])
    expect(contestants(report, null)[1]?.name).toBe('With examples')
  })

  it('the text to start from is the instruction where there is no other', () => {
    const config = { prompt_tuning_init_method: 'TEXT', prompt_tuning_init_text: 'Start here' }
    const [first] = contestants({ ...NONE, text_prompt: evaluation(0, 4) }, job({ tuning_config: config }))
    expect(first?.about).toContain('“Start here”')
  })
})

describe('the verdict', () => {
  const said = (report: Partial<typeof NONE> | Record<string, Evaluation>): string =>
    verdict(contestants({ ...NONE, ...report }, job({})))

  it('names the best and the next', () => {
    expect(said({ baseline: evaluation(0, 8), few_shot: evaluation(3, 8), tuned: evaluation(7, 8) })).toBe(
      'The tuned prompt was best: 7 of 8 held-out rows right, against 3 by the untuned model with 4 examples.',
    )
    expect(said({ baseline: evaluation(0, 8), few_shot: evaluation(5, 8), tuned: evaluation(2, 8) })).toMatch(
      /^The untuned model with 4 examples was best: 5 of 8 held-out rows right, against 2 by the tuned prompt\. More epochs/,
    )
  })

  it('goes by what comes close where exact answers are equal', () => {
    expect(said({ baseline: evaluation(0, 8, { rouge_l: 0.1 }), tuned: evaluation(0, 8, { rouge_l: 0.4 }) })).toBe(
      'The tuned prompt was best: 0 of 8 held-out rows right like the untuned model, but ROUGE-L 40 % against ROUGE-L 10 %.',
    )
  })

  it('a draw is no victory, and nothing measured needs no words', () => {
    expect(said({ baseline: evaluation(0, 8), tuned: evaluation(0, 8) })).toMatch(
      /no better than the untuned model: both get 0 of 8/,
    )
    expect(said({ tuned: evaluation(3, 8) })).toBe('The tuned prompt gets 3 of 8 held-out rows right.')
    expect(said({})).toBe('')
  })
})

it('what there is without a prompt: the untuned model, and whoever beats it', () => {
  const said = (baseline: number, few_shot: number | null) =>
    withoutPrompt(
      { baseline: evaluation(baseline, 8), text_prompt: null, few_shot: few_shot === null ? null : evaluation(few_shot, 8) },
      job({}),
    )
  expect([said(0, 4), said(4, 0), said(2, null)]).toEqual(['untuned 0 %, with 4 examples 50 %', 'untuned 50 %', 'untuned 25 %'])
  expect(withoutPrompt(NONE, null)).toBe('')
})

it('tasks are paired by name; a task the untuned model was not measured on has no number', () => {
  const of = (task: string, exact_match: number) => ({ task, rows: 4, metrics: { ...METRICS, exact_match } })
  const rows = taskRows({
    ...NONE,
    baseline: evaluation(0, 8, {}, [of('b', 0.25)]),
    tuned: evaluation(8, 8, {}, [of('a', 1), of('b', 0.75)]),
  })
  expect(rows.map(({ task, untuned, tuned }) => [task, untuned?.exact_match, tuned.exact_match])).toEqual([
    ['a', undefined, 1],
    ['b', 0.25, 0.75],
  ])
})

it('shows the measures that fit the data', () => {
  const names = (metrics: Partial<Metrics>): string[] => rateMeasures([{ ...METRICS, ...metrics }, null]).map(({ name }) => name)
  expect(names({})).toEqual(['Exact match'])
  expect(names({ label_accuracy: 0.5, macro_f1: 0.5 })).toEqual(['Exact match', 'Label accuracy', 'Macro-F1'])
  expect(names({ rouge_l: 0.5, token_f1: 0.5 })).toEqual(['Exact match', 'ROUGE-L', 'Token F1'])
  expect(everyMeasure([METRICS]).map(({ key, show }) => show(METRICS[key]))).toEqual(['0 %', '1.00', '2.72'])
})
