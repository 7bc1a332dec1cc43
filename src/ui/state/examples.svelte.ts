/** The examples: where they came from, the rows, what was skipped, and how the model will read them. */
import * as v from 'valibot'
import type { TunerClient } from '../../client'
import {
  parseRecords,
  recordsFromObjects,
  RecordsError,
  type ColumnMapping,
  type Example,
  type ParsedRecords,
} from '../../job/records'
import type { Failure, FileEntry, Preview } from '../../protocol'
import { flatten } from '../logic/job-values'
import { failureOf, pageFailure } from './failure'
import type { SettingsState } from './settings.svelte'

const Sample = v.object({ name: v.string(), title: v.string(), explanation: v.string() })
const SampleIndex = v.array(v.object({ ...Sample.entries, examples: v.number() }))
const SampleFile = v.object({
  ...Sample.entries,
  job: v.record(v.string(), v.unknown()),
  examples: v.array(v.object({ input: v.string(), output: v.string() })),
})
export type SampleInfo = v.InferOutput<typeof SampleIndex>[number]

/** Reading a larger file as one text would hold the page up; a prompt of a few rows does not need it either. */
const LARGEST_FILE = 64 * 2 ** 20
const NAMED = /^[\w-]{1,60}$/

interface OwnText {
  readonly title: string
  readonly text: string
}

export class ExamplesState {
  samples = $state.raw<readonly SampleInfo[]>([])
  /** Name of the sample in use, null for the visitor's own examples. */
  sample = $state<string | null>(null)
  title = $state('')
  rows = $state.raw<readonly Example[]>([])
  /** Validation examples of their own; null: a share of the rows is held out. */
  validation = $state.raw<readonly Example[] | null>(null)
  parsed = $state.raw<ParsedRecords | null>(null)
  /** Text whose columns could not be told: waits for a mapping. */
  unmapped = $state.raw<(OwnText & { columns: readonly string[] }) | null>(null)
  mapping = $state.raw<ColumnMapping | null>(null)
  failure = $state.raw<Failure | null>(null)
  /** Put a space in front of outputs that start with none (own examples only). */
  spaced = $state(false)
  preview = $state.raw<Preview | null>(null)
  previewFailure = $state.raw<Failure | null>(null)
  edited = $state(false)

  readonly lacksSpace: boolean = $derived(this.rows.length > 0 && this.rows.some((row) => !/^\s/.test(row.output)))
  /** The rows as they are sent to the worker. */
  readonly ready: readonly Example[] = $derived(this.spaced ? this.rows.map(withSpace) : this.rows)
  readonly readyValidation: readonly Example[] | null = $derived(
    this.validation === null ? null : this.spaced ? this.validation.map(withSpace) : this.validation,
  )

  private source: OwnText | null = null
  private previewed = 0

  constructor(
    private readonly client: TunerClient,
    private readonly settings: SettingsState,
  ) {}

  async loadIndex(): Promise<void> {
    try {
      this.samples = v.parse(SampleIndex, await fetchJson('samples/index.json'))
    } catch (error) {
      this.failure = pageFailure(
        `The list of sample tasks could not be read: ${messageOf(error)}`,
        'Give examples of your own, or reload the page.',
      )
    }
  }

  /** Takes a sample task and what it suggests for the settings. */
  async useSample(name: string): Promise<boolean> {
    this.failure = null
    try {
      if (!NAMED.test(name)) throw new Error('there is no sample task of this name')
      const file = v.parse(SampleFile, await fetchJson(`samples/${name}.json`))
      this.take(file.title, file.examples, null)
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

  async useFile(file: FileEntry): Promise<void> {
    const text = await this.textOf(file)
    if (text !== null) this.useText(file.path, text, null)
  }

  /** Reads text as records; when its columns are called otherwise, asks which is which. */
  useText(title: string, text: string, columns: ColumnMapping | null): void {
    this.failure = null
    try {
      const parsed = parseRecords(text, title, columns ? { columns } : {})
      if (parsed.examples.length === 0) {
        const first = parsed.skipped[0]
        throw new RecordsError(
          `${title}: no usable row${first ? `; line ${first.line}: ${first.reason}` : ''}`,
          first?.line ?? null,
          parsed.columns,
        )
      }
      this.unmapped = null
      this.mapping = columns
      this.source = { title, text }
      this.takeOwn(title, parsed.examples, parsed)
    } catch (error) {
      if (error instanceof RecordsError && error.columns.length > 1 && columns === null) {
        this.unmapped = { title, text, columns: error.columns }
        return
      }
      const hint =
        error instanceof RecordsError
          ? 'The examples you had are kept. Each row needs an input and an output.'
          : 'The examples you had are kept.'
      this.failure = pageFailure(messageOf(error), hint)
    }
  }

  /** Reads the same text again with other columns. */
  remap(columns: ColumnMapping): void {
    const source = this.unmapped ?? this.source
    if (source) this.useText(source.title, source.text, columns)
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
    this.source = null
    this.takeOwn(title, parsed.examples, parsed)
    // A job file means its records as they are.
    this.spaced = false
    this.validation = validation === null ? null : recordsFromObjects(validation, options).examples
  }

  async useValidationFile(file: FileEntry): Promise<void> {
    const text = await this.textOf(file)
    if (text === null) return
    try {
      const parsed = parseRecords(text, file.path, this.mapping ? { columns: this.mapping } : {})
      if (parsed.examples.length === 0) throw new Error(`${file.path}: no usable row`)
      this.validation = parsed.examples
    } catch (error) {
      this.failure = pageFailure(messageOf(error), 'The examples you had are kept.')
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

  /** Asks the worker what the examples become; only the latest answer counts. */
  async refreshPreview(): Promise<void> {
    const mine = ++this.previewed
    try {
      const preview = await this.client.request('preview', { job: this.settings.json, examples: this.ready })
      if (mine !== this.previewed) return
      this.preview = preview
      this.previewFailure = null
    } catch (error) {
      if (mine !== this.previewed) return
      this.preview = null
      this.previewFailure = failureOf(error)
    }
  }

  private take(title: string, rows: readonly Example[], parsed: ParsedRecords | null): void {
    this.title = title
    this.rows = rows
    this.parsed = parsed
    this.validation = null
    this.unmapped = null
    this.edited = false
    this.preview = null
  }

  private takeOwn(title: string, rows: readonly Example[], parsed: ParsedRecords): void {
    this.take(title, rows, parsed)
    this.sample = null
    this.spaced = this.lacksSpace
    // The sample's epochs were for the sample; its template is a good start for any task.
    const verbalizer = this.settings.suggested['verbalizer']
    this.settings.suggest(verbalizer === undefined ? {} : { verbalizer })
  }

  /** Once edited, the rows are the visitor's own: the address no longer names the sample. */
  private own(): void {
    this.edited = true
    this.sample = null
  }

  private async textOf(file: FileEntry): Promise<string | null> {
    this.failure = null
    if (file.blob.size > LARGEST_FILE) {
      this.failure = pageFailure(
        `${file.path} is larger than 64 MiB.`,
        'A few thousand examples are plenty for a prompt: give a smaller file.',
      )
      return null
    }
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(await file.blob.arrayBuffer())
    } catch {
      this.failure = pageFailure(
        `${file.path} is not readable as UTF-8 text.`,
        'Save it as UTF-8 (.csv, .tsv, .json or .jsonl) and try again.',
      )
      return null
    }
  }
}

const withSpace = (row: Example): Example => (/^\s/.test(row.output) ? row : { ...row, output: ` ${row.output}` })

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

async function fetchJson(path: string): Promise<unknown> {
  const response = await fetch(new URL(path, document.baseURI))
  if (!response.ok) throw new Error(`${path} answered ${response.status}`)
  return response.json()
}
