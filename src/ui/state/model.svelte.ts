/** The base model: which devices there are, opening it, and how far its download is. */
import { wantedFile } from '../../job/parameters'
import type { TunerClient } from '../../client'
import { isEmbedded } from '../../models/catalogue'
import type { DeviceInfo, Failure, FileEntry, ModelSummary, Progress, StoredModel } from '../../protocol'
import { keptSentence, overall, type Overall } from '../logic/download'
import { unique } from '../logic/job-values'
import { modelName } from '../logic/model-name'
import { isStored } from '../logic/model-list'
import { speed } from '../logic/time-left'
import { textOf } from '../settings/field-text'
import { failureOf } from './failure'
import type { SettingsState } from './settings.svelte'

type ModelProgress = Extract<Progress, { type: 'model_progress' }>

export interface FileProgress extends ModelProgress {
  /** Bytes per second over the latest seconds, null while unknown. */
  readonly speed: number | null
}

const SPEED_WINDOW_MS = 4000

export class ModelState {
  devices = $state.raw<readonly DeviceInfo[] | null>(null)
  devicesFailure = $state.raw<Failure | null>(null)
  status = $state<'closed' | 'opening' | 'ready' | 'failed'>('closed')
  summary = $state.raw<ModelSummary | null>(null)
  failure = $state.raw<Failure | null>(null)
  progress = $state.raw<readonly FileProgress[]>([])
  /** Why the files last dropped are no model. */
  addFailure = $state.raw<Failure | null>(null)
  /** Models dropped in during this visit. */
  dropped = $state.raw<readonly string[]>([])
  /** After an opening that failed or was cancelled: what of its download is kept. */
  readonly kept: string | null = $derived.by(() => {
    const unfinished = this.stored().find(({ id }) => id === this.settings.baseModel)?.unfinished_bytes ?? 0
    return keptSentence(this.broken, unfinished)
  })
  cancelling = $state(false)

  /** How far the download was that ended early. */
  private broken = $state.raw<readonly FileProgress[]>([])
  /** What `summary` and `failure` are about. */
  private openedKey = $state('')
  private wanted: string | null = null
  private samples: Readonly<Record<string, readonly { readonly at: number; readonly loaded: number }[]>> = {}

  readonly key: string = $derived.by(() =>
    JSON.stringify(
      ['base_model', 'model_dtype', 'model_file_name', 'torch_dtype', 'device', 'allow_downloads'].map(
        (path) => this.settings.values[path],
      ),
    ),
  )
  /** Is what is open what the settings ask for? */
  readonly current: boolean = $derived(this.openedKey === this.key)
  readonly ready: boolean = $derived(this.status === 'ready' && this.current)
  /** Nothing has to be downloaded for it: it can be opened without asking. */
  readonly local: boolean = $derived.by(
    () =>
      isEmbedded(this.settings.baseModel) ||
      this.dropped.includes(this.settings.baseModel) ||
      this.isStored(this.settings.baseModel),
  )
  /** Of the download in progress; the files to come are counted where they were looked at. */
  readonly overall: Overall = $derived.by(() => overall(this.progress, this.expected(this.settings.baseModel)))

  constructor(
    private readonly client: TunerClient,
    private readonly settings: SettingsState,
    /** What the browser has stored. */
    private readonly stored: () => readonly StoredModel[],
    /** Bytes by path of the files to come; null where nobody looked. */
    private readonly expected: (id: string) => ReadonlyMap<string, number | null> | null,
    /** Called when files may have been stored. */
    private readonly onStored: () => void,
  ) {}

  /** Can it be opened, in the precision that the settings ask for, with what this browser has stored? */
  isStored(id: string): boolean {
    return isStored(this.stored(), id, textOf(this.settings.values['model_dtype']))
  }

  async probe(): Promise<void> {
    try {
      this.devices = await this.client.request('probe_devices', {})
      this.devicesFailure = null
    } catch (error) {
      this.devicesFailure = failureOf(error)
    }
  }

  /** Opens what the settings name. Called again while opening, it opens the latest wish after that. */
  async open(): Promise<void> {
    this.wanted = this.key
    if (this.status === 'opening') return
    while (this.wanted !== null && this.wanted !== (this.status === 'ready' ? this.openedKey : null)) {
      const key = this.wanted
      this.wanted = null
      await this.openOnce(key)
    }
    this.wanted = null
  }

  /** Gives up the opening in progress. */
  async cancel(): Promise<void> {
    if (this.status !== 'opening') return
    this.wanted = null
    this.cancelling = true
    // Whatever becomes of it, the opening itself says how it ended.
    await this.client.request('cancel_opening', {}).catch(() => undefined)
  }

  private async openOnce(key: string): Promise<void> {
    const job = this.settings.job
    if (!job) return
    this.status = 'opening'
    this.failure = null
    this.addFailure = null
    this.broken = []
    this.cancelling = false
    this.progress = []
    this.samples = {}
    const { base_model, model_file_name, device, allow_downloads } = job
    const model_dtype = wantedFile(job)
    try {
      const request = { base_model, model_dtype, model_file_name, device, allow_downloads }
      this.summary = await this.client.request('open_model', request, (progress) => {
        if (progress.type === 'model_progress') this.note(progress)
      })
      this.status = 'ready'
    } catch (error) {
      this.summary = null
      this.failure = failureOf(error)
      this.status = 'failed'
      // Files of our own origin and of this machine are not downloads to keep.
      if (!isEmbedded(base_model) && !this.dropped.includes(base_model)) this.broken = this.progress
    }
    this.openedKey = key
    this.progress = []
    this.cancelling = false
    this.onStored()
  }

  private note(progress: ModelProgress): void {
    const now = performance.now()
    const samples = (this.samples[progress.file] ?? []).filter((sample) => now - sample.at < SPEED_WINDOW_MS)
    samples.push({ at: now, loaded: progress.loaded })
    this.samples = { ...this.samples, [progress.file]: samples }
    const entry: FileProgress = { ...progress, speed: progress.stage === 'download' ? speed(samples) : null }
    const others = this.progress.filter((file) => file.file !== progress.file)
    this.progress = [...others, entry].sort((a, b) => a.file.localeCompare(b.file))
  }

  /** Makes files of this machine a model and chooses it; its name is the folder's, or the ONNX file's. True when it is one. */
  async addFiles(files: readonly FileEntry[]): Promise<boolean> {
    const name = modelName(files.map(({ path }) => path))
    this.addFailure = null
    try {
      await this.client.request('add_model_files', { name, files })
      this.dropped = unique([...this.dropped, name])
      this.openedKey = ''
      this.status = 'closed'
      this.settings.set('base_model', name)
      this.onStored()
      return true
    } catch (error) {
      this.addFailure = failureOf(error)
      return false
    }
  }
}
