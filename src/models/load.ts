/**
 * Loads a model through transformers.js: config and tokenizer by its own classes, the names of the model files by its own rules, everything
 * through the one cache and the one fetch that it uses too. Large files are streamed into the cache instead of through its buffers.
 * It does not look into the ONNX file, and creates no session.
 */
import { AutoConfig, AutoTokenizer, env, ModelRegistry, type PreTrainedTokenizer } from '@huggingface/transformers'
import type { PretrainedConfig, ProgressInfo } from '@huggingface/transformers'
import type { ModelCache } from './cache'
import { embeddedBytes, isEmbedded, isModelId } from './catalogue'
import { describeConfig, runAs, type ConfigSummary } from './config'
import { FetchGate } from './fetch'
import { networkError } from './hub-errors'
import { fileNames } from './layout'
import { choicesOf, locate, namesFor, type DtypeChoice, type LocatedPart, type ModelDtype, type ModelRef } from './locate'
import type { PartRole } from './locate'
import { asModelError, checkHead, ModelError } from './model-error'
import { sha256 } from './sha256'
import { adaptTokenizer, decoderStartTokenId, type ModelTokenizer } from './tokenizer'

export interface LoadProgress {
  readonly file: string
  readonly loaded: number
  readonly total: number | null
  readonly stage: 'download' | 'read' | 'prepare'
}

export interface LoadOptions {
  readonly model_dtype: string
  /** transformers.js' own, for causal models whose file has another name than "model". Empty or absent: the usual names. */
  readonly model_file_name?: string | undefined
  readonly allow_downloads: boolean
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

export interface ModelPart {
  readonly role: PartRole
  /** As onnx/model.onnx. */
  readonly path: string
  readonly onnx: Uint8Array<ArrayBuffer>
  /** External data by the name the ONNX file calls it. */
  readonly external: ReadonlyMap<string, Uint8Array<ArrayBuffer>>
}

export interface LoadedModel extends ConfigSummary {
  readonly id: string
  readonly config: PretrainedConfig
  readonly tokenizer: ModelTokenizer
  /** transformers.js' own, for its generate(). */
  readonly pretrained_tokenizer: PreTrainedTokenizer
  /** The model's small files as they are, by path: config.json, tokenizer.json, ... */
  readonly files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>
  /** Its ONNX files: one of a causal model; encoder, then decoder, of an encoder-decoder. */
  readonly parts: readonly ModelPart[]
  /** Path, bytes and external data of the first part. */
  readonly onnx_path: string
  readonly onnx: Uint8Array<ArrayBuffer>
  readonly external: ReadonlyMap<string, Uint8Array<ArrayBuffer>>
  /** What an encoder-decoder's decoder starts from; null of a causal model. */
  readonly decoder_start_token_id: number | null
  readonly model_dtype: ModelDtype
  /** Why this dtype, for people. */
  readonly dtype_reason: string
  readonly model_file_name: string | null
  /** Commit of the hub repository where known, else "main"; "embedded" or "local" for the others. */
  readonly revision: string
  /** Of the ONNX file. With two of them: of both files' own hashes, in hexadecimal, encoder first, without anything between. */
  readonly sha256: string
  /** All model files together. */
  readonly file_bytes: number
}

/** What could be loaded of a model, before anything large is fetched. */
export interface ModelOffer extends ConfigSummary {
  readonly choices: readonly DtypeChoice[]
  /** The dtype that model_dtype "auto" takes. */
  readonly auto: ModelDtype
}

/** A model's files besides its weights, as far as they are used here. */
export const SMALL_FILES = [
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'chat_template.jinja',
] as const
/** Those a model can do without: config and tokenizer were loaded before. */
const OPTIONAL: ReadonlySet<string> = new Set(SMALL_FILES)
const REVISION = 'main'

interface FileBytes {
  readonly bytes: Uint8Array<ArrayBuffer>
  /** null: nobody hashed it yet. */
  readonly sha256: string | null
  readonly revision: string
}

interface LoadedPart extends ModelPart {
  readonly sha256: string
  readonly revision: string
}

export class ModelLoader {
  private readonly gate: FetchGate

  /** Points transformers.js (its global `env`) to our cache and our fetch. */
  constructor(
    private readonly cache: ModelCache,
    fetchFile: typeof fetch,
  ) {
    this.gate = new FetchGate({ remote_host: env.remoteHost, local_path: env.localModelPath, isEmbedded, fetch: fetchFile })
    env.useFS = false
    env.useFSCache = false
    env.useBrowserCache = false
    env.useCustomCache = true
    env.customCache = cache
    env.allowLocalModels = true
    env.allowRemoteModels = true
    env.fetch = this.gate.fetch
  }

  /** @throws ModelError; the signal's reason */
  load(id: string, options: LoadOptions): Promise<LoadedModel> {
    return this.guarded(id, options, () => this.loadAll(id, options))
  }

  /** What config.json says, before anything large is fetched. @throws ModelError; the signal's reason */
  describe(id: string, options: LoadOptions): Promise<ConfigSummary> {
    return this.guarded(id, options, async () =>
      describeConfig(id, await AutoConfig.from_pretrained(id, this.pretrained(id, options))),
    )
  }

  /**
   * The dtypes there are of a model, with files and sizes. Of a hub model it fetches config.json at most.
   * @param listed the repository's files with their sizes, where the hub said them; else each is asked for
   * @throws ModelError; the signal's reason
   */
  offer(id: string, options: LoadOptions, listed: ReadonlyMap<string, number | null> | null): Promise<ModelOffer> {
    return this.guarded(id, options, async () => {
      const said = await AutoConfig.from_pretrained(id, this.pretrained(id, options))
      options.signal?.throwIfAborted()
      const summary = describeConfig(id, said)
      const model = this.refOf(id, summary, await asTransformersRuns(id, said), options)
      const sizeOf =
        listed === null ? (path: string) => this.sizeOf(id, path) : (path: string) => Promise.resolve(listed.get(path))
      const choices = await choicesOf(model, sizeOf)
      const { model_dtype: auto } = await locate(model, 'auto', sizeOf)
      return { ...summary, choices, auto }
    })
  }

  private refOf(id: string, { kind }: ConfigSummary, config: PretrainedConfig, options: LoadOptions): ModelRef {
    const lying = fileNames(this.cache.virtualFiles(id)?.keys() ?? [])
    return { id, kind, config, file_names: namesFor({ id, kind }, options.model_file_name ?? '', lying) }
  }

  private async guarded<T>(id: string, options: LoadOptions, work: () => Promise<T>): Promise<T> {
    if (!isModelId(id)) {
      throw new ModelError('invalid', `"${id.slice(0, 100)}" is not a model id`, 'Give it as on the hub, like Xenova/distilgpt2.')
    }
    this.gate.allow(id, options.allow_downloads && !this.isLocal(id), options.signal)
    try {
      return await work()
    } catch (error) {
      if (options.signal?.aborted) throw error
      throw asModelError(error, id)
    }
  }

  /** One file of a model, without config or tokenizer, and the dropped files that may be its external data. @throws ModelError */
  async loadFile(
    id: string,
    path: string,
    options: LoadOptions,
  ): Promise<{ onnx: Uint8Array<ArrayBuffer>; external: ReadonlyMap<string, Uint8Array<ArrayBuffer>> }> {
    this.gate.allow(id, options.allow_downloads && !this.isLocal(id))
    try {
      const { bytes } = await this.file(id, path, options)
      return { onnx: bytes, external: await this.virtualExternal(id, path) }
    } catch (error) {
      throw asModelError(error, id)
    }
  }

  private isLocal(id: string): boolean {
    return isEmbedded(id) || this.cache.virtualFiles(id) !== undefined
  }

  private pretrained(id: string, options: LoadOptions) {
    return {
      revision: REVISION,
      // The gate decides what may be fetched, and says why not better than transformers.js could.
      local_files_only: this.isLocal(id),
      progress_callback: (info: ProgressInfo) => reportTransformers(info, options),
    }
  }

  private async loadAll(id: string, options: LoadOptions): Promise<LoadedModel> {
    const pretrained = this.pretrained(id, options)
    const said = await AutoConfig.from_pretrained(id, pretrained)
    options.signal?.throwIfAborted()
    const summary = describeConfig(id, said)
    const config = await asTransformersRuns(id, said)
    const pretrained_tokenizer = await AutoTokenizer.from_pretrained(id, pretrained)
    const files = new Map<string, Uint8Array<ArrayBuffer>>()
    for (const path of SMALL_FILES) {
      const file = await this.optionalFile(id, path, options)
      if (file) files.set(path, file.bytes)
    }
    const configs = [jsonOf(files.get('generation_config.json')), { ...config }]
    const tokenizer = adaptTokenizer(pretrained_tokenizer, configs)
    const decoder_start_token_id = summary.kind === 'seq2seq' ? decoderStartTokenId(configs) : null
    const located = await locate(this.refOf(id, summary, config, options), options.model_dtype, (path) => this.sizeOf(id, path))

    const parts: LoadedPart[] = []
    for (const part of located.parts) parts.push(await this.part(id, part, options))
    const [first, ...others] = parts
    if (first === undefined) throw new ModelError('not_found', `${id} has no ONNX model file`, 'Pick another model.')
    return {
      ...summary,
      id,
      config,
      tokenizer,
      pretrained_tokenizer,
      files,
      parts,
      onnx_path: first.path,
      onnx: first.onnx,
      external: first.external,
      decoder_start_token_id,
      model_dtype: located.model_dtype,
      dtype_reason: located.reason,
      model_file_name: located.model_file_name,
      revision: first.revision,
      sha256: others.length === 0 ? first.sha256 : sha256(new TextEncoder().encode(parts.map((part) => part.sha256).join(''))),
      file_bytes: parts
        .flatMap((part) => [part.onnx, ...part.external.values()])
        .reduce((sum, bytes) => sum + bytes.byteLength, 0),
    }
  }

  private async part(id: string, { role, onnx: path, external: chunks }: LocatedPart, options: LoadOptions): Promise<LoadedPart> {
    const { bytes: onnx, sha256: hash, revision } = await this.file(id, path, options)
    const external = new Map(await this.virtualExternal(id, path))
    for (const chunk of chunks) external.set(baseName(chunk), (await this.file(id, chunk, options)).bytes)
    options.onProgress?.({ file: path, loaded: onnx.byteLength, total: onnx.byteLength, stage: 'read' })
    return { role, path, onnx, external, sha256: hash ?? sha256(onnx), revision }
  }

  /** @throws ModelError when it is nowhere */
  private async file(id: string, path: string, options: LoadOptions): Promise<FileBytes> {
    const file = await this.optionalFile(id, path, options)
    if (file) return file
    throw new ModelError('not_found', `${id} has no file ${path}`, 'Check the model id and its files.')
  }

  private async optionalFile(id: string, path: string, options: LoadOptions): Promise<FileBytes | null> {
    options.signal?.throwIfAborted()
    const virtual = this.cache.virtualFiles(id)
    if (virtual) {
      const blob = virtual.get(path)
      if (!blob) return null
      const bytes = new Uint8Array(await blob.arrayBuffer())
      checkHead(`${id}/${path}`, bytes)
      return { bytes, sha256: null, revision: 'local' }
    }
    if (isEmbedded(id)) return this.embeddedFile(id, path, options)
    return this.hubFile(id, path, options)
  }

  private async embeddedFile(id: string, path: string, options: LoadOptions): Promise<FileBytes | null> {
    const response = await this.gate.fetch(`${env.localModelPath}${id}/${path}`, { signal: options.signal ?? null })
    if (!response.ok) return null
    const bytes = new Uint8Array(await response.arrayBuffer())
    checkHead(`${id}/${path}`, bytes)
    options.onProgress?.({ file: path, loaded: bytes.byteLength, total: bytes.byteLength, stage: 'download' })
    return { bytes, sha256: null, revision: 'embedded' }
  }

  private async hubFile(id: string, path: string, options: LoadOptions): Promise<FileBytes | null> {
    const ref = { id, revision: REVISION, path }
    const stored = await this.cache.read(ref)
    if (stored) return { bytes: stored.bytes, sha256: stored.manifest.sha256, revision: stored.manifest.revision ?? REVISION }
    const remote = env.remotePathTemplate.replaceAll('{model}', id).replaceAll('{revision}', REVISION)
    const response = await this.gate
      .fetch(`${env.remoteHost}${remote}${path}`, { signal: options.signal ?? null })
      .catch((error: unknown) => {
        // Offline or with downloads off, an optional file is simply not there.
        if (OPTIONAL.has(path) && error instanceof ModelError) return null
        throw error
      })
    if (!response?.ok) return null
    const length = response.headers.get('content-length')
    const total = length === null ? null : Number(length)
    let manifest
    try {
      manifest = await this.cache.store(ref, response, {
        signal: options.signal,
        onProgress: (loaded) => options.onProgress?.({ file: path, loaded, total, stage: 'download' }),
      })
    } catch (error) {
      if (options.signal?.aborted) throw error
      throw error instanceof TypeError ? networkError(`${id}/${path}`, error) : error
    }
    const written = await this.cache.read(ref)
    if (!written)
      throw new ModelError(
        'storage',
        `${id}/${path} could not be read back from the browser's storage`,
        'Reset the storage and try again.',
      )
    return { bytes: written.bytes, sha256: manifest.sha256, revision: manifest.revision ?? REVISION }
  }

  private async sizeOf(id: string, path: string): Promise<number | null | undefined> {
    const virtual = this.cache.virtualFiles(id)
    if (virtual) return virtual.get(path)?.size
    if (isEmbedded(id)) {
      const response = await this.gate.fetch(`${env.localModelPath}${id}/${path}`, { method: 'HEAD' })
      if (!response.ok) return undefined
      // Hosts that compress say no length.
      return Number(response.headers.get('content-length')) || embeddedBytes(id)
    }
    const stored = await this.cache.manifest({ id, revision: REVISION, path })
    if (stored) return stored.size
    try {
      const metadata = await ModelRegistry.get_file_metadata(id, path, { revision: REVISION })
      return metadata.exists ? (metadata.size ?? null) : undefined
    } catch (error) {
      // Offline, or downloads are off: what is stored is all there is. Downloading would say the rest, if nothing is.
      if (error instanceof ModelError && (error.code === 'not_found' || error.code === 'network')) return undefined
      throw error
    }
  }

  /** Dropped files beside the ONNX file whose names say that they belong to it: the file's own name, and something behind it. */
  private async virtualExternal(id: string, onnxPath: string): Promise<ReadonlyMap<string, Uint8Array<ArrayBuffer>>> {
    const folder = onnxPath.slice(0, onnxPath.lastIndexOf('/') + 1)
    const stem = onnxPath.replace(/\.onnx$/, '.')
    const external = new Map<string, Uint8Array<ArrayBuffer>>()
    for (const [path, blob] of this.cache.virtualFiles(id) ?? []) {
      if (path === onnxPath || path.endsWith('.onnx') || !path.startsWith(stem)) continue
      external.set(path.slice(folder.length), new Uint8Array(await blob.arrayBuffer()))
    }
    return external
  }
}

/** The config under the model type by which transformers.js knows how to run it. */
async function asTransformersRuns(id: string, config: PretrainedConfig): Promise<PretrainedConfig> {
  const { model_type } = config
  if (model_type === null || runAs(model_type) === model_type) return config
  // It makes a new one of any object, working out anew what follows from the type.
  return AutoConfig.from_pretrained(id, { config: Object.assign(config, { model_type: runAs(model_type) }) })
}

const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1)

function jsonOf(bytes: Uint8Array | undefined): Readonly<Record<string, unknown>> {
  if (!bytes) return {}
  const json: unknown = JSON.parse(new TextDecoder().decode(bytes))
  return typeof json === 'object' && json !== null ? { ...json } : {}
}

function reportTransformers(info: ProgressInfo, options: LoadOptions): void {
  if (info.status !== 'progress') return
  const { file, loaded, total } = info
  options.onProgress?.({ file, loaded, total: total > 0 ? total : null, stage: 'download' })
}
