/** The base model: which devices there are, opening it, and how far its download is. */
import { wantedFile } from '../../job/parameters'
import type { TunerClient } from '../../client'
import { isEmbedded } from '../../models/catalogue'
import type { DeviceInfo, Failure, FileEntry, ModelSummary, Progress } from '../../protocol'
import { unique } from '../logic/job-values'
import { speed } from '../logic/time-left'
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
  /** Models dropped in during this visit. */
  dropped = $state.raw<readonly string[]>([])
  /** Models whose files are stored in this browser already. */
  stored = $state.raw<readonly string[]>([])

  /** What `summary` and `failure` are about. */
  private openedKey = $state('')
  private wanted: string | null = null
  private samples: Readonly<Record<string, readonly { readonly at: number; readonly loaded: number }[]>> = {}

  readonly key: string = $derived.by(() =>
    JSON.stringify(
      ['base_model', 'model_dtype', 'torch_dtype', 'device', 'allow_downloads'].map((path) => this.settings.values[path]),
    ),
  )
  /** Is what is open what the settings ask for? */
  readonly current: boolean = $derived(this.openedKey === this.key)
  readonly ready: boolean = $derived(this.status === 'ready' && this.current)
  /** Nothing has to be downloaded for it: it can be opened without asking. */
  readonly local: boolean = $derived.by(
    () => isEmbedded(this.settings.baseModel) || [...this.dropped, ...this.stored].includes(this.settings.baseModel),
  )

  constructor(
    private readonly client: TunerClient,
    private readonly settings: SettingsState,
  ) {}

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

  private async openOnce(key: string): Promise<void> {
    const job = this.settings.job
    if (!job) return
    this.status = 'opening'
    this.failure = null
    this.progress = []
    this.samples = {}
    const { base_model, device, allow_downloads } = job
    const model_dtype = wantedFile(job)
    try {
      this.summary = await this.client.request('open_model', { base_model, model_dtype, device, allow_downloads }, (progress) => {
        if (progress.type === 'model_progress') this.note(progress)
      })
      this.status = 'ready'
    } catch (error) {
      this.summary = null
      this.failure = failureOf(error)
      this.status = 'failed'
    }
    this.openedKey = key
    this.progress = []
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

  /** Makes files of this machine a model and chooses it. The name is the folder's, or the ONNX file's. */
  async addFiles(files: readonly FileEntry[]): Promise<void> {
    const { name, entries } = asModel(files)
    this.failure = null
    try {
      await this.client.request('add_model_files', { name, files: entries })
      this.dropped = unique([...this.dropped, name])
      this.openedKey = ''
      this.status = 'closed'
      this.settings.set('base_model', name)
    } catch (error) {
      this.failure = failureOf(error)
      this.status = 'failed'
      this.openedKey = this.key
    }
  }

  setStored(ids: readonly string[]): void {
    this.stored = ids
  }
}

/** A folder's own name is the model's name, and paths are taken below it; loose files get a name from the ONNX file. */
export function asModel(files: readonly FileEntry[]): { name: string; entries: FileEntry[] } {
  const first = files[0]?.path.split('/') ?? []
  const folder = first.length > 1 ? (first[0] ?? '') : ''
  const common = folder !== '' && files.every((file) => file.path.startsWith(`${folder}/`))
  if (common)
    return { name: folder, entries: files.map((file) => ({ path: file.path.slice(folder.length + 1), blob: file.blob })) }
  const onnx = files.find((file) => file.path.endsWith('.onnx'))
  const name = (onnx?.path.split('/').at(-1) ?? 'my-model').replace(/\.onnx$/, '')
  return {
    name,
    // The layout transformers.js looks for: loose .onnx files (and their external data) belong in onnx/.
    entries: files.map((file) => ({
      path: /\.onnx(_data.*)?$/.test(file.path) && !file.path.includes('/') ? `onnx/${file.path}` : file.path,
      blob: file.blob,
    })),
  }
}
