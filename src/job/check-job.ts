/**
 * Checks a job: any JSON goes in, out comes a complete job or every problem at once, each naming its field, the value and what
 * is accepted. Nothing is downloaded or read here, and nothing throws.
 */
import * as v from 'valibot'
import type { FieldInfo } from './field'
import { nearest } from './nearest'
import { fields, JOB_KEYS, JobSchema, TUNING_CONFIG_KEYS } from './parameters'
import type { Job } from './parameters'
import { withPreset } from './presets'
import { verbalizerProblem } from './verbalizer'

export interface Problem {
  /** Dotted path of the field; "job" for the document itself. */
  readonly field: string
  readonly message: string
}

export type Checked<T> =
  ({ readonly ok: true; readonly notices: readonly string[] } & T) | { readonly ok: false; readonly problems: readonly Problem[] }
export type CheckedJob = Checked<{ readonly job: Job }>

type Json = Readonly<Record<string, unknown>>

/** A JSON object, as opposed to null, an array or anything else. */
export const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)

/** A value for a message: short, and never a reason to throw. */
export function show(value: unknown): string {
  if (Array.isArray(value)) return value.length > 4 ? `a list of ${value.length}` : `[${value.map(show).join(', ')}]`.slice(0, 80)
  if (isObject(value)) return 'an object'
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}...` : value)
  return String(value)
}

const byPath: ReadonlyMap<string, FieldInfo> = new Map(fields().map((field) => [field.path, field]))
/** Part of a job file, not of the job itself. */
const DATA_KEYS = ['train', 'name', 'columns']

function notAccepted(path: string, value: unknown): string {
  const accepted = byPath.get(path)?.accepted ?? 'an object'
  return value === undefined ? `missing; give ${accepted}` : `${show(value)} is not accepted; give ${accepted}`
}

/** What to say where the plain "is not accepted" would leave someone puzzled; null elsewhere. */
function better(path: string, value: unknown): string | null {
  if (path === 'device' && typeof value === 'string' && /^(cuda|gpu|mps)/i.test(value)) {
    return `${show(value)} is not accepted: in a browser the graphics card is "webgpu"; give ${byPath.get(path)?.accepted ?? ''}`
  }
  return null
}

/** Copies the known keys of `from`; unknown ones become problems that name the nearest known key. */
function knownKeys(from: Json, prefix: string, known: readonly string[], problems: Problem[]): Record<string, unknown> {
  const kept: Record<string, unknown> = {}
  for (const key of Object.keys(from)) {
    if (known.includes(key)) {
      kept[key] = from[key]
      continue
    }
    const field = (prefix + key).slice(0, 120)
    if (prefix === '' && DATA_KEYS.includes(key)) {
      problems.push({ field, message: 'belongs in a job file, beside the job, not in the job itself' })
    } else if (prefix === '' && TUNING_CONFIG_KEYS.includes(key)) {
      problems.push({ field, message: `belongs inside tuning_config: write tuning_config.${key}` })
    } else if (prefix !== '' && JOB_KEYS.includes(key)) {
      problems.push({ field, message: `belongs outside tuning_config: write ${key} beside it` })
    } else {
      problems.push({ field, message: `no such field; the nearest is ${prefix}${nearest(key, known)}` })
    }
  }
  return kept
}

/** `lr` is another name of `learning_rate`. */
function resolveAlias(job: Record<string, unknown>, problems: Problem[]): void {
  const { lr, learning_rate } = job
  delete job.lr
  if (lr === undefined) return
  if (learning_rate === undefined) job.learning_rate = lr
  else if (learning_rate !== lr) {
    const message = `${show(lr)} and learning_rate ${show(learning_rate)} contradict each other; they are one field, give one of them`
    problems.push({ field: 'lr', message })
  }
}

/** An option's other name becomes the option. */
function resolveOptions(from: Record<string, unknown>, prefix: string): void {
  for (const [key, value] of Object.entries(from)) {
    const aliases = byPath.get(prefix + key)?.aliases
    if (aliases !== undefined && typeof value === 'string' && Object.hasOwn(aliases, value)) from[key] = aliases[value]
  }
}

function normalise(json: Json, problems: Problem[]): Record<string, unknown> {
  const job = knownKeys(json, '', [...JOB_KEYS, 'lr'], problems)
  resolveAlias(job, problems)
  resolveOptions(job, '')
  if (isObject(job.tuning_config)) {
    const config = knownKeys(job.tuning_config, 'tuning_config.', TUNING_CONFIG_KEYS, problems)
    resolveOptions(config, 'tuning_config.')
    job.tuning_config = config
  }
  return job
}

/** Rules between fields, and what a field's own schema can't say. */
function checkMeaning(job: Job, problems: Problem[], notices: string[]): void {
  const template = verbalizerProblem(job.verbalizer)
  if (template !== null) problems.push({ field: 'verbalizer', message: template })

  const { prompt_tuning_init_method: method, prompt_tuning_init_text: initText } = job.tuning_config
  if (method === 'TEXT' && initText.trim() === '') {
    const message = `${show(initText)} is not accepted with prompt_tuning_init_method "TEXT"; give the text to start from`
    problems.push({ field: 'tuning_config.prompt_tuning_init_text', message })
  } else if (method !== 'TEXT' && initText !== '') {
    notices.push(`tuning_config.prompt_tuning_init_text is ignored: prompt_tuning_init_method is "${method}", not "TEXT".`)
  }
  if (job.torch_dtype !== 'float32') {
    const file = job.torch_dtype === 'float16' ? ' A float16 file is chosen with model_dtype "fp16".' : ''
    notices.push(`torch_dtype "${job.torch_dtype}" falls back to "float32": every device here computes in float32.${file}`)
  }
}

/** Bare shape of a job with its values checked one by one; `null` when a value is wrong. */
function parse(json: Record<string, unknown>, problems: Problem[]): Job | null {
  const parsed = v.safeParse(JobSchema, json)
  if (parsed.success) return parsed.output
  const seen = new Set<string>()
  for (const issue of parsed.issues) {
    const path = v.getDotPath(issue) ?? 'job'
    // A list's elements are reported as the list.
    const field = [...byPath.keys()].find((known) => path === known || path.startsWith(`${known}.`)) ?? path
    if (seen.has(field)) continue
    seen.add(field)
    const value = valueAt(json, field)
    problems.push({ field, message: better(field, value) ?? notAccepted(field, value) })
  }
  return null
}

function valueAt(json: Json, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>((value, key) => (isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined), json)
}

/** The meaning of the parts that parsed, when others did not: so that all problems come at once. */
function checkParts(json: Record<string, unknown>, problems: Problem[], notices: string[]): void {
  const wrong = new Set(problems.map((problem) => problem.field))
  const config = isObject(json.tuning_config) ? json.tuning_config : {}
  const right = (from: Json, prefix: string): Json =>
    Object.fromEntries(Object.entries(from).filter(([key]) => key !== 'tuning_config' && !wrong.has(prefix + key)))
  const patched = v.safeParse(JobSchema, {
    ...right(json, ''),
    base_model: 'any',
    tuning_config: right(config, 'tuning_config.'),
  })
  if (!patched.success) return
  const more: Problem[] = []
  checkMeaning(patched.output, more, notices)
  // A wrong init method was left out here, so nothing can be said of the text that goes with it.
  problems.push(...more.filter((problem) => !wrong.has(problem.field)))
}

/**
 * @returns the complete job with all defaults filled in (checking it again gives the same job), or all its problems. Notices are
 * sentences about what is accepted but ignored or replaced.
 */
export function checkJob(json: unknown): CheckedJob {
  if (!isObject(json)) {
    return { ok: false, problems: [{ field: 'job', message: `${show(json)} is not accepted; give an object of fields` }] }
  }
  const problems: Problem[] = []
  const notices: string[] = []
  const plain = withPreset(normalise(json, problems))
  const job = parse(plain, problems)
  if (job === null) checkParts(plain, problems, notices)
  else checkMeaning(job, problems, notices)
  if (job === null || problems.length > 0) return { ok: false, problems }
  return { ok: true, job: { ...job, torch_dtype: 'float32' }, notices }
}
