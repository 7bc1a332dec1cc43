/** The library of prompts and what the browser has stored. */
import type { TunerClient } from '../../client'
import type { PromptSummary } from '../../library/prompt-record'
import type { Failure, FileEntry, StorageReport } from '../../protocol'
import type { ExportChoice } from '../logic/export-choices'
import { omit, unique } from '../logic/job-values'
import { failureOf } from './failure'

export class LibraryState {
  prompts = $state.raw<readonly PromptSummary[]>([])
  loaded = $state(false)
  /** Ids ticked for comparison, in the order they were ticked. */
  compared = $state.raw<readonly string[]>([])
  failure = $state.raw<Failure | null>(null)
  /** What is going on right now, by prompt id: "Packing the PEFT adapter". */
  busy = $state.raw<Readonly<Record<string, string>>>({})
  storage = $state.raw<StorageReport | null>(null)
  /** What was last taken away, and what its reader should know. */
  exported = $state.raw<{ readonly prompt: string; readonly filename: string; readonly notices: readonly string[] } | null>(null)
  /** Prompts whose ways out are in sight. */
  unfolded = $state.raw<readonly string[]>([])
  /** For the live region: what was just done. */
  said = $state('')

  readonly comparedPrompts: readonly PromptSummary[] = $derived(
    this.compared.flatMap((id) => this.prompts.find((prompt) => prompt.id === id) ?? []),
  )

  constructor(private readonly client: TunerClient) {}

  find(id: string | null): PromptSummary | null {
    return this.prompts.find((prompt) => prompt.id === id) ?? null
  }

  async refresh(): Promise<void> {
    await this.attempt(async () => {
      const prompts = await this.client.request('list_prompts', {})
      this.prompts = [...prompts].sort((a, b) => b.created.localeCompare(a.created))
      this.compared = this.compared.filter((id) => this.prompts.some((prompt) => prompt.id === id))
    })
    this.loaded = true
  }

  async refreshStorage(): Promise<void> {
    await this.attempt(async () => {
      this.storage = await this.client.request('storage', {})
    })
  }

  async rename(id: string, name: string): Promise<void> {
    const wanted = name.trim()
    if (wanted === '' || wanted === this.find(id)?.name) return
    await this.attempt(async () => {
      await this.client.request('rename_prompt', { prompt: id, name: wanted })
      this.said = `Renamed to ${wanted}.`
      await this.refresh()
    })
  }

  async remove(id: string): Promise<void> {
    const name = this.find(id)?.name ?? 'Prompt'
    await this.attempt(async () => {
      await this.client.request('delete_prompt', { prompt: id })
      this.said = `${name} deleted.`
      await this.refresh()
    })
  }

  toggleCompared(id: string): void {
    this.compared = this.compared.includes(id) ? this.compared.filter((other) => other !== id) : [...this.compared, id]
  }

  async download(id: string, { format, doing }: ExportChoice, task: string | null): Promise<void> {
    this.busy = { ...this.busy, [id]: doing }
    this.exported = null
    await this.attempt(async () => {
      const { filename, zip, notices } = await this.client.request('export_prompt', { prompt: id, format, task })
      saveAs(zip, filename)
      this.exported = { prompt: id, filename, notices: unique(notices) }
    })
    this.busy = omit(this.busy, id)
  }

  /** Opens or closes what a prompt's card keeps folded. */
  unfold(id: string, open = true): void {
    if (this.unfolded.includes(id) === open) return
    this.unfolded = open ? [...this.unfolded, id] : this.unfolded.filter((other) => other !== id)
  }

  async importAdapter(files: readonly FileEntry[], base_model: string): Promise<void> {
    const folder = files[0]?.path.includes('/') ? files[0].path.split('/')[0] : undefined
    await this.attempt(async () => {
      const prompt = await this.client.request('import_prompt', { name: folder ?? 'Imported prompt', base_model, files })
      this.said = `${prompt.name} imported.`
      await this.refresh()
    })
  }

  async removeModel(id: string): Promise<void> {
    await this.attempt(async () => {
      await this.client.request('remove_model', { base_model: id })
      await this.refreshStorage()
    })
  }

  /** Asks the browser not to clear what is stored when the disk is full. Only a page may ask, on a person's own click; it may refuse. */
  async persist(): Promise<'granted' | 'refused' | 'unknown'> {
    // Absent where the page is not served securely, whatever the types say.
    const storage: StorageManager | undefined = navigator.storage
    if (typeof storage?.persist !== 'function') return 'unknown'
    const granted = await storage.persist().catch(() => false)
    await this.refreshStorage()
    return granted ? 'granted' : 'refused'
  }

  async resetStorage(): Promise<void> {
    await this.attempt(async () => {
      await this.client.request('reset_storage', {})
      this.said = 'All stored models, prompts and runs are gone.'
      await Promise.all([this.refresh(), this.refreshStorage()])
    })
  }

  private async attempt(action: () => Promise<void>): Promise<void> {
    try {
      await action()
      this.failure = null
    } catch (error) {
      this.failure = failureOf(error)
    }
  }
}

/** Hands a blob to the browser's downloads. */
export function saveAs(blob: Blob, filename: string): void {
  const url = URL.createObjectURL(blob)
  const link = document.createElement('a')
  link.href = url
  link.download = filename
  link.click()
  // The download has its own reference once it started; the address may go after a while.
  setTimeout(() => URL.revokeObjectURL(url), 60_000)
}
