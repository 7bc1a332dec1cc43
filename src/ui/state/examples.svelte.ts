/** The examples: where they came from, the rows, what was skipped, and how the model will read them. */
import * as v from 'valibot'
import type { TunerClient } from '../../client'
import {
  recordsFromObjects,
  RecordsError,
  type ColumnMapping,
  type Columns,
  type Example,
  type ParsedRecords,
} from '../../job/records'
import type { ModelKind } from '../../models/config'
import type { Failure, FileEntry, Preview } from '../../protocol'
import { flatten } from '../logic/job-values'
import { CardsSchema, type Measured } from '../logic/measured'
import { countTasks, overlapOf } from '../logic/row-facts'
import { totalSteps } from '../logic/step-count'
import { pageFailure } from './failure'
import { LivePreview } from './preview.svelte'
import { FileReading, type Source } from './reading.svelte'
import type { SettingsState } from './settings.svelte'

const Sample = v.object({
  name: v.string(),
  group: v.picklist(['causal', 'seq2seq', 'multitask']),
  title: v.string(),
  explanation: v.string(),
})
/** With how many rows are learned from, and how many held out. */
const SampleIndex = v.array(v.object({ ...Sample.entries, examples: v.number(), validation: v.number() }))
const SampleRows = v.array(v.object({ input: v.string(), output: v.string(), task: v.exactOptional(v.string()) }))
const SampleFile = v.object({
  ...Sample.entries,
  job: v.record(v.string(), v.unknown()),
  examples: SampleRows,
  validation: SampleRows,
})
export type SampleInfo = v.InferOutput<typeof SampleIndex>[number]

const NAMED = /^[\w-]{1,60}$/
const KEPT = 'The examples you had are kept.'

/** Examples for validation of their own. */
export interface OwnValidation {
  readonly title: string
  readonly parsed: ParsedRecords
}

export class ExamplesState {
  samples = $state.raw<readonly SampleInfo[]>([])
  /** What the samples were measured at, by name; of those that were. */
  cards = $state.raw<Readonly<Record<string, Measured>>>({})
  /** Name of the sample in use, null for the visitor's own examples. */
  sample = $state<string | null>(null)
  title = $state('')
  rows = $state.raw<readonly Example[]>([])
  /** Validation examples of their own; null: a share of the rows is held out. */
  ownValidation = $state.raw<OwnValidation | null>(null)
  parsed = $state.raw<ParsedRecords | null>(null)
  /** A file whose columns could not be told: waits for a mapping. */
  unmapped = $state.raw<(Source & { readonly found: Columns; readonly why: string }) | null>(null)
  mapping = $state.raw<ColumnMapping | null>(null)
  failure = $state.raw<Failure | null>(null)
  /** Put a space in front of outputs that start with none (own examples only). */
  spaced = $state(false)
  edited = $state(false)
  readonly reading = new FileReading()
  readonly readingValidation = new FileReading()
  readonly live: LivePreview

  private readonly bare: boolean = $derived(this.rows.some((row) => !/^\s/.test(row.output)))
  /** A causal model goes on with the text, so its output starts with a space; an encoder-decoder's answer stands alone. */
  private readonly goesOn: boolean = $derived.by(() => this.kind() !== 'seq2seq')
  readonly lacksSpace: boolean = $derived(this.bare && this.goesOn)
  private readonly spaces: boolean = $derived(this.spaced && this.goesOn)
  /** The rows as they are sent to the worker. */
  readonly ready: readonly Example[] = $derived(this.spaces ? this.rows.map(withSpace) : this.rows)
  readonly validation: readonly Example[] | null = $derived(this.ownValidation?.parsed.examples ?? null)
  readonly readyValidation: readonly Example[] | null = $derived(
    this.validation === null ? null : this.spaces ? this.validation.map(withSpace) : this.validation,
  )
  /** How many rows each task has; rows without one are under "". Empty while no row has a task. */
  readonly tasks: ReadonlyMap<string, number> = $derived(countTasks(this.rows))
  /** How many validation rows have an input that is trained on, too: they measure memory, not the task. */
  readonly overlap: number = $derived(this.validation === null ? 0 : overlapOf(this.rows, this.validation))
  /** What the examples become, with the steps of the whole job. */
  readonly preview: Preview | null = $derived.by(() => {
    const { current } = this.live
    const { job } = this.settings
    if (!current || !job || (current.asked === current.of && this.validation === null)) return current
    return { ...current, total_steps: totalSteps(job, current.of, this.validation !== null) }
  })

  /** What the rows were read from, where they can be read again. */
  private source = $state.raw<Source | null>(null)

  constructor(
    client: TunerClient,
    private readonly settings: SettingsState,
    /** Of the model the settings name; null: not known. */
    private readonly kind: () => ModelKind | null,
  ) {
    this.live = new LivePreview(client)
  }

  /** The columns of the rows in use, to choose others of; null where they can't be read again. */
  get columns(): Columns | null {
    return this.source === null ? null : this.parsed
  }

  get previewFailure(): Failure | null {
    return this.live.failure
  }

  async loadIndex(): Promise<void> {
    try {
      this.samples = v.parse(SampleIndex, await fetchJson('samples/index.json'))
    } catch (error) {
      this.failure = pageFailure(
        `The list of sample tasks could not be read: ${messageOf(error)}`,
        'Give examples of your own, or reload the page.',
      )
      return
    }
    // Nothing depends on these: without them the samples are as good.
    this.cards = await fetchJson('samples/cards.json').then(
      (json) => v.parse(CardsSchema, json),
      () => ({}),
    )
  }

  /** Takes a sample task and what it suggests for the settings. */
  async useSample(name: string): Promise<boolean> {
    this.failure = null
    try {
      if (!NAMED.test(name)) throw new Error('there is no sample task of this name')
      const file = v.parse(SampleFile, await fetchJson(`samples/${name}.json`))
      this.take(file.title, file.examples, null)
      this.ownValidation = { title: file.title, parsed: recordsFromObjects(file.validation) }
      this.sample = name
      this.spaced = false
      this.settings.suggest(flatten(file.job))
      return true
    } catch (error) {
      this.failure = pageFailure(
        `The sample task "${name}" could not be read: ${messageOf(error)}`,
        'Choose another, or reload the page.',
      )
      return false
    }
  }

  /** Reads a file; when its columns are called otherwise, asks which is which. */
  useFile(file: FileEntry): Promise<void> {
    return this.readOwn({ title: file.path, data: file.blob }, null)
  }

  useText(title: string, text: string): Promise<void> {
    return this.readOwn({ title, data: text }, null)
  }

  /** Reads the same file or text again with other columns. */
  async remap(columns: ColumnMapping): Promise<void> {
    const source = this.unmapped ?? this.source
    if (source) await this.readOwn({ title: source.title, data: source.data }, columns)
  }

  private async readOwn(source: Source, mapping: ColumnMapping | null): Promise<void> {
    this.failure = null
    if (mapping === null) this.unmapped = null
    try {
      const parsed = await this.reading.read(source, mapping)
      if (parsed === null) return
      requireRows(parsed, source.title)
      this.takeOwn(source.title, parsed.examples, parsed)
      this.mapping = mapping
      this.source = source
    } catch (error) {
      if (error instanceof RecordsError && error.found !== null && error.found.columns.length > 1 && mapping === null) {
        this.unmapped = { ...source, found: error.found, why: error.message }
        return
      }
      const what = error instanceof RecordsError ? ' Correct the file, then give it once more.' : ''
      this.failure = pageFailure(messageOf(error), KEPT + what)
    }
  }

  /** Records out of a job file. */
  useRecords(
    title: string,
    values: readonly unknown[],
    columns: ColumnMapping | null,
    validation: readonly unknown[] | null,
  ): void {
    const options = columns ? { columns } : {}
    const parsed = recordsFromObjects(values, options)
    this.takeOwn(title, parsed.examples, parsed)
    // A job file means its records as they are.
    this.spaced = false
    if (validation !== null) this.ownValidation = { title, parsed: recordsFromObjects(validation, options) }
  }

  /** Reads a file of validation examples, with the columns of the examples. */
  async useValidationFile(file: FileEntry): Promise<void> {
    this.failure = null
    try {
      const parsed = await this.readingValidation.read({ title: file.path, data: file.blob }, this.mapping)
      if (parsed === null) return
      requireRows(parsed, file.path)
      this.ownValidation = { title: file.path, parsed }
    } catch (error) {
      this.failure = pageFailure(messageOf(error), `${KEPT} Validation files are read like the examples, with the same columns.`)
    }
  }

  edit(index: number, row: Example): void {
    this.rows = this.rows.map((old, i) => (i === index ? { ...old, input: row.input, output: row.output } : old))
    this.own()
  }

  add(row: Example): void {
    this.rows = [row, ...this.rows]
    this.own()
  }

  remove(index: number): Example | null {
    const removed = this.rows[index] ?? null
    this.rows = this.rows.filter((_, i) => i !== index)
    this.own()
    return removed
  }

  insert(index: number, row: Example): void {
    this.rows = [...this.rows.slice(0, index), row, ...this.rows.slice(index)]
    this.own()
  }

  /** Asks the worker what the examples become: of many rows a sample, unless `all` are wanted. Only the latest question counts. */
  refreshPreview(all = false): Promise<void> {
    const { json } = this.settings
    // Rows of their own for validation: none of these are held out.
    const job = this.validation === null ? json : { ...json, validation: 0 }
    return this.live.ask({ job, rows: this.ready, all })
  }

  private take(title: string, rows: readonly Example[], parsed: ParsedRecords | null): void {
    // Whatever is still being read was meant for the rows before.
    this.reading.cancel()
    this.readingValidation.cancel()
    this.title = title
    this.rows = rows
    this.parsed = parsed
    this.ownValidation = null
    this.unmapped = null
    this.mapping = null
    this.source = null
    this.edited = false
    this.live.clear()
  }

  private takeOwn(title: string, rows: readonly Example[], parsed: ParsedRecords): void {
    this.take(title, rows, parsed)
    this.sample = null
    this.spaced = this.bare
    // The sample's epochs were for the sample; its template is a good start for any task, and the model stays what it is.
    const { baseModel, suggested } = this.settings
    const { verbalizer } = suggested
    this.settings.suggest(verbalizer === undefined ? {} : { verbalizer })
    this.settings.set('base_model', baseModel)
  }

  /** Once edited, the rows are the visitor's own: the address no longer names the sample. */
  private own(): void {
    this.edited = true
    this.sample = null
  }
}

/** @throws RecordsError when not a single row can be used */
function requireRows(parsed: ParsedRecords, title: string): void {
  if (parsed.examples.length > 0) return
  const first = parsed.skipped[0]
  throw new RecordsError(
    `${title}: no usable row${first ? `; line ${first.line}: ${first.reason}` : ''}`,
    first?.line ?? null,
    parsed,
  )
}

const withSpace = (row: Example): Example => (/^\s/.test(row.output) ? row : { ...row, output: ` ${row.output}` })

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

async function fetchJson(path: string): Promise<unknown> {
  const response = await fetch(new URL(path, document.baseURI))
  if (!response.ok) throw new Error(`${path} answered ${response.status}`)
  return response.json()
}
