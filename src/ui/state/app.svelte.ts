/** The page's whole state and how its parts act on each other. Components get it through the context. */
import { createContext } from 'svelte'
import type { TunerClient } from '../../client'
import type { PromptSummary } from '../../library/prompt-record'
import type { Problem } from '../../job/problem'
import { findings, knownModel, type KnownModel } from '../logic/findings'
import { freshName } from '../logic/format'
import { fromHash, toHash } from '../logic/url-state'
import { ElsewhereState } from './elsewhere.svelte'
import { ExamplesState } from './examples.svelte'
import { HubSearchState } from './hub-search.svelte'
import { LibraryState } from './library.svelte'
import { ModelState } from './model.svelte'
import { Notices } from './notices.svelte'
import { OfferState } from './offer.svelte'
import { RunState } from './run.svelte'
import { ADDRESS_PATHS, SettingsState } from './settings.svelte'
import { TrialState } from './trial.svelte'

const FIRST_SAMPLE = 'opinions'

export class AppState {
  readonly notices = new Notices()
  readonly settings = new SettingsState(() => this.findings)
  readonly model: ModelState
  readonly offer: OfferState
  readonly search: HubSearchState
  readonly examples: ExamplesState
  readonly run: RunState
  readonly library: LibraryState
  readonly trial: TrialState
  readonly elsewhere: ElsewhereState
  /** The address is read and its sample is there (or failed): it may be written again, and the model it asks for opened. */
  settled = $state(false)

  /** What is known of the model the settings name, open or not. */
  readonly knownModel: KnownModel = $derived.by(() =>
    knownModel(this.settings.baseModel, this.model.ready ? this.model.summary : null, this.library.prompts),
  )
  /** What speaks against the job as things are around it. */
  private readonly findings: readonly Problem[] = $derived.by(() => {
    const { examples, library } = this
    const { draft } = this.settings
    if (draft === null) return []
    const prompts = library.loaded ? library.prompts : null
    return findings(draft, { model: this.knownModel, prompts, rows: examples.rows.length, tasks: examples.tasks })
  })

  /** Why *Tune* can't be pressed, null when it can. */
  readonly blocked: string | null = $derived.by(() => {
    if (!this.settings.usable) return 'A setting needs correcting.'
    if (this.examples.ready.length === 0) return 'There are no examples yet.'
    if (this.model.status === 'opening') return 'The model is being opened.'
    if (!this.model.ready) return this.model.status === 'failed' ? 'The model could not be opened.' : 'The model is not open yet.'
    return null
  })

  constructor(readonly client: TunerClient) {
    this.notices.listen(client)
    this.offer = new OfferState(client, this.settings)
    this.search = new HubSearchState(this.settings)
    this.model = new ModelState(
      client,
      this.settings,
      () => this.library.storage?.models ?? [],
      (id) => this.offer.expected(id),
      () => void this.library.refreshStorage(),
    )
    this.examples = new ExamplesState(client, this.settings, () => this.knownModel.kind)
    this.library = new LibraryState(client)
    this.trial = new TrialState(client)
    this.elsewhere = new ElsewhereState(client)
    this.run = new RunState(client, ({ prompt }) => {
      this.trial.choose(prompt)
      void this.library.refresh()
    })
  }

  /** Reads the address, the samples and what the browser has stored, then opens the model if that needs no download. */
  async start(): Promise<void> {
    const { sample, values, unknown } = fromHash(location.hash, ADDRESS_PATHS)
    if (unknown.length > 0)
      this.notices.add(`The address names settings that do not exist: ${unknown.slice(0, 5).join(', ')}.`, 'warning')
    void this.model.probe()
    void this.examples.loadIndex()
    await this.examples.useSample(sample ?? FIRST_SAMPLE).then(async (found) => {
      if (!found && sample !== null) await this.examples.useSample(FIRST_SAMPLE)
    })
    if (Object.keys(values).length > 0) this.settings.adopt(values)
    this.settled = true
    await this.library.refreshStorage()
    if (this.model.local) void this.model.open()
    await Promise.all([this.library.refresh(), this.run.findInterrupted()])
    if (this.trial.prompt === null) this.trial.choose(this.library.prompts[0] ?? null)
  }

  /** Follows back and forward, and addresses pasted into the open page. */
  async readAddress(): Promise<void> {
    if (location.hash.slice(1) === this.address) return
    const { sample, values } = fromHash(location.hash, ADDRESS_PATHS)
    if (sample !== null && sample !== this.examples.sample) await this.examples.useSample(sample)
    this.settings.adopt(values)
  }

  readonly address: string = $derived.by(() => toHash({ sample: this.examples.sample, values: this.settings.forAddress() }))

  /** Keeps the address in step, without filling the history. */
  writeAddress(): void {
    const address = this.address
    if (this.settled)
      history.replaceState(history.state, '', address === '' ? location.pathname + location.search : `#${address}`)
  }

  async tune(): Promise<void> {
    const { examples, settings } = this
    if (this.blocked !== null || this.run.active || !settings.job) return
    const name = freshName(
      this.jobName,
      this.library.prompts.map((prompt) => prompt.name),
    )
    await this.run.tune(settings.job, name, examples.ready, examples.readyValidation)
    if (this.run.phase === 'failed' && this.run.failure) settings.refuse(this.run.failure.problems)
  }

  /** The job as a folder for a larger machine. */
  async exportJob(): Promise<void> {
    const { examples, settings, elsewhere } = this
    if (!settings.job) return
    await elsewhere.write(settings.job, this.jobName, examples.ready, examples.readyValidation)
    if (elsewhere.failure) settings.refuse(elsewhere.failure.problems)
  }

  /** What the examples are called: a file's name names the prompt well enough, without its kind. */
  private get jobName(): string {
    return this.examples.title.replace(/\.(csv|tsv|jsonl?|ndjson|txt)$/i, '')
  }

  /** Sets up the job a prompt was tuned with; the examples stay as they are. */
  reuseJob(prompt: PromptSummary): void {
    if (prompt.job) this.settings.load(prompt.job)
  }
}

export const [getApp, setApp] = createContext<AppState>()
