/**
 * `npm run tune -- JOB.json [--out DIR] [--device auto|webgpu|wasm|cpu] [--bake] [--caikit] [--check]`
 *
 * Runs a job file in the same worker the page uses, in a headless Chromium. Writes DIR/prompt/ (PEFT adapter; of a multitask prompt also each
 * task as an adapter of its own, DIR/prompt-TASK/), DIR/report.json (the job in it) and with --bake DIR/model/ (transformers.js layout), with --caikit
 * DIR/caikit/ (a caikit module); of several tasks DIR/model-TASK/ and so on. --check validates, and says what training needs of memory. Exit 0: all was written (or the job is valid); 2: the job or the arguments are wrong, each problem as
 * `field: message`; 1: anything else.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { Job } from '../src/job/parameters'
import { OF_ONE_TASK, type ExportFormat } from '../src/library/export-formats'
import type { Evaluation, Metrics, PromptSummary, TuneReport } from '../src/library/prompt-record'
import { memoryLines } from './check-memory'
import { CommandFailed, Headless } from './headless'
import { ProgressLine } from './progress-line'
import { InvalidJob, readWork, type Work } from './read-job'
import { taskFolders } from './task-folders'

const USAGE = 'usage: npm run tune -- JOB.json [--out DIR] [--device auto|webgpu|wasm|cpu] [--bake] [--caikit] [--check]'

/** Folder of each export. */
const FOLDERS: Readonly<Record<ExportFormat, string>> = { peft: 'prompt', peft_flat: 'prompt', caikit: 'caikit', baked: 'model' }

async function run(work: Work, out: string, more: readonly ExportFormat[]): Promise<void> {
  const { silence_progress_bars } = work.file.job
  const line = new ProgressLine(process.stderr, silence_progress_bars)
  const headless = await Headless.open((text) => line.note(text))
  const made: string[] = []
  try {
    headless.onProgress = (progress) => line.show(progress)
    const job = await onThisMachine(work, headless, made)
    const name = work.file.name ?? basename(out)
    const { train, validation } = work
    const { prompt, report } = await headless.request('tune', { job, name, train, validation })
    made.push(prompt.id)
    writeFileSync(join(out, 'report.json'), JSON.stringify({ ...report, job: work.file.job }, null, 1))
    const flat: readonly ExportFormat[] = prompt.multitask ? ['peft_flat'] : []
    const formats: readonly ExportFormat[] = ['peft', ...flat, ...more]
    for (const format of formats) {
      for (const notice of await exportAll(headless, prompt, format, out)) line.note(notice)
    }
    line.end()
    console.log(summary(prompt, report, out))
  } finally {
    for (const prompt of made) await headless.request('delete_prompt', { prompt }).catch(() => undefined)
    await headless.close()
  }
}

/** The job with its folders of this machine made known to the worker: the model's, and the prompt's it starts from. */
async function onThisMachine(work: Work, headless: Headless, made: string[]): Promise<Job> {
  const { modelDirectory, sourceDirectory } = work
  let { job } = work.file
  if (modelDirectory !== null) {
    job = { ...job, base_model: `local/${basename(modelDirectory)}` }
    await headless.addModel(job.base_model, modelDirectory)
  }
  if (sourceDirectory === null) return job
  const { base_model, model_dtype, model_file_name, allow_downloads, tuning_config } = job
  // A prompt is read against its model, which must be here by then.
  await headless.request('load_model', { base_model, model_dtype, model_file_name, allow_downloads })
  const source = await headless.importPrompt(tuning_config.prompt_tuning_init_source_model, base_model, sourceDirectory)
  made.push(source.id)
  return { ...job, source_prompt_base: '', tuning_config: { ...tuning_config, prompt_tuning_init_source_model: source.id } }
}

/** Writes one format: once, or once for each task where it holds only one. Returns what has to be known of it. */
async function exportAll(
  headless: Headless,
  prompt: PromptSummary,
  format: ExportFormat,
  out: string,
): Promise<readonly string[]> {
  const names = prompt.multitask?.task_names ?? []
  const each = taskFolders(names)
  const parts =
    OF_ONE_TASK.includes(format) && names.length > 1
      ? names.map((task, index) => ({ task, folder: `${FOLDERS[format]}-${each[index] ?? index}` }))
      : [{ task: null, folder: format === 'peft_flat' ? `${FOLDERS[format]}-flat` : FOLDERS[format] }]
  const notices = new Set<string>()
  for (const { task, folder } of parts) {
    for (const notice of await headless.exportTo({ prompt: prompt.id, format, task }, join(out, folder))) notices.add(notice)
  }
  return [...notices]
}

function summary(prompt: PromptSummary, report: TuneReport, out: string): string {
  const percent = (evaluation: Evaluation | null): string =>
    evaluation === null ? 'not measured' : `${(100 * evaluation.metrics.exact_match).toFixed(1)} %`
  const baselines = [
    `untuned ${percent(report.baseline)}`,
    ...(report.text_prompt ? [`with an instruction ${percent(report.text_prompt)}`] : []),
    ...(report.few_shot ? [`with solved examples ${percent(report.few_shot)}`] : []),
  ]
  const tasks = report.tuned?.tasks ?? []
  return [
    `${prompt.name}: ${prompt.num_virtual_tokens} virtual tokens for ${prompt.base_model.id} (${prompt.base_model.model_dtype}), ${report.finished}`,
    `${report.steps.length} steps in ${report.seconds.toFixed(0)} s on ${report.device}`,
    `held-out exact match: ${baselines.join(', ')}, tuned ${percent(report.tuned)}`,
    ...(report.tuned ? [`tuned, also: ${otherMeasures(report.tuned.metrics)}`] : []),
    ...tasks.map(({ task, rows, metrics }) => {
      return `  ${task}: exact match ${(100 * metrics.exact_match).toFixed(1)} % of ${rows} rows, ${otherMeasures(metrics)}`
    }),
    `written to ${out}`,
  ].join('\n')
}

/** The measures that fit the data, besides exact match. */
function otherMeasures({ label_accuracy, macro_f1, rouge_l, token_f1, perplexity }: Metrics): string {
  const rates = { 'label accuracy': label_accuracy, 'macro F1': macro_f1, 'ROUGE-L': rouge_l, 'token F1': token_f1 }
  const said = Object.entries(rates).flatMap(([name, rate]) => (rate === null ? [] : [`${name} ${(100 * rate).toFixed(1)} %`]))
  return [...said, `perplexity ${perplexity.toPrecision(3)}`].join(', ')
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      out: { type: 'string' },
      device: { type: 'string' },
      bake: { type: 'boolean', default: false },
      caikit: { type: 'boolean', default: false },
      check: { type: 'boolean', default: false },
    },
  })
  const [path, ...more] = positionals
  if (path === undefined || more.length > 0) {
    console.error(USAGE)
    return 2
  }
  const work = readWork(path, values.device)
  for (const note of work.notes) console.error(note)
  if (values.check) {
    console.log(`valid: ${work.train.length} examples, ${work.validation?.length ?? work.file.job.validation} held out`)
    for (const text of await memoryLines(work)) console.log(text)
    return 0
  }
  const out = resolve(values.out ?? join('out', basename(path, '.json')))
  mkdirSync(out, { recursive: true })
  await run(work, out, [...(values.bake ? (['baked'] as const) : []), ...(values.caikit ? (['caikit'] as const) : [])])
  return 0
}

process.exitCode = await main().catch((error: unknown) => {
  if (error instanceof InvalidJob) {
    console.error(error.message)
    return 2
  }
  if (error instanceof CommandFailed) {
    console.error(error.message)
    return error.failure.code === 'invalid' ? 2 : 1
  }
  console.error(error instanceof Error ? error.message : String(error))
  return error instanceof TypeError && 'code' in error ? 2 : 1
})
