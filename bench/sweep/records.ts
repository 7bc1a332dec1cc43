/**
 * What a sweep keeps: one record a run, a line of JSON each, in bench/results/sweep.jsonl. A run is told from another by task, data, model file, setting
 * and seed; one that is there is not made again. Lines are only ever added, so several processes may sweep different tasks into one file. Runs that
 * other models or older samples made stay, until `prune` is asked for.
 */
import { createHash } from 'node:crypto'
import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, statSync, truncateSync, writeFileSync } from 'node:fs'
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

  constructor(private readonly path: string) {
    const rest = this.read()
    // What a process that was killed has left: half a line.
    if (rest > 0) truncateSync(path, statSync(path).size - rest)
  }

  /** Those of other processes included. */
  all(): RunRecord[] {
    this.read()
    return [...this.records.values()]
  }

  find(key: RunKey): RunRecord | undefined {
    return this.records.get(runKey(key))
  }

  /** Keeps it, in the file too: a sweep may end at any time. */
  add(record: RunRecord): void {
    this.records.set(runKey(record), record)
    mkdirSync(dirname(this.path), { recursive: true })
    appendFileSync(this.path, lineOf(record))
  }

  /** Drops the records that are not `wanted`. Returns how many. Not while another process adds some. */
  prune(wanted: (record: RunRecord) => boolean): number {
    const before = this.all()
    const kept = before.filter(wanted)
    if (kept.length === before.length) return 0
    writeFileSync(`${this.path}.new`, kept.map(lineOf).join(''))
    renameSync(`${this.path}.new`, this.path)
    this.records.clear()
    this.read()
    return before.length - kept.length
  }

  /**
   * Takes up what is in the file. Returns the bytes of an unfinished last line: of a process that writes just now, or that was killed.
   * @throws Error that names the line which is not what this command writes
   */
  private read(): number {
    if (!existsSync(this.path)) return 0
    const lines = readFileSync(this.path, 'utf8').split('\n')
    const rest = lines.pop() ?? ''
    lines.forEach((line, i) => {
      try {
        const record = v.parse(RecordSchema, JSON.parse(line))
        this.records.set(runKey(record), record)
      } catch (cause) {
        throw new Error(`${this.path}, line ${i + 1} is no run of a sweep`, { cause })
      }
    })
    return Buffer.byteLength(rest)
  }
}

const lineOf = (record: RunRecord): string => `${JSON.stringify(record)}\n`
