/**
 * `npm run sweep -- --learning-rate [--quick] [--seeds N] [--epochs N ...] [--plain] [--model FOLDER ...] [NAME ...]`: the evidence behind AUTO_RATIO (src/tuning/learning-rate.ts). The same tasks with
 * a range of learning rates, as ratios to the spread of the embedding table, on models of several spreads and widths: the embedded ones as they are, the causal
 * one in other coordinates (learning-rate-models.ts), and any folder given. Runs are kept in bench/results/learning-rate.jsonl; the table is learning-rate.md. `--plain`: only
 * models as they come.
 */
import { rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { ROOT } from '../../cli/serve'
import { learningRateTable } from './learning-rate-table'
import { writeVariants } from './learning-rate-models'
import { RunRecords } from './records'
import { Runner } from './runner'
import { defaultsFor } from './defaults'
import type { Task } from './tasks'

const RESULTS = join(ROOT, 'bench', 'results')
const CAUSAL = 'promptlathe/tiny-causal'

export interface LearningRateOptions {
  readonly all: readonly Task[]
  readonly tasks: readonly Task[]
  readonly seeds: readonly number[]
  readonly ratios: readonly number[]
  /** Lengths of the runs; null: the default. */
  readonly epochs: readonly (number | null)[]
  /** Whether the causal model in other coordinates is among the models. */
  readonly variants: boolean
  readonly folders: readonly string[]
  readonly only_table: boolean
}

export async function learningRateSweep({
  all,
  tasks,
  seeds,
  ratios,
  epochs,
  variants,
  folders,
  only_table,
}: LearningRateOptions): Promise<void> {
  const records = new RunRecords(join(RESULTS, 'learning-rate.jsonl'))
  const given = folders.map((folder) => ({ name: basename(resolve(folder)), folder }))
  const show = (): string => {
    const text = learningRateTable(records.all())
    writeFileSync(join(RESULTS, 'learning-rate.md'), text)
    return text
  }
  if (!only_table) {
    const made = variants ? await writeVariants(CAUSAL) : []
    const runner = await Runner.open(records, all)
    try {
      for (const folder of [...made, ...given]) await runner.addModel(folder)
      const embedded = [...new Set(tasks.map(({ base_model }) => base_model))]
      // Model by model: only one is open at a time.
      for (const model of [...embedded, ...[...made, ...given].map(({ name }) => name)]) {
        for (const task of tasks) {
          if (embedded.includes(model) ? task.base_model !== model : !(await runner.sameKind(task.base_model, model))) continue
          const standard = defaultsFor(task)
          for (const seed of seeds) {
            for (const num_epochs of epochs)
              for (const ratio of ratios)
                await runner.run(task, model, { ...standard, ratio, num_epochs: num_epochs ?? standard.num_epochs }, seed)
          }
        }
        show()
      }
    } finally {
      await runner.close()
      for (const { folder } of made.slice(0, 1)) rmSync(dirname(folder), { recursive: true, force: true })
    }
  }
  console.log(show())
}
