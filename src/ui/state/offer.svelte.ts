/** A model's files, looked at before they are fetched. */
import type { TunerClient } from '../../client'
import type { Failure, ModelFiles } from '../../protocol'
import { filesToFetch } from '../logic/model-list'
import { textOf } from '../settings/field-text'
import { failureOf } from './failure'
import type { SettingsState } from './settings.svelte'

export class OfferState {
  /** The model looked at, or being looked at. */
  id = $state('')
  looking = $state(false)
  files = $state.raw<ModelFiles | null>(null)
  failure = $state.raw<Failure | null>(null)
  /** Looks are numbered: the answer to an earlier one is dropped. */
  private latest = 0

  constructor(
    private readonly client: TunerClient,
    private readonly settings: SettingsState,
  ) {}

  async look(id: string): Promise<void> {
    const number = ++this.latest
    this.id = id
    this.files = null
    this.failure = null
    this.looking = true
    try {
      const allow_downloads = this.settings.values['allow_downloads'] !== false
      const model_file_name = textOf(this.settings.values['model_file_name'])
      const files = await this.client.request('model_files', { base_model: id, model_file_name, allow_downloads })
      if (number === this.latest) this.files = files
    } catch (error) {
      if (number === this.latest) this.failure = failureOf(error)
    }
    if (number === this.latest) this.looking = false
  }

  clear(): void {
    this.latest++
    this.id = ''
    this.files = null
    this.failure = null
    this.looking = false
  }

  /** Bytes by path of what opening `id` will fetch, where its files were looked at. */
  expected(id: string): ReadonlyMap<string, number | null> | null {
    if (this.id !== id || this.files === null) return null
    return filesToFetch(this.files, textOf(this.settings.values['model_dtype']))
  }
}
