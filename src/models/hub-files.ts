/**
 * Files of the hub by way of the storage: what is stored is read from there, and what isn't is downloaded into it, going on where an earlier
 * try stopped. It knows nothing of what the files are for.
 */
import { env } from '@huggingface/transformers'
import * as v from 'valibot'
import type { ByteSource } from '../graph/source'
import { storedPath, type ModelCache, type ModelFileRef } from './cache'
import { ChangedError, openDownload, type Expected } from './download'
import { pauseByClock, type FetchGate } from './fetch'
import { checkHead, ModelError } from './model-error'
import type { Partial } from './partials'
import type { Manifest } from './shards'

export interface HubFile {
  readonly source: ByteSource
  readonly sha256: string
  /** The repository's commit, where the server said it. */
  readonly revision: string | null
}

export interface HubFileOptions {
  readonly signal?: AbortSignal | undefined
  /** Told of the bytes of the file that are there, those of an earlier try included. */
  readonly onProgress?: ((loaded: number, total: number | null) => void) | undefined
  /** Told when the file is being written by someone else, another tab perhaps, who is waited for. */
  readonly onWait?: (() => void) | undefined
  /** A file the model can do without: small, and without a network simply not there. */
  readonly optional: boolean
}

/** What the hub lists of a folder (https://huggingface.co/docs/hub/api, "tree"). Files of large file storage have their SHA-256. */
const ListingSchema = v.array(
  v.object({
    path: v.string(),
    size: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
    lfs: v.fallback(v.optional(v.object({ oid: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)) })), undefined),
  }),
)

/** Times a file that changes under way is begun anew. */
const RESTARTS = 2

export class HubFiles {
  private readonly listings = new Map<string, Promise<ReadonlyMap<string, Expected>>>()

  constructor(
    private readonly cache: ModelCache,
    private readonly gate: FetchGate,
    private readonly pause: typeof pauseByClock = pauseByClock,
  ) {}

  /** Forgets what the hub listed: it may list something else the next time. */
  forgetListings(): void {
    this.listings.clear()
  }

  /** @returns null when there is no such file. @throws ModelError; what storing throws; the signal's reason */
  async file(ref: ModelFileRef, options: HubFileOptions): Promise<HubFile | null> {
    return (
      (await this.stored(ref)) ??
      this.cache.files.locks.exclusively(storedPath(ref), options, () => this.storedOrDownloaded(ref, options))
    )
  }

  private async storedOrDownloaded(ref: ModelFileRef, options: HubFileOptions): Promise<HubFile | null> {
    // Whoever was waited for may have stored it.
    const stored = await this.stored(ref)
    if (stored) {
      options.onProgress?.(stored.source.size, stored.source.size)
      return stored
    }
    for (let restart = 0; ; restart++) {
      try {
        const manifest = await this.download(ref, options)
        if (!manifest) return null
        break
      } catch (error) {
        if (!(error instanceof ChangedError)) throw error
        if (restart === RESTARTS) throw changing(ref, error)
        await this.cache.files.partials.drop(storedPath(ref))
      }
    }
    const written = await this.stored(ref)
    if (written) return written
    throw new ModelError(
      'storage',
      `${ref.id}/${ref.path} could not be read back from the browser's storage`,
      'Reset the storage and try again.',
    )
  }

  private async stored(ref: ModelFileRef): Promise<HubFile | null> {
    const file = await this.cache.files.open(storedPath(ref))
    if (!file) return null
    const { sha256, revision } = file.manifest
    return { source: await file.source(), sha256, revision }
  }

  private async download(ref: ModelFileRef, options: HubFileOptions): Promise<Manifest | null> {
    const { signal } = options
    const what = `${ref.id}/${ref.path}`
    const path = storedPath(ref)
    const partial = (await this.cache.files.partials.find(path)) ?? null
    const expected = options.optional ? null : await this.listed(ref, signal ?? null)
    const url = `${env.remoteHost}${env.remotePathTemplate.replaceAll('{model}', ref.id).replaceAll('{revision}', ref.revision)}${ref.path}`
    const opening = openDownload(
      {
        what,
        fetch: (headers) => this.gate.fetch(url, { headers, signal: signal ?? null }),
        expected,
        pause: (ms) => this.pause(ms, signal),
      },
      partial && startOf(partial),
    )
    const download = await opening.catch((error: unknown) => {
      // Offline or with downloads off, an optional file is simply not there.
      if (options.optional && error instanceof ModelError) return null
      throw error
    })
    if (!download) return null
    const { validator, total, exact, from } = download
    options.onProgress?.(from, total)
    return this.cache.files.put(path, download.stream, {
      revision: download.revision,
      signal,
      minimum_size: total,
      size: exact ? total : null,
      sha256: download.sha256,
      resumable: validator === null ? null : { validator, total },
      resume: from > 0 ? partial : null,
      check: (head) => checkHead(what, head),
      onProgress: (loaded) => options.onProgress?.(loaded, total),
    })
  }

  private async listed(ref: ModelFileRef, signal: AbortSignal | null): Promise<Expected | null> {
    const folder = ref.path.slice(0, Math.max(0, ref.path.lastIndexOf('/')))
    const key = `${ref.id}@${ref.revision}/${folder}`
    const known = this.listings.get(key) ?? this.list(ref, folder, signal)
    this.listings.set(key, known)
    return (await known).get(ref.path) ?? null
  }

  /** Nothing where the hub (or a mirror of it) has no listing. */
  private async list(
    { id, revision }: ModelFileRef,
    folder: string,
    signal: AbortSignal | null,
  ): Promise<ReadonlyMap<string, Expected>> {
    const parsed = v.safeParse(ListingSchema, await this.gate.listing(id, revision, folder, signal))
    if (!parsed.success) return new Map()
    return new Map(parsed.output.map(({ path, size, lfs }) => [path, { size, sha256: lfs?.oid ?? null }]))
  }
}

const startOf = ({ shards, shard_bytes, validator, total }: Partial) => ({ offset: shards * shard_bytes, validator, total })

const changing = ({ id, path }: ModelFileRef, cause: Error): ModelError =>
  new ModelError('network', `${id}/${path} changed while it was downloaded (${cause.message})`, 'Try again in a few minutes.', {
    cause,
  })
