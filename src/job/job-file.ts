/**
 * The job file: one JSON document that is a job plus its data and a name. It is what `npm run tune -- JOB.json` reads. Paths are
 * left as they are; whoever reads the files parses them with parseRecords.
 */
import { checkJob } from './check-job'
import { isObject, show, showKey } from './json-value'
import type { Checked, Problem } from './problem'
import type { Job } from './parameters'
import { recordsFromObjects } from './records'
import type { ColumnMapping, ParsedRecords } from './records'

export type DataSource =
  { readonly kind: 'path'; readonly path: string } | { readonly kind: 'inline'; readonly records: ParsedRecords }

export interface JobFile {
  /** Name for the finished prompt; null: the reader's choice. */
  readonly name: string | null
  readonly job: Job
  readonly train: DataSource
  /** null: job.validation's share of the training examples. */
  readonly validation: DataSource | null
  /** How the columns of every data file and inline record are called; null: as usual. */
  readonly columns: ColumnMapping | null
}

/** What could be read of a wrong job file, so that more of it can be checked at once. */
export interface PartOfJobFile {
  /** With stand-ins for what is wrong. */
  readonly job: Job | null
  readonly train: DataSource | null
  readonly validation: DataSource | null
  readonly columns: ColumnMapping | null
}

export type CheckedJobFile = Checked<{ readonly file: JobFile }, { readonly rest: PartOfJobFile }>

const ACCEPTED = 'the path of a .json, .jsonl, .csv or .tsv file, or a list of records'

/** The keys a job file has besides those of the job, for the docs. */
export const JOB_FILE_KEYS: readonly {
  readonly key: string
  readonly accepted: string
  readonly default: string
  readonly help: string
}[] = [
  {
    key: 'train',
    accepted: ACCEPTED,
    default: 'required',
    help: 'The examples to learn from. A path is relative to the job file. A record is `{"input": ..., "output": ...}`, `{"text": ..., "labels": [...]}`, or has the columns that `columns` names; with several tasks also a `"task"`.',
  },
  {
    key: 'validation',
    accepted: `a number from 0 to 0.9, ${ACCEPTED}`,
    default: '0.2',
    help: 'The share of the training examples to hold out (see Validation below), or examples of their own.',
  },
  {
    key: 'columns',
    accepted: '`{"input": ..., "output": ..., "task": ...}`, the last one optional',
    default: 'null',
    help: 'What the columns are called in every data file and inline record, where they are not called so.',
  },
  {
    key: 'name',
    accepted: 'text that is not empty',
    default: 'null',
    help: 'Name of the finished prompt. null: the reader chooses one.',
  },
  {
    key: 'lr',
    accepted: 'as `learning_rate`',
    default: '',
    help: 'Another name of `learning_rate`. Both with different values is an error.',
  },
]

/** @param columns undefined: wrong; then nothing can be said of the records, nor read from them */
function dataSource(
  field: string,
  value: unknown,
  columns: ColumnMapping | null | undefined,
  problems: Problem[],
  notices: string[],
): DataSource | null {
  if (typeof value === 'string' && value.trim() !== '') return columns === undefined ? null : { kind: 'path', path: value }
  if (!Array.isArray(value)) {
    problems.push({
      field,
      message: value === undefined ? `missing; give ${ACCEPTED}` : `${show(value)} is not accepted; give ${ACCEPTED}`,
    })
    return null
  }
  if (columns === undefined) return null
  const records = recordsFromObjects(value, columns ? { columns } : {})
  const first = records.skipped[0]
  if (records.examples.length === 0) {
    const why = first ? `; record ${first.line}: ${first.reason}` : ''
    problems.push({
      field,
      message: `${show(value)} holds no usable record${why}; give records like {"input": "...", "output": "..."}`,
    })
  } else if (first) {
    notices.push(`${field}: ${records.skipped.length} records skipped, the first is record ${first.line}: ${first.reason}.`)
  }
  return { kind: 'inline', records }
}

/** @returns null without a mapping, undefined for a wrong one */
function columnMapping(value: unknown, problems: Problem[]): ColumnMapping | null | undefined {
  if (value === undefined || value === null) return null
  const { input, output, task, ...others } = isObject(value) ? value : {}
  const unknown = Object.keys(others)[0]
  if (typeof input === 'string' && typeof output === 'string' && unknown === undefined) {
    if (task === undefined || task === null || typeof task === 'string')
      return { input, output, ...(task === undefined ? {} : { task }) }
  }
  const what = unknown === undefined ? show(value) : `the key "${showKey(unknown)}"`
  problems.push({
    field: 'columns',
    message: `${what} is not accepted; give {"input": "its column", "output": "its column"}, and "task" where records have one`,
  })
  return undefined
}

/** `validation` where it is neither a share nor left out. */
function validationSource(
  value: unknown,
  columns: ColumnMapping | null | undefined,
  problems: Problem[],
  notices: string[],
): DataSource | null {
  if (typeof value === 'string' && value.trim() !== '' && Number.isFinite(Number(value))) {
    problems.push({ field: 'validation', message: `${show(value)} is text; give the number ${Number(value)}, or ${ACCEPTED}` })
    return null
  }
  return dataSource('validation', value, columns, problems, notices)
}

/** Checks a parsed job file (the JSON value, not its text). All problems at once; nothing throws. */
export function parseJobFile(json: unknown): CheckedJobFile {
  if (!isObject(json)) {
    const message = `${show(json)} is not accepted; give an object such as {"base_model": "...", "train": [...]}`
    return {
      ok: false,
      problems: [{ field: 'job', message }],
      rest: { job: null, train: null, validation: null, columns: null },
    }
  }
  const { name, train, validation, columns, ...fields } = json
  const problems: Problem[] = []
  const notices: string[] = []
  // A number is the share to hold out, which is the job's own field; null is that field's default.
  const own = typeof validation === 'number' || validation === undefined || validation === null
  const checked = checkJob(typeof validation === 'number' ? { ...fields, validation } : fields)
  if (checked.ok) notices.push(...checked.notices)
  else problems.push(...checked.problems)

  if (name !== undefined && name !== null && (typeof name !== 'string' || name.trim() === '')) {
    problems.push({ field: 'name', message: `${show(name)} is not accepted; give text that is not empty` })
  }
  const mapping = columnMapping(columns, problems)
  const data = {
    train: dataSource('train', train, mapping, problems, notices),
    validation: own ? null : validationSource(validation, mapping, problems, notices),
    columns: mapping ?? null,
  }
  if (!checked.ok || problems.length > 0 || data.train === null) {
    return { ok: false, problems, rest: { job: checked.ok ? checked.job : checked.rest, ...data } }
  }
  const file = { ...data, train: data.train, name: typeof name === 'string' ? name : null, job: checked.job }
  return { ok: true, file, notices }
}
