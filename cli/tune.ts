/**
 * `npm run tune -- JOB.json [--out DIR] [--device auto|webgpu|wasm|cpu] [--bake] [--check]`
 *
 * Runs a job file in the same worker the page uses, in a headless Chromium. Writes DIR/prompt/ (PEFT adapter), DIR/report.json and with
 * --bake DIR/model/ (transformers.js layout). --check only validates. Exit 0: all was written (or the job is valid); 2: the job or the
 * arguments are wrong, each problem as `field: message`; 1: anything else.
 */
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, isAbsolute, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { parseJobFile, type DataSource, type JobFile } from '../src/job/job-file'
import { parseRecords, RecordsError, type Example } from '../src/job/records'
import type { PromptSummary, TuneReport } from '../src/library/prompt-record'
import { CommandFailed, Headless } from './headless'
import { ProgressLine } from './progress-line'

const USAGE = 'usage: npm run tune -- JOB.json [--out DIR] [--device auto|webgpu|wasm|cpu] [--bake] [--check]'

interface Problem {
  readonly field: string
  readonly message: string
}

class InvalidJob extends Error {
  override readonly name = 'InvalidJob'
  constructor(readonly problems: readonly Problem[]) {
    super(problems.map((problem) => `${problem.field}: ${problem.message}`).join('\n'))
  }
}

interface Work {
  readonly file: JobFile
  readonly train: readonly Example[]
  readonly validation: readonly Example[] | null
  /** The folder of this machine that base_model names, if it names one. */
  readonly modelDirectory: string | null
}

function readExamples(field: string, source: DataSource, file: JobFile, folder: string, problems: Problem[]): readonly Example[] {
  if (source.kind === 'inline') return source.records.examples
  const path = isAbsolute(source.path) ? source.path : join(folder, source.path)
  try {
    const records = parseRecords(
      readFileSync(path, 'utf8'),
      basename(path),
      file.columns === null ? {} : { columns: file.columns },
    )
    for (const skipped of records.skipped.slice(0, 20))
      console.error(`${source.path}:${skipped.line}: skipped, ${skipped.reason}`)
    if (records.skipped.length > 20) console.error(`${source.path}: ${records.skipped.length - 20} more rows skipped`)
    if (records.examples.length === 0) problems.push({ field, message: `"${source.path}" holds no usable record` })
    return records.examples
  } catch (error) {
    const why =
      error instanceof RecordsError
        ? error.message
        : error instanceof Error && 'code' in error
          ? `can't be read (${String(error.code)})`
          : String(error)
    problems.push({ field, message: `"${source.path}": ${why}` })
    return []
  }
}

/** Reads and checks the job file and its data. @throws InvalidJob with every problem. */
function readWork(path: string, device: string | undefined): Work {
  let json: unknown
  try {
    json = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    throw new InvalidJob([{ field: 'job', message: `${path}: ${error instanceof Error ? error.message : String(error)}` }])
  }
  if (device !== undefined && typeof json === 'object' && json !== null && !Array.isArray(json)) json = { ...json, device }
  const checked = parseJobFile(json)
  if (!checked.ok) throw new InvalidJob(checked.problems)
  for (const notice of checked.notices) console.error(notice)
  const { file } = checked
  const folder = dirname(resolve(path))
  const problems: Problem[] = []
  const train = readExamples('train', file.train, file, folder, problems)
  const validation = file.validation === null ? null : readExamples('validation', file.validation, file, folder, problems)
  if (problems.length > 0) throw new InvalidJob(problems)
  const directory = resolve(folder, file.job.base_model)
  const isDirectory = existsSync(directory) && statSync(directory).isDirectory()
  return { file, train, validation, modelDirectory: isDirectory ? directory : null }
}

async function run(work: Work, out: string, bake: boolean): Promise<void> {
  const { job } = work.file
  const line = new ProgressLine(process.stderr, job.silence_progress_bars)
  const headless = await Headless.open((text) => line.note(text))
  try {
    headless.onProgress = (progress) => line.show(progress)
    const base_model = work.modelDirectory === null ? job.base_model : `local/${basename(work.modelDirectory)}`
    if (work.modelDirectory !== null) await headless.addModel(base_model, work.modelDirectory)
    const name = work.file.name ?? basename(out)
    const { prompt, report } = await headless.request('tune', {
      job: { ...job, base_model },
      name,
      train: work.train,
      validation: work.validation,
    })
    try {
      await headless.exportTo(prompt.id, 'peft', join(out, 'prompt'))
      if (bake) await headless.exportTo(prompt.id, 'baked', join(out, 'model'))
    } finally {
      await headless.request('delete_prompt', { prompt: prompt.id })
    }
    writeFileSync(join(out, 'report.json'), JSON.stringify(report, null, 1))
    line.end()
    console.log(summary(prompt, report, out))
  } finally {
    await headless.close()
  }
}

function summary(prompt: PromptSummary, report: TuneReport, out: string): string {
  const percent = (value: number | undefined) => (value === undefined ? 'not measured' : `${(100 * value).toFixed(1)} %`)
  return [
    `${prompt.name}: ${prompt.num_virtual_tokens} virtual tokens for ${prompt.base_model.id} (${prompt.base_model.model_dtype}), ${report.finished}`,
    `${report.steps.length} steps in ${report.seconds.toFixed(0)} s on ${report.device}`,
    `held-out exact match: untuned ${percent(report.baseline?.metrics.exact_match)}, tuned ${percent(report.tuned?.metrics.exact_match)}`,
    `written to ${out}`,
  ].join('\n')
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      out: { type: 'string' },
      device: { type: 'string' },
      bake: { type: 'boolean', default: false },
      check: { type: 'boolean', default: false },
    },
  })
  const [path, ...more] = positionals
  if (path === undefined || more.length > 0) {
    console.error(USAGE)
    return 2
  }
  const work = readWork(path, values.device)
  if (values.check) {
    console.log(`valid: ${work.train.length} examples, ${work.validation?.length ?? work.file.job.validation} held out`)
    return 0
  }
  const out = resolve(values.out ?? join('out', basename(path, '.json')))
  mkdirSync(out, { recursive: true })
  await run(work, out, values.bake)
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
