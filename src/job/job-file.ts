/**
 * The job file: one JSON document that is a job plus its data and a name. It is what `npm run tune -- JOB.json` reads. Paths are
 * left as they are; whoever reads the files parses them with parseRecords.
 */
import { checkJob, isObject, show } from './check-job'
import type { Checked, Problem } from './check-job'
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

export type CheckedJobFile = Checked<{ readonly file: JobFile }>

const ACCEPTED = 'the path of a .json, .jsonl, .csv or .tsv file, or a list of records'

function dataSource(
  field: string,
  value: unknown,
  columns: ColumnMapping | null,
  problems: Problem[],
  notices: string[],
): DataSource | null {
  if (typeof value === 'string' && value.trim() !== '') return { kind: 'path', path: value }
  if (!Array.isArray(value)) {
    problems.push({
      field,
      message: value === undefined ? `missing; give ${ACCEPTED}` : `${show(value)} is not accepted; give ${ACCEPTED}`,
    })
    return null
  }
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

function columnMapping(value: unknown, problems: Problem[]): ColumnMapping | null {
  if (value === undefined || value === null) return null
  if (isObject(value) && typeof value.input === 'string' && typeof value.output === 'string' && Object.keys(value).length === 2) {
    return { input: value.input, output: value.output }
  }
  problems.push({
    field: 'columns',
    message: `${show(value)} is not accepted; give {"input": "its column", "output": "its column"}`,
  })
  return null
}

/** Checks a parsed job file (the JSON value, not its text). All problems at once; nothing throws. */
export function parseJobFile(json: unknown): CheckedJobFile {
  if (!isObject(json)) {
    return {
      ok: false,
      problems: [{ field: 'job', message: `${show(json)} is not accepted; give an object with train and base_model` }],
    }
  }
  const { name, train, validation, columns, ...rest } = json
  const problems: Problem[] = []
  const notices: string[] = []
  // A number is the share to hold out, which is the job's own field.
  const share = typeof validation === 'number' || validation === undefined
  const checked = checkJob(share && validation !== undefined ? { ...rest, validation } : rest)
  if (checked.ok) notices.push(...checked.notices)
  else problems.push(...checked.problems)

  if (name !== undefined && name !== null && (typeof name !== 'string' || name.trim() === '')) {
    problems.push({ field: 'name', message: `${show(name)} is not accepted; give text that is not empty` })
  }
  const mapping = columnMapping(columns, problems)
  const trainSource = dataSource('train', train, mapping, problems, notices)
  const validationSource = share || validation === null ? null : dataSource('validation', validation, mapping, problems, notices)
  if (!checked.ok || problems.length > 0 || trainSource === null) return { ok: false, problems }
  const file = {
    name: typeof name === 'string' ? name : null,
    job: checked.job,
    train: trainSource,
    validation: validationSource,
    columns: mapping,
  }
  return { ok: true, file, notices }
}
