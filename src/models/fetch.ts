/**
 * The one door through which model files come (`env.fetch` of transformers.js): it lets through what the user allowed, answers
 * "not found" itself where asking would be pointless, and turns what goes wrong into ModelErrors.
 */
import { hubError, networkError } from './hub-errors'
import { ModelError, pageInstead } from './model-error'

export interface FetchGateOptions {
  /** transformers.js' env.remoteHost and env.localModelPath. */
  readonly remote_host: string
  readonly local_path: string
  readonly isEmbedded: (id: string) => boolean
  readonly fetch: typeof fetch
  /** Waits between tries. Default: by the clock. */
  readonly pause?: (ms: number, signal?: AbortSignal | null) => Promise<void>
}

/** Tries of a request that the server is too busy or too broken to answer. */
const TRIES = 3
const FIRST_PAUSE_MS = 1000
/** A server that asks for more patience than this gets none. */
const LONGEST_PAUSE_MS = 20_000

/** @throws the signal's reason */
export function pauseByClock(ms: number, signal?: AbortSignal | null): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer)
      reject(signal?.reason instanceof Error ? signal.reason : new Error('stopped'))
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop)
      resolve()
    }, ms)
    if (signal?.aborted) stop()
    else signal?.addEventListener('abort', stop, { once: true })
  })
}

export class FetchGate {
  /** Models that may be fetched from the hub now. */
  private readonly allowed = new Set<string>()
  /** What ends the requests for a model that bring no signal of their own, as those of transformers.js. */
  private readonly signals = new Map<string, AbortSignal>()

  constructor(private readonly options: FetchGateOptions) {}

  allow(id: string, downloads: boolean, signal?: AbortSignal): void {
    if (downloads) this.allowed.add(id)
    else this.allowed.delete(id)
    if (signal) this.signals.set(id, signal)
    else this.signals.delete(id)
  }

  /**
   * Fetches a model file. Any status but success and "not found" (404) throws.
   * @throws ModelError; the signal's reason
   */
  readonly fetch = async (input: string | URL, init?: RequestInit): Promise<Response> => {
    const url = String(input)
    const { remote_host, local_path } = this.options
    if (url.startsWith(local_path)) {
      const [owner = '', name = ''] = url.slice(local_path.length).split('/')
      // Only embedded models lie there; asking for others would fill the console with 404s.
      if (!this.options.isEmbedded(`${owner}/${name}`)) return new Response(null, { status: 404 })
      return this.request(url, `${owner}/${name}`, url.slice(local_path.length + owner.length + name.length + 2), init)
    }
    const [, id, path] = url.startsWith(remote_host)
      ? (/^(.+?)\/resolve\/[^/]+\/(.+)$/.exec(url.slice(remote_host.length)) ?? [])
      : []
    if (id === undefined || path === undefined) {
      throw new ModelError('invalid', `${url.slice(0, 200)} is not the address of a model file`, 'Check the model id.')
    }
    if (!this.allowed.has(id)) {
      throw new ModelError(
        'not_found',
        `${id} (${path}) is not on this machine, and downloads are off`,
        'Switch "allow_downloads" on, pick an embedded model, or add the model\'s files from a folder.',
      )
    }
    return this.request(url, id, path, init)
  }

  /** What the hub lists of a model's folder, as it answers; null when it doesn't. Only for models that may be fetched. */
  async listing(id: string, revision: string, folder: string, signal: AbortSignal | null): Promise<unknown> {
    if (!this.allowed.has(id)) return null
    try {
      const response = await this.options.fetch(`${this.options.remote_host}api/models/${id}/tree/${revision}/${folder}`, {
        signal,
      })
      return response.ok ? await response.json() : null
    } catch (error) {
      if (signal?.aborted) throw error
      return null
    }
  }

  private async request(url: string, id: string, path: string, init?: RequestInit): Promise<Response> {
    const what = `${id}/${path}`
    const signal = init?.signal ?? this.signals.get(id)
    const pause = this.options.pause ?? pauseByClock
    let response: Response
    for (let attempt = 1; ; attempt++) {
      try {
        response = await this.options.fetch(url, signal ? { ...init, signal } : init)
      } catch (error) {
        if (signal?.aborted) throw error
        throw networkError(what, error)
      }
      const ms = patience(response, attempt)
      if (ms === null) break
      await response.body?.cancel()
      await pause(ms, signal)
    }
    if (response.status === 404 || response.status === 416) return response
    const isPage = response.headers.get('content-type')?.startsWith('text/html') === true
    if (response.ok && !isPage) return response
    await response.body?.cancel()
    if (response.ok) throw pageInstead(what)
    throw hubError(id, path, response)
  }
}

/** How long to wait before asking again; null when that is no use. */
function patience({ status, headers }: Response, attempt: number): number | null {
  if (attempt >= TRIES || (status !== 429 && status < 500)) return null
  const asked = Number(headers.get('retry-after') ?? NaN) * 1000
  const ms = Number.isFinite(asked) ? asked : FIRST_PAUSE_MS * 4 ** (attempt - 1)
  return ms > LONGEST_PAUSE_MS ? null : ms
}
