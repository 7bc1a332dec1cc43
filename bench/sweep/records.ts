/**
 * What a sweep keeps: one record a run, in bench/results/sweep.json. A run is told from another by task, data, model file, setting and seed; one
 * that is there is not made again. Runs that other models or older samples made stay, until `prune` is asked for.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import * as v from 'valibot'
import { keyOf, SettingSchema } from './settings'

const rate = v.nullable(v.number())

export const RecordSchema = v.object({
  /** Sample task by name, and a hash of its examples and of what its job fixes. */
  task: v.string(),
  data: v.string(),
  /** The model's name here, and the SHA-256 of its ONNX file. */
  model: v.string(),
  model_sha256: v.string(),
  /** Of the embedding table, and its columns. */
  embedding_std: v.number(),
  hidden_size: v.number(),
  setting: SettingSchema,
  seed: v.number(),
  learning_rate: v.number(),
  held_out: v.number(),
  steps: v.number(),
  /** 0..1 on the held-out rows, of the prompt that was kept; a run that diverged has 0 and no loss. */
  exact_match: v.number(),
  label_accuracy: rate,
  rouge_l: rate,
  loss: rate,
  best_epoch: v.number(),
  seconds: v.number(),
})
export type RunRecord = v.InferOutput<typeof RecordSchema>

/** What tells runs apart. */
export type RunKey = Pick<RunRecord, 'task' | 'data' | 'model_sha256' | 'setting' | 'seed'>

const runKey = ({ task, data, model_sha256, setting, seed }: RunKey): string =>
  [task, data, model_sha256, keyOf(setting), seed].join('|')

/** Twelve hex digits that change when `value`, as JSON, does. */
export const hashOf = (value: unknown): string => createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 12)

export class RunRecords {
  private readonly records = new Map<string, RunRecord>()

  /** @throws ValiError when the file is not what this command writes */
  constructor(private readonly path: string) {
    if (!existsSync(path)) return
    const stored = v.parse(v.array(RecordSchema), JSON.parse(readFileSync(path, 'utf8')))
    for (const record of stored) this.records.set(runKey(record), record)
  }

  all(): RunRecord[] {
    return [...this.records.values()]
  }

  find(key: RunKey): RunRecord | undefined {
    return this.records.get(runKey(key))
  }

  /** Keeps it, in the file too: a sweep may end at any time. */
  add(record: RunRecord): void {
    this.records.set(runKey(record), record)
    this.write()
  }

  /** Drops the records that are not `wanted`. Returns how many. */
  prune(wanted: (record: RunRecord) => boolean): number {
    const before = this.records.size
    for (const [key, record] of [...this.records]) if (!wanted(record)) this.records.delete(key)
    if (this.records.size < before) this.write()
    return before - this.records.size
  }

  private write(): void {
    const lines = this.all().map((record) => JSON.stringify(record))
    mkdirSync(dirname(this.path), { recursive: true })
    // A run that is cut off while it writes leaves the old file.
    writeFileSync(`${this.path}.new`, `[\n${lines.join(',\n')}\n]\n`)
    renameSync(`${this.path}.new`, this.path)
  }
}
