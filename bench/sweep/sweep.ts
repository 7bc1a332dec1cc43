/**
 * `npm run sweep [-- --quick] [--seeds N] [--fresh N] [--model FOLDER ...] [NAME ...]`: how far the default settings are from the best ones, on
 * the sample tasks. Varies one setting at a time, then tries the best changes together (settings.ts), and runs the best and the defaults again with fresh seeds.
 * Every run is kept in bench/results/sweep.jsonl at once and not made again, so a sweep can be stopped and gone on with, and two can
 * run at once on different samples (each uses one core); the table is sweep.md.
 * `--model` takes a model folder in place of the embedded model of its kind. `--table`: only the table. `--prune`: drops runs of other models and older samples.
 * `--learning-rate` is another sweep: see learning-rate-sweep.ts.
 */
import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { ROOT } from '../../cli/serve'
import { defaultsFor } from './defaults'
import { learningRateSweep } from './learning-rate-sweep'
import { levelsFor, sweepTask } from './one-task'
import { RunRecords, type RunRecord } from './records'
import { Runner } from './runner'
import { LEVELS, QUICK_LEVELS, QUICK_RATIOS, RATIOS } from './settings'
import { CHOOSING_SEEDS, FRESH_SEEDS } from './scores'
import { markdown, type TaskResult } from './table'
import { readTasks, type Task } from './tasks'

const RESULTS = join(ROOT, 'bench', 'results')

/** The records of a task on the model and data of its newest one. */
function current(task: Task, records: readonly RunRecord[], model: string): TaskResult | null {
  const own = records.filter((record) => record.task === task.name && record.data === task.data && record.model === model)
  const last = own.at(-1)
  if (!last) return null
  const newest = own.filter(({ model_sha256 }) => model_sha256 === last.model_sha256)
  return { name: task.name, title: task.title, model, standard: defaultsFor(task), records: newest }
}

const machine = (): string => `${cpus().length} cores, ${cpus()[0]?.model ?? 'unknown CPU'}`

/** A whole number from 1 to `most`. */
function countOf(text: string, name: string, most: number): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1 || value > most)
    throw new Error(`--${name} takes a whole number from 1 to ${most}, not ${text}`)
  return value
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      seeds: { type: 'string' },
      fresh: { type: 'string' },
      model: { type: 'string', multiple: true, default: [] },
      epochs: { type: 'string', multiple: true, default: [] },
      table: { type: 'boolean', default: false },
      prune: { type: 'boolean', default: false },
      'learning-rate': { type: 'boolean', default: false },
      plain: { type: 'boolean', default: false },
    },
  })
  const all = readTasks()
  const unknown = positionals.filter((name) => !all.some((task) => task.name === name))
  if (unknown.length > 0)
    throw new Error(`no such sample: ${unknown.join(', ')}; there are ${all.map(({ name }) => name).join(', ')}`)
  const tasks = positionals.length > 0 ? all.filter(({ name }) => positionals.includes(name)) : all
  const seeds = countOf(values.seeds ?? (values.quick ? '1' : '2'), 'seeds', CHOOSING_SEEDS.length)
  const fresh = countOf(values.fresh ?? (values.quick ? '2' : '3'), 'fresh', FRESH_SEEDS.length)
  const choosing = CHOOSING_SEEDS.slice(0, seeds)
  const records = new RunRecords(join(RESULTS, 'sweep.jsonl'))
  if (values['learning-rate']) {
    await learningRateSweep({
      all,
      tasks,
      seeds: choosing,
      ratios: values.quick ? QUICK_RATIOS : RATIOS,
      epochs: values.epochs.length > 0 ? values.epochs.map((text) => countOf(text, 'epochs', 1000)) : [null],
      folders: values.model,
      variants: !values.plain,
      only_table: values.table,
    })
    return
  }
  const folders = values.model.map((folder) => ({ name: basename(resolve(folder)), folder }))
  const resultsOf = (): TaskResult[] =>
    all.flatMap((task) =>
      [task.base_model, ...folders.map(({ name }) => name)].flatMap((model) => current(task, records.all(), model) ?? []),
    )
  if (values.prune) {
    const kept = new Set(resultsOf().flatMap((result) => result.records))
    console.log(`${records.prune((record) => kept.has(record))} runs dropped`)
  }
  if (!values.table) {
    const levels = values.quick ? QUICK_LEVELS : LEVELS
    const options = { levels, choosing, fresh: FRESH_SEEDS.slice(0, fresh) }
    const runner = await Runner.open(records, all)
    try {
      for (const folder of folders) await runner.addModel(folder)
      for (const task of tasks) {
        for (const model of folders.length > 0 ? folders.map(({ name }) => name) : [task.base_model]) {
          if (!(await runner.sameKind(task.base_model, model))) continue
          const standard = defaultsFor(task)
          const own = { ...options, levels: levelsFor(task, options.levels) }
          await sweepTask(standard, own, (setting, seed) => runner.run(task, model, setting, seed))
          writeFileSync(join(RESULTS, 'sweep.md'), markdown(resultsOf(), machine()))
        }
      }
    } finally {
      await runner.close()
    }
  }
  const text = markdown(resultsOf(), machine())
  writeFileSync(join(RESULTS, 'sweep.md'), text)
  console.log(text)
}

await main()
