/**
 * A job file, its data and its model's config.json, read and checked on this machine: all that can be said of a job before a browser opens
 * and anything is downloaded. It reads files only; what it finds it returns or throws.
 */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, isAbsolute, join, resolve } from 'node:path'
import { checkAgainstModel } from '../src/job/check-model'
import { parseJobFile, type DataSource, type JobFile } from '../src/job/job-file'
import { show } from '../src/job/json-value'
import type { Job } from '../src/job/parameters'
import type { Problem } from '../src/job/problem'
import { parseRecords, RecordsError, type ColumnMapping, type Example } from '../src/job/records'
import { decodeText } from '../src/job/records-text'
import { startsFromSource } from '../src/library/source-fit'
import { isEmbedded, isModelId } from '../src/models/catalogue'
import { describeConfig } from '../src/models/config'
import { ModelError } from '../src/models/model-error'

/** The message is all problems, a line each: `field: message`. */
export class InvalidJob extends Error {
  override readonly name = 'InvalidJob'
  constructor(readonly problems: readonly Problem[]) {
    super(problems.map((problem) => `${problem.field}: ${problem.message}`).join('\n'))
  }
}

export interface Work {
  readonly file: JobFile
  readonly train: readonly Example[]
  readonly validation: readonly Example[] | null
  /** The folder of this machine that base_model names, if it names one. */
  readonly modelDirectory: string | null
  /** Where the model's files lie on this machine: that folder, or an embedded model's; null for a model of the hub. */
  readonly modelFolder: string | null
  /** The folder with the prompt the job starts from; null where it starts afresh. */
  readonly sourceDirectory: string | null
  /** Lines to show: what is ignored, which rows were skipped. */
  readonly notes: readonly string[]
}

/** Where the embedded models lie in this repository. */
const EMBEDDED = resolve(import.meta.dirname, '..', 'public', 'models')
/** Skipped rows that are named one by one. */
const MOST_SKIPPED = 20

/** Why a file can't be read, without its path. */
function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : null
  if (code === 'ENOENT') return 'does not exist'
  return code === null ? `can't be read: ${String(error)}` : `can't be read (${code})`
}

/** "line 3, column 7", from V8's "... at position 41"; where the text broke off, its end. */
function placeOf(error: unknown, text: string): string {
  const position = /position (\d+)/.exec(error instanceof Error ? error.message : '')?.[1]
  const before = text.slice(0, position === undefined ? text.length : Number(position)).split('\n')
  return `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`
}

function readJson(path: string): { ok: true; json: unknown } | { ok: false; why: string } {
  let text: string
  try {
    text = readFileSync(path, 'utf8').replace(/^\uFEFF/, '')
  } catch (error) {
    return { ok: false, why: reasonOf(error) }
  }
  try {
    return { ok: true, json: JSON.parse(text) }
  } catch (error) {
    return { ok: false, why: `is not JSON: something is wrong at ${placeOf(error, text)}` }
  }
}

interface Reading {
  /** Relative paths start here: the job file's folder. */
  readonly folder: string
  readonly columns: ColumnMapping | null
  readonly problems: Problem[]
  readonly notes: string[]
}

function readExamples(field: string, source: DataSource, { folder, columns, problems, notes }: Reading): readonly Example[] {
  if (source.kind === 'inline') return source.records.examples
  const path = isAbsolute(source.path) ? source.path : join(folder, source.path)
  try {
    const records = parseRecords(
      decodeText(readFileSync(path), basename(path)),
      basename(path),
      columns === null ? {} : { columns },
    )
    for (const skipped of records.skipped.slice(0, MOST_SKIPPED))
      notes.push(`${source.path}:${skipped.line}: skipped, ${skipped.reason}`)
    if (records.skipped.length > MOST_SKIPPED)
      notes.push(`${source.path}: ${records.skipped.length - MOST_SKIPPED} more rows skipped`)
    if (records.examples.length === 0) {
      const first = records.skipped[0]
      const why = first === undefined ? '' : `; line ${first.line}: ${first.reason}`
      problems.push({ field, message: `${show(source.path)} holds no usable record${why}` })
    }
    return records.examples
  } catch (error) {
    const why = error instanceof RecordsError ? `: ${error.message}` : ` ${reasonOf(error)}`
    problems.push({ field, message: `${show(source.path)}${why}` })
    return []
  }
}

/** The folder that base_model names, seen from the job file's; null when it is no folder. */
function modelDirectory(base_model: string, folder: string): string | null {
  const directory = resolve(folder, base_model)
  return existsSync(directory) && statSync(directory).isDirectory() ? directory : null
}

const ADAPTER = 'adapter_config.json'

/**
 * The folder that prompt_tuning_init_source_model names, below source_prompt_base, seen from the job file's: an adapter, or what `npm run tune`
 * wrote, which has one in prompt/.
 */
function sourceDirectory(job: Job, { folder, problems }: Reading): string | null {
  const { prompt_tuning_init_source_model: name } = job.tuning_config
  if (!startsFromSource(job) || name === '') return null
  const directory = resolve(folder, job.source_prompt_base, name)
  const found = [directory, join(directory, 'prompt')].find((one) => existsSync(join(one, ADAPTER)))
  if (found === undefined) {
    const message = `${show(name)} is not accepted: there is no ${ADAPTER} in ${show(directory)}; give the folder of a prompt, below source_prompt_base`
    problems.push({ field: 'tuning_config.prompt_tuning_init_source_model', message })
  }
  return found ?? null
}

/** The folder with the model's files; null where they are not on this machine. */
function modelFolder(base_model: string, folder: string): string | null {
  return modelDirectory(base_model, folder) ?? (isEmbedded(base_model) ? join(EMBEDDED, base_model) : null)
}

/** What config.json says against the job; nothing where it is not on this machine. */
function modelProblems(job: Job, folder: string): readonly Problem[] {
  const { base_model } = job
  const wrong = (message: string): Problem[] => [{ field: 'base_model', message: `${show(base_model)} ${message}` }]
  const directory = modelFolder(base_model, folder)
  if (directory === null)
    return isModelId(base_model)
      ? []
      : wrong('is not accepted: there is no such folder, and it is no hub id; give owner/name of a model or a folder')
  const config = readJson(join(directory, 'config.json'))
  if (!config.ok) return wrong(`is not accepted: its config.json ${config.why}`)
  try {
    return checkAgainstModel(job, describeConfig(base_model, config.json)).problems
  } catch (error) {
    if (error instanceof ModelError) return wrong(`is not accepted: ${error.message}. ${error.hint}`)
    throw error
  }
}

/**
 * Reads and checks the job file at `path`, its data, and its model as far as config.json is here.
 * @param device overrides the job's own
 * @throws InvalidJob with every problem
 */
export function readWork(path: string, device: string | undefined): Work {
  const read = readJson(path)
  if (!read.ok) throw new InvalidJob([{ field: 'job', message: `${show(basename(path))} ${read.why}` }])
  const { json } = read
  const object = typeof json === 'object' && json !== null && !Array.isArray(json)
  const checked = parseJobFile(device !== undefined && object ? { ...json, device } : json)
  const problems: Problem[] = checked.ok ? [] : [...checked.problems]
  const notes: string[] = checked.ok ? [...checked.notices] : []
  const folder = dirname(resolve(path))

  // With stand-ins for what is wrong, so that the problems of data and model are listed beside those of the job.
  const { job, train, validation, columns } = checked.ok ? checked.file : checked.rest
  const reading = { folder, columns, problems, notes }
  const wrong = new Set(problems.map((problem) => problem.field))
  const examples = train === null ? [] : readExamples('train', train, reading)
  const held = validation === null ? null : readExamples('validation', validation, reading)
  if (job !== null && !wrong.has('base_model'))
    problems.push(...modelProblems(job, folder).filter((problem) => !wrong.has(problem.field)))
  const named = ['tuning_config.prompt_tuning_init_source_model', 'source_prompt_base']
  const source = job === null || named.some((field) => wrong.has(field)) ? null : sourceDirectory(job, reading)
  if (!checked.ok || problems.length > 0) throw new InvalidJob(problems)
  const { file } = checked
  return {
    file,
    train: examples,
    validation: held,
    modelDirectory: modelDirectory(file.job.base_model, folder),
    modelFolder: modelFolder(file.job.base_model, folder),
    sourceDirectory: source,
    notes,
  }
}
