/**
 * The job being configured, in three layers: the schema's defaults, what the chosen sample task suggests, and what the visitor
 * set. It knows the schema (src/job) and nothing of examples or models.
 */
import { checkJob } from '../../job/check-job'
import { fields, type Job } from '../../job/parameters'
import { isShown, type Field } from '../../job/field'
import { CATALOGUE } from '../../models/catalogue'
import { textOf } from '../settings/field-text'
import { changes, flatten, nest, omit, same, type Values } from '../logic/job-values'

const DEFAULTS: Values = {
  ...Object.fromEntries(fields().flatMap((field) => (field.default === undefined ? [] : [[field.path, field.default]]))),
  // The page starts with a model that needs no download; a job file has to name its own.
  base_model: CATALOGUE.find((model) => model.embedded)?.id ?? '',
}

export const KNOWN_PATHS: readonly string[] = fields().map((field) => field.path)

export class SettingsState {
  /** What the sample task (or the kind of data) suggests. */
  suggested = $state.raw<Values>({})
  /** What the visitor set, by path. */
  own = $state.raw<Values>({})

  readonly base: Values = $derived({ ...DEFAULTS, ...this.suggested })
  readonly values: Values = $derived({ ...this.base, ...this.own })
  /** The job file's JSON: base_model and what differs from the defaults. */
  readonly json: Record<string, unknown> = $derived(
    nest({ base_model: this.values['base_model'], ...changes(this.values, DEFAULTS) }),
  )
  readonly checked = $derived(checkJob(this.json))
  readonly job: Job | null = $derived(this.checked.ok ? this.checked.job : null)
  readonly problems: Readonly<Record<string, string>> = $derived(
    Object.fromEntries(this.checked.ok ? [] : this.checked.problems.map((problem) => [problem.field, problem.message])),
  )
  readonly correct: boolean = $derived(this.checked.ok)
  readonly notices: readonly string[] = $derived(this.checked.ok ? this.checked.notices : [])
  /** The fields a form shows now: not those another field's value hides, unless there is a problem with theirs. */
  readonly shown: readonly Field[] = $derived(
    fields().filter((field) => field.path in this.problems || isShown(field, (path) => this.values[path])),
  )

  readonly baseModel: string = $derived(textOf(this.values['base_model']))

  set(path: string, value: unknown): void {
    this.own = same(value, this.base[path]) ? omit(this.own, path) : { ...this.own, [path]: value }
  }

  reset(path: string): void {
    this.set(path, this.base[path])
  }

  resetAll(): void {
    this.own = changes({ base_model: this.values['base_model'] }, this.base)
  }

  isChanged(path: string): boolean {
    return path in this.own
  }

  suggest(values: Values): void {
    this.suggested = values
    this.own = changes(this.own, this.base)
  }

  /** Takes over a job (nested JSON) as it is, unchecked: problems then show at their fields. */
  load(json: unknown): void {
    this.own = changes(flatten(json), this.base)
  }

  /** What the address carries: all that differs from the schema's defaults and the sample's suggestion. */
  forAddress(): Values {
    return this.own
  }
}
