/**
 * The cache we give transformers.js (`env.customCache`): model files of the hub in sharded IndexedDB, and in front of it files that exist
 * in memory only (dropped by the user, or a model with a prompt baked in). It serves and keeps model files, and nothing else:
 * transformers.js asks the same cache for onnxruntime's own files.
 */
import { checkHead } from './model-error'
import type { Manifest, ShardedFiles } from './shards'

/** A file of a model, as the hub names it. */
export interface ModelFileRef {
  readonly id: string
  readonly revision: string
  /** Relative to the repository: config.json, onnx/model.onnx. */
  readonly path: string
}

/** A model with the files of it that are here. */
export interface CachedModel {
  readonly id: string
  /** Some of its files exist in memory only. */
  readonly dropped: boolean
  readonly parts: readonly { readonly path: string; readonly bytes: number }[]
  /** Kept of files that are not whole, to go on from. */
  readonly unfinished_bytes: number
}

export type CacheProgress = (data: { progress: number; loaded: number; total: number }) => void

/** What models consist of: JSON, ONNX graphs and their external data, vocabularies, templates. */
const MODEL_FILE = /\.(json|onnx|onnx_data(_\d+)?|onnx\.data|txt|model|jinja)$/

export interface ModelCacheOptions {
  readonly files: ShardedFiles
  /** transformers.js' env.remoteHost, as https://huggingface.co/ */
  readonly remote_host: string
  /** transformers.js' env.localModelPath. */
  readonly local_path: string
}

/** Where the storage keeps it. */
export const storedPath = ({ id, revision, path }: ModelFileRef): string => `${id}@${revision}/${path}`

export class ModelCache {
  readonly files: ShardedFiles
  /** model id -> path -> content */
  private readonly virtual = new Map<string, ReadonlyMap<string, Blob>>()
  private readonly remoteHost: string
  private readonly localPath: string

  constructor(options: ModelCacheOptions) {
    this.files = options.files
    this.remoteHost = options.remote_host
    this.localPath = options.local_path
  }

  /** The stored file for a key of transformers.js, as a Response it can stream; undefined for anything else. */
  async match(key: string): Promise<Response | undefined> {
    const virtual = this.virtualByKey(key)
    if (virtual) return respond(virtual.stream(), virtual.size)
    const ref = this.parse(key)
    const file = ref ? await this.files.open(storedPath(ref)) : undefined
    return file && respond(file.stream(), file.manifest.size)
  }

  /**
   * Keeps a downloaded file. What is not a model file of the hub is left alone, and so is what another tab is storing or has stored
   * meanwhile: writing it again would take away what is being read there.
   * @throws ModelError, what the stream throws
   */
  async put(key: string, response: Response, progress?: CacheProgress): Promise<void> {
    const ref = this.parse(key)
    if (!ref || !response.body) return
    const total = Number(response.headers.get('content-length') ?? 0)
    const onProgress =
      progress && ((loaded: number) => progress({ loaded, total, progress: total > 0 ? (loaded / total) * 100 : 0 }))
    const path = storedPath(ref)
    const kept = await this.files.locks.ifFree(path, async () => {
      if (await this.files.open(path)) return false
      await this.store(ref, response, { onProgress })
      return true
    })
    if (!kept?.result) await response.body.cancel()
  }

  async delete(key: string): Promise<boolean> {
    const ref = this.parse(key)
    return ref ? this.files.delete(storedPath(ref)) : false
  }

  /** Streams a download into storage. @throws ModelError for a page or pointer in place of the file; TruncatedError */
  async store(
    ref: ModelFileRef,
    response: Response,
    options: { onProgress?: ((loaded: number) => void) | undefined; signal?: AbortSignal | undefined } = {},
  ): Promise<Manifest> {
    if (!response.body) throw new TypeError('a response without a body cannot be stored')
    return this.files.put(storedPath(ref), response.body, {
      revision: response.headers.get('x-repo-commit'),
      // Compressed in transit, the length says less than what arrives, never more: fewer bytes are always too few.
      minimum_size: Number(response.headers.get('content-length') ?? 0),
      check: (head) => checkHead(`${ref.id}/${ref.path}`, head),
      onProgress: options.onProgress,
      signal: options.signal,
    })
  }

  manifest(ref: ModelFileRef): Promise<Manifest | undefined> {
    return this.files.manifest(storedPath(ref))
  }

  /** Files that exist in memory only, as the model `id`; replaces those it had. */
  setVirtual(id: string, files: ReadonlyMap<string, Blob>): void {
    this.virtual.set(id, files)
  }

  removeVirtual(id: string): boolean {
    return this.virtual.delete(id)
  }

  virtualFiles(id: string): ReadonlyMap<string, Blob> | undefined {
    return this.virtual.get(id)
  }

  /** Stored and dropped models with their files, each file once (the newest revision's). */
  async models(): Promise<readonly CachedModel[]> {
    const found = new Map<string, { id: string; dropped: boolean; parts: Map<string, number>; unfinished_bytes: number }>()
    const of = (id: string, dropped: boolean, unfinished = 0) => {
      const model = found.get(id) ?? { id, dropped, parts: new Map<string, number>(), unfinished_bytes: 0 }
      found.set(id, { ...model, dropped: model.dropped || dropped, unfinished_bytes: model.unfinished_bytes + unfinished })
      return model.parts
    }
    for (const [stored, { size }] of await this.files.list()) {
      const [, id = '', path = ''] = /^(.*?)@[^/]*\/(.*)$/.exec(stored) ?? []
      if (path !== '') of(id, false).set(path, size)
    }
    for (const [stored, { shards, shard_bytes }] of await this.files.partials.list()) {
      of(stored.slice(0, stored.indexOf('@')), false, shards * shard_bytes)
    }
    for (const [id, files] of this.virtual) for (const [path, blob] of files) of(id, true).set(path, blob.size)
    return [...found.values()]
      .map(({ id, dropped, parts, unfinished_bytes }) => ({
        id,
        dropped,
        unfinished_bytes,
        parts: [...parts].map(([path, bytes]) => ({ path, bytes })).sort((a, b) => a.path.localeCompare(b.path)),
      }))
      .sort((a, b) => a.id.localeCompare(b.id))
  }

  /**
   * Removes all files of a model, of every revision, finished or not.
   * @returns the paths of those that are left, as they are being written: a download, of another tab perhaps
   */
  async removeModel(id: string): Promise<readonly string[]> {
    this.virtual.delete(id)
    const left: string[] = []
    const paths = [...(await this.files.list()).keys(), ...(await this.files.partials.list()).keys()]
    for (const path of new Set(paths)) {
      if (!path.startsWith(`${id}@`)) continue
      const removed = await this.files.locks.ifFree(path, () => this.files.delete(path))
      if (!removed) left.push(path.slice(path.indexOf('/', id.length) + 1))
    }
    return left
  }

  private virtualByKey(key: string): Blob | undefined {
    const ref = this.parse(key)
    if (ref) return this.virtual.get(ref.id)?.get(ref.path)
    if (!key.startsWith(this.localPath)) return undefined
    const rest = key.slice(this.localPath.length)
    for (const [id, files] of this.virtual) {
      const blob = rest.startsWith(`${id}/`) ? files.get(rest.slice(id.length + 1)) : undefined
      if (blob) return blob
    }
    return undefined
  }

  /** `https://huggingface.co/{id}/resolve/{revision}/{path}`; null for any other key. */
  private parse(key: string): ModelFileRef | null {
    if (!key.startsWith(this.remoteHost)) return null
    const [, id, revision, path] =
      /^([^/?#]+(?:\/[^/?#]+)?)\/resolve\/([^/?#]+)\/([^?#]+)$/.exec(key.slice(this.remoteHost.length)) ?? []
    if (id === undefined || revision === undefined || path === undefined || !MODEL_FILE.test(path)) return null
    return { id, revision: decodeURIComponent(revision), path }
  }
}

const respond = (body: ReadableStream<Uint8Array<ArrayBuffer>>, size: number): Response =>
  new Response(body, { status: 200, headers: { 'content-length': String(size) } })
