/** A search of the hub: nothing is asked before the person presses Search, and never while downloads are off. */
import type { ModelKind } from '../../models/config'
import { searchHub, type HubModel } from '../../models/hub'
import type { Failure } from '../../protocol'
import { failureOf, pageFailure } from './failure'
import type { SettingsState } from './settings.svelte'

/** The same search again within this time is the same press of the button. */
const AGAIN_MS = 1000

export class HubSearchState {
  query = $state('')
  kind = $state<'any' | ModelKind>('any')
  status = $state<'idle' | 'searching' | 'done' | 'failed'>('idle')
  results = $state.raw<readonly HubModel[]>([])
  failure = $state.raw<Failure | null>(null)
  /** What the results are of. */
  searched = $state('')

  private going: AbortController | null = null
  private last = { what: '', at: -Infinity }

  constructor(
    private readonly settings: SettingsState,
    private readonly access: typeof fetch = (input, init) => fetch(input, init),
  ) {}

  get allowed(): boolean {
    return this.settings.values['allow_downloads'] !== false
  }

  async search(): Promise<void> {
    const query = this.query.trim()
    if (query === '') return
    if (!this.allowed) {
      this.fail(pageFailure('Downloads are off, so nothing is asked of the hub.', 'Switch "Allow downloads" on to search.'))
      return
    }
    const what = `${this.kind} ${query}`
    const now = performance.now()
    if (what === this.last.what && (this.status === 'searching' || now - this.last.at < AGAIN_MS)) return
    this.last = { what, at: now }
    this.going?.abort()
    const going = new AbortController()
    this.going = going
    this.status = 'searching'
    this.failure = null
    try {
      const results = await searchHub(query, this.kind === 'any' ? null : this.kind, { fetch: this.access, signal: going.signal })
      if (going.signal.aborted) return
      this.results = results
      this.searched = query
      this.status = 'done'
    } catch (error) {
      if (!going.signal.aborted) this.fail(failureOf(error))
    }
  }

  cancel(): void {
    this.going?.abort()
    this.last = { what: '', at: -Infinity }
    this.status = 'idle'
  }

  private fail(failure: Failure): void {
    this.last = { what: '', at: -Infinity }
    this.results = []
    this.failure = failure
    this.status = 'failed'
  }
}
