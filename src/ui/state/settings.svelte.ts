/**
 * The job being configured, in three layers: the schema's defaults, what the chosen sample task suggests, and what the visitor
 * set. It knows the schema (src/job) and nothing of examples or models.
 */
import { checkJob } from '../../job/check-job'
import type { Problem } from '../../job/problem'
import { fields, type Job } from '../../job/parameters'
import { isShown, type Field } from '../../job/field'
import { CATALOGUE } from '../../models/catalogue'
import { textOf } from '../settings/field-text'
import { canonical } from '../logic/canonical'
import { afterSample } from '../logic/model-choice'
import { changes, flatten, nest, omit, same, type Values } from '../logic/job-values'

const DEFAULTS: Values = {
  ...Object.fromEntries(fields().flatMap((field) => (field.default === undefined ? [] : [[field.path, field.default]]))),
  // The page starts with a model that needs no download; a job file has to name its own.
  base_model: CATALOGUE.find((model) => model.embedded)?.id ?? '',
}

export const KNOWN_PATHS: readonly string[] = fields().map((field) => field.path)
/** What an address may name: fields, and the one that has another name. */
export const ADDRESS_PATHS: readonly string[] = [...KNOWN_PATHS, 'lr']

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
  /** The job, with stand-ins for what is wrong in it: for what can be said about the rest of it. */
  readonly draft: Job | null = $derived(this.checked.ok ? this.checked.job : this.checked.rest)
  /** Every problem by field: the job's own, those it has with model, library and examples, and what the worker said of this very job. */
  readonly problems: Readonly<Record<string, string>> = $derived.by(() =>
    Object.fromEntries(
      [...this.refusedNow, ...this.around(), ...(this.checked.ok ? [] : this.checked.problems)].map((problem) => [
        problem.field,
        problem.message,
      ]),
    ),
  )
  /** Whether the job is one by itself. */
  readonly correct: boolean = $derived(this.checked.ok)
  /** Whether it can be tried: nothing speaks against it that a new try would not change. */
  readonly usable: boolean = $derived.by(() => this.checked.ok && this.around().length === 0)
  readonly notices: readonly string[] = $derived(this.checked.ok ? this.checked.notices : [])
  /** The fields a form shows now: not those another field's value hides, unless there is a problem with theirs. */
  readonly shown: readonly Field[] = $derived(
    fields().filter((field) => field.path in this.problems || isShown(field, (path) => this.values[path])),
  )

  /** Of the problems, those of names that are no fields. */
  readonly unknown: readonly Problem[] = $derived(
    (this.checked.ok ? [] : this.checked.problems).filter(({ field }) => !KNOWN_PATHS.includes(field)),
  )

  /** What the worker refused, with the job it was about. */
  private refused = $state.raw<{ readonly json: unknown; readonly problems: readonly Problem[] } | null>(null)
  private readonly refusedNow: readonly Problem[] = $derived(
    this.refused !== null && same(this.refused.json, this.json) ? this.refused.problems : [],
  )

  readonly baseModel: string = $derived(textOf(this.values['base_model']))

  /** The model the visitor had chosen when a sample brought its own; undefined: none. */
  private setAside: unknown

  /** @param around problems the job has with what is around it (AppState knows), read when they are needed */
  constructor(private readonly around: () => readonly Problem[] = () => []) {}

  set(path: string, value: unknown): void {
    this.own = same(value, this.base[path]) ? omit(this.own, path) : { ...this.own, [path]: value }
  }

  /** Several at once. */
  setAll(values: Values): void {
    this.own = changes({ ...this.own, ...values }, this.base)
  }

  /** Shows the worker's problems with the job at their fields, until the job changes. */
  refuse(problems: readonly Problem[]): void {
    this.refused = { json: this.json, problems }
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

  /** Takes what a sample task suggests; one made for a model brings that model. */
  suggest(values: Values): void {
    const { own, setAside } = afterSample({ own: this.own, setAside: this.setAside }, values)
    this.setAside = setAside
    this.suggested = values
    this.own = changes(own, this.base)
  }

  /** Takes over settings by path as they are, unchecked, in place of all that were set: problems then show at their fields. */
  adopt(values: Values): void {
    this.own = changes(canonical(values), this.base)
    this.setAside = undefined
  }

  /** The same with a job (nested JSON). */
  load(json: unknown): void {
    this.adopt(flatten(json))
  }

  /** What the address carries: all that differs from the schema's defaults and the sample's suggestion. */
  forAddress(): Values {
    return this.own
  }
}
