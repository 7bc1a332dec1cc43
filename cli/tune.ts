/**
 * `npm run tune -- JOB.json [--out DIR] [--device auto|webgpu|wasm|cpu] [--bake] [--check]`
 *
 * Runs a job file in the same worker the page uses, in a headless Chromium. Writes DIR/prompt/ (PEFT adapter), DIR/report.json (the job in it) and with
 * --bake DIR/model/ (transformers.js layout). --check only validates. Exit 0: all was written (or the job is valid); 2: the job or the
 * arguments are wrong, each problem as `field: message`; 1: anything else.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { PromptSummary, TuneReport } from '../src/library/prompt-record'
import { CommandFailed, Headless } from './headless'
import { ProgressLine } from './progress-line'
import { InvalidJob, readWork, type Work } from './read-job'

const USAGE = 'usage: npm run tune -- JOB.json [--out DIR] [--device auto|webgpu|wasm|cpu] [--bake] [--check]'

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
    writeFileSync(join(out, 'report.json'), JSON.stringify({ ...report, job }, null, 1))
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
  for (const note of work.notes) console.error(note)
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
