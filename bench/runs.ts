/**
 * `npm run runs [-- --device D] [JOB ...]`: runs the job files of examples/ with `npm run tune`, as a user would, one for each of causal model and
 * encoder-decoder with PROMPT_TUNING and MULTITASK_PROMPT_TUNING, and one that starts from another's prompt. Keeps their reports in
 * bench/results/issue-3-runs/ (of the predictions the first few) and makes the table bench/results/issue-3-runs.md of all that are there.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import * as v from 'valibot'
import { readWork } from '../cli/read-job'
import { ROOT } from '../cli/serve'

/** In this order: `target` starts from the prompt of `multitask-source`. */
const JOBS = ['sentiment', 'multitask-source', 'target', 'seq2seq', 'seq2seq-multitask']
const RESULTS = join(ROOT, 'bench', 'results')
const REPORTS = join(RESULTS, 'issue-3-runs')
const PREDICTIONS_KEPT = 8

const rate = v.nullable(v.number())
const Metrics = v.looseObject({
  exact_match: v.number(),
  perplexity: v.number(),
  label_accuracy: rate,
  macro_f1: rate,
  rouge_l: rate,
  token_f1: rate,
})
const Evaluation = v.looseObject({
  metrics: Metrics,
  predictions: v.array(v.unknown()),
  tasks: v.array(v.looseObject({ task: v.string(), rows: v.number(), metrics: Metrics })),
})
const Report = v.looseObject({
  device: v.string(),
  learning_rate: v.number(),
  steps: v.array(v.looseObject({ ms: v.number() })),
  best_epoch: v.number(),
  baseline: v.nullable(Evaluation),
  text_prompt: v.nullable(Evaluation),
  few_shot: v.nullable(Evaluation),
  tuned: v.nullable(Evaluation),
  seconds: v.number(),
  job: v.looseObject({
    base_model: v.string(),
    tuning_type: v.string(),
    tuning_config: v.looseObject({ prompt_tuning_init_method: v.string() }),
  }),
})
type Evaluation = v.InferOutput<typeof Evaluation>

const Kept = v.object({
  command: v.string(),
  machine: v.string(),
  examples: v.number(),
  held_out: v.number(),
  report: Report,
})
type Kept = v.InferOutput<typeof Kept>

const shortened = (evaluation: Evaluation | null): Evaluation | null =>
  evaluation && { ...evaluation, predictions: evaluation.predictions.slice(0, PREDICTIONS_KEPT) }

function run(name: string, device: string): Kept {
  const out = join('examples', 'out', name)
  const job = join('examples', `${name}.json`)
  const options = [job, '--out', out, '--device', device]
  const { status } = spawnSync('npm', ['run', '--silent', 'tune', '--', ...options], { cwd: ROOT, stdio: 'inherit' })
  if (status !== 0) throw new Error(`npm run tune -- ${options.join(' ')} ended with ${status ?? 'a signal'}`)
  const report = v.parse(Report, JSON.parse(readFileSync(join(ROOT, out, 'report.json'), 'utf8')))
  const { baseline, text_prompt, few_shot, tuned } = report
  return {
    command: `npm run tune -- ${options.join(' ')}`,
    machine: `${cpus().length} cores, ${cpus()[0]?.model ?? 'unknown CPU'}`,
    examples: readWork(join(ROOT, job), device).train.length,
    held_out: tuned?.predictions.length ?? 0,
    report: {
      ...report,
      baseline: shortened(baseline),
      text_prompt: shortened(text_prompt),
      few_shot: shortened(few_shot),
      tuned: shortened(tuned),
    },
  }
}

const percent = (value: number): string => `${(100 * value).toFixed(0)} %`

/** Exact match, and of labels how many are ranked first, else ROUGE-L. */
function measures(evaluation: Evaluation | null): string {
  if (!evaluation) return '–'
  const { exact_match, label_accuracy, rouge_l } = evaluation.metrics
  if (label_accuracy !== null) return `${percent(exact_match)}, label ${percent(label_accuracy)}`
  return rouge_l === null ? percent(exact_match) : `${percent(exact_match)}, ROUGE-L ${rouge_l.toFixed(2)}`
}

function tableLine(name: string, { report, examples, held_out }: Kept): string {
  const { job, device, baseline, text_prompt, few_shot, tuned, steps, seconds } = report
  const cells = [
    `[${name}](issue-3-runs/${name}.json)`,
    job.base_model,
    `${job.tuning_type}, from ${job.tuning_config.prompt_tuning_init_method}`,
    device,
    `${examples - held_out} + ${held_out}`,
    measures(baseline),
    measures(text_prompt),
    measures(few_shot),
    measures(tuned),
    String(steps.length),
    seconds.toFixed(0),
  ]
  const tasks = (tuned?.tasks ?? []).map(({ task, rows, metrics }) => {
    const before = baseline?.tasks.find((one) => one.task === task)?.metrics.exact_match
    const shots = few_shot?.tasks.find((one) => one.task === task)?.metrics.exact_match
    const rates = [before, undefined, shots, metrics.exact_match].map((one) => (one === undefined ? '' : percent(one)))
    return `| – ${[task, '', '', '', `${rows} held out`, ...rates, '', ''].join(' | ')} |`
  })
  return [`| ${cells.join(' | ')} |`, ...tasks].join('\n')
}

function table(): string {
  const kept = JOBS.flatMap((name): [string, Kept][] => {
    const path = join(REPORTS, `${name}.json`)
    return existsSync(path) ? [[name, v.parse(Kept, JSON.parse(readFileSync(path, 'utf8')))]] : []
  })
  const machines = [...new Set(kept.map(([, { machine }]) => machine))].join('; ')
  return `Exact match on the held-out rows, and for tasks with few outputs the share of rows whose own label is ranked first, else ROUGE-L.

| run | model | tuning | device | rows: learned + held out | untuned | instruction | solved examples | tuned | steps | seconds |
|---|---|---|---|---|---|---|---|---|---|---|
${kept.map(([name, one]) => tableLine(name, one)).join('\n')}

${machines}, shared with other work. Each was made by the command in its file; all and this table by \`npm run runs\`.
`
}

function main(): void {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { device: { type: 'string', default: 'auto' } } })
  mkdirSync(REPORTS, { recursive: true })
  for (const name of positionals.length > 0 ? positionals : JOBS) {
    if (!JOBS.includes(name)) throw new Error(`no such job: ${name}; there are ${JOBS.join(', ')}`)
    writeFileSync(join(REPORTS, `${name}.json`), `${JSON.stringify(run(name, values.device))}\n`)
  }
  const text = table()
  writeFileSync(join(RESULTS, 'issue-3-runs.md'), text)
  console.log(text)
}

main()
