/**
 * Checks an answer's parameters: any JSON goes in, out come complete parameters or every problem at once, each naming its field, the value and
 * what is accepted. Nothing throws.
 */
import * as v from 'valibot'
import { isObject, show, showKey, type Json } from '../../job/json-value'
import { nearest } from '../../job/nearest'
import type { Checked, Problem } from '../../job/problem'
import {
  GENERATION_DEFAULTS,
  GENERATION_KEYS,
  generationFields,
  GenerationSchema,
  LENGTH_PENALTY,
  LENGTH_PENALTY_KEYS,
} from './parameters'
import type { GenerationParameters } from './parameters'

export type CheckedGeneration = Checked<{ readonly parameters: GenerationParameters }, object>

const ACCEPTED: ReadonlyMap<string, string> = new Map([
  ...generationFields().map((field): [string, string] => [field.path, field.accepted]),
  [LENGTH_PENALTY, `null or an object of ${LENGTH_PENALTY_KEYS.join(' and ')}`],
])
const SAMPLING_ONLY = generationFields().filter((field) => field.shown_when !== undefined)

/** Unknown keys that are named one by one. */
const MOST_UNKNOWN = 20

/** The known keys; unknown ones become problems that name the nearest known key. */
function knownKeys(from: Json, prefix: string, known: readonly string[], problems: Problem[]): Record<string, unknown> {
  const keys = Object.keys(from)
  const unknown = keys.filter((key) => !known.includes(key))
  for (const key of unknown.slice(0, MOST_UNKNOWN)) {
    problems.push({ field: prefix + showKey(key), message: `no such field; the nearest is ${prefix}${nearest(key, known)}` })
  }
  const more = unknown.length - MOST_UNKNOWN
  if (more > 0)
    problems.push({ field: prefix === '' ? 'parameters' : LENGTH_PENALTY, message: `${more} more keys are no fields of it` })
  return Object.fromEntries(keys.filter((key) => known.includes(key)).map((key) => [key, from[key]]))
}

const valueAt = (json: Json, path: string): unknown =>
  path.split('.').reduce<unknown>((value, key) => (isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined), json)

function addIssues(issues: readonly v.BaseIssue<unknown>[], json: Json, problems: Problem[]): void {
  for (const issue of issues) {
    const path = v.getDotPath(issue) ?? ''
    // A list's elements are reported as the list.
    const field = [...ACCEPTED.keys()].find((known) => path === known) ?? path.split('.')[0] ?? path
    if (problems.some((problem) => problem.field === field)) continue
    const value = valueAt(json, field)
    const accepted = ACCEPTED.get(field) ?? 'another value'
    problems.push({
      field,
      message: value === undefined ? `missing; give ${accepted}` : `${show(value)} is not accepted; give ${accepted}`,
    })
  }
}

/** Said of the two alone, so that it is said also when other values are wrong. */
function checkLengths(json: Json, problems: Problem[]): void {
  const { max_new_tokens: max = GENERATION_DEFAULTS.max_new_tokens, min_new_tokens: min = GENERATION_DEFAULTS.min_new_tokens } =
    json
  const wrong = problems.some(({ field }) => field === 'max_new_tokens' || field === 'min_new_tokens')
  if (wrong || typeof max !== 'number' || typeof min !== 'number' || max >= min) return
  problems.push({
    field: 'max_new_tokens',
    message: `${show(max)} is less than min_new_tokens, which is ${show(min)}; give at least as much`,
  })
}

/**
 * @returns the complete parameters with all defaults filled in (checking them again gives the same), or all problems. Notices are sentences
 * about what is given but not used.
 */
export function checkGeneration(json: unknown): CheckedGeneration {
  if (!isObject(json)) {
    return { ok: false, problems: [{ field: 'parameters', message: `${show(json)} is not accepted; give an object of fields` }] }
  }
  const problems: Problem[] = []
  const known = knownKeys(json, '', GENERATION_KEYS, problems)
  const penalty = known[LENGTH_PENALTY]
  if (isObject(penalty)) known[LENGTH_PENALTY] = knownKeys(penalty, `${LENGTH_PENALTY}.`, LENGTH_PENALTY_KEYS, problems)
  const parsed = v.safeParse(GenerationSchema, known)
  if (!parsed.success) addIssues(parsed.issues, known, problems)
  checkLengths(known, problems)
  if (!parsed.success || problems.length > 0) return { ok: false, problems }
  const unused = parsed.output.decoding_method === 'GREEDY' ? SAMPLING_ONLY.filter(({ path }) => known[path] !== undefined) : []
  return {
    ok: true,
    parameters: parsed.output,
    notices: unused.map(({ path }) => `${path} is ignored: decoding_method is "GREEDY", not "SAMPLING".`),
  }
}
