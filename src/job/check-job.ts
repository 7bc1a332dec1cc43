/**
 * Checks a job: any JSON goes in, out comes a complete job or every problem at once, each naming its field, the value and what
 * is accepted. Nothing is downloaded or read here, and nothing throws.
 */
import * as v from 'valibot'
import type { FieldInfo } from './field'
import { isObject, show, showKey } from './json-value'
import type { Json } from './json-value'
import { nearest } from './nearest'
import { fields, JOB_KEYS, JobSchema, TUNING_CONFIG_KEYS } from './parameters'
import type { Job } from './parameters'
import { withPreset } from './presets'
import type { Checked, Problem } from './problem'
import { checkRules } from './rules'

export type { Problem } from './problem'

/** `rest` is the job with stand-ins for what is wrong, so that more can be checked at once; null when there is no job at all. */
export type CheckedJob = Checked<{ readonly job: Job }, { readonly rest: Job | null }>

const byPath: ReadonlyMap<string, FieldInfo> = new Map(fields().map((field) => [field.path, field]))
/** Part of a job file, not of the job itself. */
const DATA_KEYS = ['train', 'name', 'columns']
/** What PEFT's configs and HF transformers' TrainingArguments call things that have another name here. */
const OTHER_NAMES: ReadonlyMap<string, string> = new Map([
  ['base_model_name_or_path', 'base_model'],
  ['model_name_or_path', 'base_model'],
  ['peft_type', 'tuning_type'],
  ['prompt_tuning_init', 'tuning_config.prompt_tuning_init_method'],
  ['prompt_tuning_init_state_dict_path', 'tuning_config.prompt_tuning_init_source_model'],
  ['num_transformer_submodules', 'tuning_config.output_model_types'],
  ['num_train_epochs', 'num_epochs'],
  ['per_device_train_batch_size', 'batch_size'],
  ['gradient_accumulation_steps', 'accumulate_steps'],
  ['lr_scheduler_type', 'schedule'],
  ['optim', 'optimizer'],
  ['dtype', 'model_dtype'],
])
/** Unknown keys that are named one by one; a file with more is no job. */
const MOST_UNKNOWN = 20

function notAccepted(path: string, value: unknown): string {
  const accepted = byPath.get(path)?.accepted ?? 'an object'
  if (value === undefined) return `missing; give ${accepted}`
  if (path === 'device' && typeof value === 'string' && /^(cuda|gpu|mps)/i.test(value))
    return `${show(value)} is not accepted: in a browser the graphics card is "webgpu"; give ${accepted}`
  return `${show(value)} is not accepted; give ${accepted}`
}

function unknownKey(key: string, prefix: string, known: readonly string[]): string {
  if (prefix === '' && DATA_KEYS.includes(key)) return 'belongs in a job file, beside the job, not in the job itself'
  if (prefix === '' && TUNING_CONFIG_KEYS.includes(key)) return `belongs inside tuning_config: write tuning_config.${key}`
  if (prefix !== '' && JOB_KEYS.includes(key)) return `belongs outside tuning_config: write ${key} beside it`
  const here = OTHER_NAMES.get(key)
  if (here !== undefined) return `no such field; it is called ${here} here`
  return `no such field; the nearest is ${nearestPlace(key, prefix, known)}`
}

/** The nearest key in the same object (the first of equals), or in the other one. */
function nearestPlace(key: string, prefix: string, known: readonly string[]): string {
  const found = nearest(key, prefix === '' ? [...known, ...DATA_KEYS, ...TUNING_CONFIG_KEYS] : [...known, ...JOB_KEYS])
  if (prefix === '') return TUNING_CONFIG_KEYS.includes(found) ? `tuning_config.${found}` : found
  return known.includes(found) ? prefix + found : `${found}, outside tuning_config`
}

/** Copies the known keys of `from`; unknown ones become problems that name the nearest known key. */
function knownKeys(from: Json, prefix: string, known: readonly string[], problems: Problem[]): Record<string, unknown> {
  const keys = Object.keys(from)
  const unknown = keys.filter((key) => !known.includes(key))
  for (const key of unknown.slice(0, MOST_UNKNOWN))
    problems.push({ field: prefix + showKey(key), message: unknownKey(key, prefix, known) })
  const more = unknown.length - MOST_UNKNOWN
  if (more > 0)
    problems.push({ field: prefix === '' ? 'job' : 'tuning_config', message: `${more} more keys are no fields of it` })
  return Object.fromEntries(keys.filter((key) => known.includes(key)).map((key) => [key, from[key]]))
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

function valueAt(json: Json, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>((value, key) => (isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined), json)
}

/** Values checked one by one. @returns the paths of the wrong ones, each of which is now a problem */
function wrongFields(json: Json, issues: readonly v.BaseIssue<unknown>[], problems: Problem[]): ReadonlySet<string> {
  const wrong = new Set<string>()
  for (const issue of issues) {
    const path = v.getDotPath(issue) ?? 'job'
    if (wrong.has(path)) continue
    wrong.add(path)
    problems.push({ field: path, message: notAccepted(path, valueAt(json, path)) })
  }
  return wrong
}

/** The job with its wrong fields left to their defaults. */
function withoutWrong(json: Json, wrong: ReadonlySet<string>): Job | null {
  const right = (from: Json, prefix: string): Json =>
    Object.fromEntries(Object.entries(from).filter(([key]) => !wrong.has(prefix + key)))
  const config = isObject(json.tuning_config) ? right(json.tuning_config, 'tuning_config.') : {}
  // The one field without a default.
  const parsed = v.safeParse(JobSchema, { base_model: '-', ...right(json, ''), tuning_config: config })
  return parsed.success ? parsed.output : null
}

/**
 * @returns the complete job with all defaults filled in (checking it again gives the same job), or all its problems.
 */
export function checkJob(json: unknown): CheckedJob {
  if (!isObject(json)) {
    const message = `${show(json)} is not accepted; give an object of fields`
    return { ok: false, problems: [{ field: 'job', message }], rest: null }
  }
  const problems: Problem[] = []
  const plain = withPreset(normalise(json, problems))
  const parsed = v.safeParse(JobSchema, plain)
  const wrong = parsed.success ? new Set<string>() : wrongFields(plain, parsed.issues, problems)
  const job = parsed.success ? parsed.output : withoutWrong(plain, wrong)
  const rules = job === null ? { problems: [], notices: [] } : checkRules(job, wrong)
  problems.push(...rules.problems)
  if (job === null || problems.length > 0) return { ok: false, problems, rest: job }
  // What the notice about bfloat16 says.
  const torch_dtype = job.torch_dtype === 'bfloat16' ? 'float32' : job.torch_dtype
  return { ok: true, job: { ...job, torch_dtype }, notices: rules.notices }
}
