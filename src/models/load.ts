/**
 * Loads a model through transformers.js: config and tokenizer by its own classes, the names of the model files by its own rules, everything
 * through the one cache and the one fetch that it uses too. Large files are streamed into the cache instead of through its buffers.
 * It does not look into the ONNX file, and creates no session.
 */
import { AutoConfig, AutoTokenizer, env, ModelRegistry, type PreTrainedTokenizer } from '@huggingface/transformers'
import type { PretrainedConfig, ProgressInfo } from '@huggingface/transformers'
import { asSource, piecesOf, wholeOf, type ByteSource } from '../graph/source'
import { blobSource } from './blob-source'
import type { ModelCache } from './cache'
import { embeddedBytes, isEmbedded, isModelId } from './catalogue'
import { describeConfig, runAsConfig, type ConfigSummary } from './config'
import { FetchGate, pauseByClock } from './fetch'
import { HubFiles } from './hub-files'
import { fileNames } from './layout'
import { choicesOf, locate, namesFor, type DtypeChoice, type LocatedPart, type ModelDtype, type ModelRef } from './locate'
import type { PartRole } from './locate'
import { asModelError, asTokenizerError, checkHead, ModelError } from './model-error'
import { Sha256, sha256 } from './sha256'
import { adaptTokenizer, decoderStartTokenId, type ModelTokenizer } from './tokenizer'

export interface LoadProgress {
  readonly file: string
  readonly loaded: number
  readonly total: number | null
  /** wait: for someone else, another tab perhaps, who downloads the file. */
  readonly stage: 'wait' | 'download' | 'read' | 'prepare'
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
  readonly onnx: ByteSource
  /** External data by the name the ONNX file calls it. */
  readonly external: ReadonlyMap<string, ByteSource>
}

export interface LoadedModel extends ConfigSummary {
  readonly id: string
  readonly config: PretrainedConfig
  readonly tokenizer: ModelTokenizer
  /** transformers.js' own, for its generate(). */
  readonly pretrained_tokenizer: PreTrainedTokenizer
  /** The model's small files as they are, by path: config.json, tokenizer.json, ... */
  readonly files: ReadonlyMap<string, Uint8Array>
  /** Its ONNX files: one of a causal model; encoder, then decoder, of an encoder-decoder. */
  readonly parts: readonly ModelPart[]
  /** Path, content and external data of the first part. */
  readonly onnx_path: string
  readonly onnx: ByteSource
  readonly external: ReadonlyMap<string, ByteSource>
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

interface FoundFile {
  readonly source: ByteSource
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
  private readonly hub: HubFiles

  /**
   * Points transformers.js (its global `env`) to our cache and our fetch.
   * @param pause waits before a server that is busy, or a connection that broke, is tried again
   */
  constructor(
    private readonly cache: ModelCache,
    fetchFile: typeof fetch,
    pause: typeof pauseByClock = pauseByClock,
  ) {
    this.gate = new FetchGate({
      remote_host: env.remoteHost,
      local_path: env.localModelPath,
      isEmbedded,
      fetch: fetchFile,
      pause,
    })
    this.hub = new HubFiles(cache, this.gate, pause)
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
  async loadFile(id: string, path: string, options: LoadOptions): Promise<Pick<ModelPart, 'onnx' | 'external'>> {
    this.gate.allow(id, options.allow_downloads && !this.isLocal(id))
    try {
      const { source } = await this.file(id, path, options)
      return { onnx: source, external: await this.virtualExternal(id, path) }
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
    const pretrained_tokenizer = await AutoTokenizer.from_pretrained(id, pretrained).catch((error: unknown) => {
      throw asTokenizerError(error, id)
    })
    this.hub.forgetListings()
    const files = new Map<string, Uint8Array>()
    for (const path of SMALL_FILES) {
      const source = (await this.optionalFile(id, path, options))?.source
      if (source) files.set(path, source.read(0, source.size))
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
      file_bytes: parts.flatMap((part) => [part.onnx, ...part.external.values()]).reduce((sum, source) => sum + source.size, 0),
    }
  }

  private async part(id: string, { role, onnx: path, external: chunks }: LocatedPart, options: LoadOptions): Promise<LoadedPart> {
    const { source: onnx, sha256: hash, revision } = await this.file(id, path, options)
    const external = new Map(await this.virtualExternal(id, path))
    for (const chunk of chunks) external.set(baseName(chunk), (await this.file(id, chunk, options)).source)
    const known = hash ?? (await hashOf(path, onnx, options))
    options.onProgress?.({ file: path, loaded: onnx.size, total: onnx.size, stage: 'read' })
    return { role, path, onnx, external, sha256: known, revision }
  }

  /** @throws ModelError when it is nowhere */
  private async file(id: string, path: string, options: LoadOptions): Promise<FoundFile> {
    const file = await this.optionalFile(id, path, options)
    if (file) return file
    throw new ModelError('not_found', `${id} has no file ${path}`, 'Check the model id and its files.')
  }

  private async optionalFile(id: string, path: string, options: LoadOptions): Promise<FoundFile | null> {
    options.signal?.throwIfAborted()
    const virtual = this.cache.virtualFiles(id)
    if (virtual) {
      const blob = virtual.get(path)
      if (!blob) return null
      const source = await blobSource(`${id}/${path}`, blob)
      checkHead(`${id}/${path}`, source.read(0, Math.min(source.size, 64)))
      return { source, sha256: null, revision: 'local' }
    }
    if (isEmbedded(id)) return this.embeddedFile(id, path, options)
    return this.hubFile(id, path, options)
  }

  private async embeddedFile(id: string, path: string, options: LoadOptions): Promise<FoundFile | null> {
    const response = await this.gate.fetch(`${env.localModelPath}${id}/${path}`, { signal: options.signal ?? null })
    if (!response.ok) return null
    const bytes = new Uint8Array(await response.arrayBuffer())
    checkHead(`${id}/${path}`, bytes)
    options.onProgress?.({ file: path, loaded: bytes.byteLength, total: bytes.byteLength, stage: 'download' })
    return { source: asSource(bytes), sha256: null, revision: 'embedded' }
  }

  private async hubFile(id: string, path: string, options: LoadOptions): Promise<FoundFile | null> {
    const file = await this.hub.file(
      { id, revision: REVISION, path },
      {
        signal: options.signal,
        onProgress: (loaded, total) => options.onProgress?.({ file: path, loaded, total, stage: 'download' }),
        onWait: () => options.onProgress?.({ file: path, loaded: 0, total: null, stage: 'wait' }),
        optional: OPTIONAL.has(path),
      },
    )
    return file && { ...file, revision: file.revision ?? REVISION }
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
  private async virtualExternal(id: string, onnxPath: string): Promise<ReadonlyMap<string, ByteSource>> {
    const folder = onnxPath.slice(0, onnxPath.lastIndexOf('/') + 1)
    const stem = onnxPath.replace(/\.onnx$/, '.')
    const external = new Map<string, ByteSource>()
    for (const [path, blob] of this.cache.virtualFiles(id) ?? []) {
      if (path === onnxPath || path.endsWith('.onnx') || !path.startsWith(stem)) continue
      external.set(path.slice(folder.length), await blobSource(`${id}/${path}`, blob))
    }
    return external
  }
}

/** The config under the model type by which transformers.js knows how to run it. */
async function asTransformersRuns(id: string, config: PretrainedConfig): Promise<PretrainedConfig> {
  const { model_type } = config
  const other = model_type === null ? null : runAsConfig(model_type)
  if (other === null) return config
  // It makes a new one of any object, working out anew what follows from the type.
  return AutoConfig.from_pretrained(id, { config: Object.assign(config, other) })
}

/** The hash of a file that nobody hashed on the way; large ones take a while, which is said, and can be stopped. */
async function hashOf(path: string, source: ByteSource, { signal, onProgress }: LoadOptions): Promise<string> {
  const hash = new Sha256()
  let loaded = 0
  for (const piece of piecesOf(wholeOf(source))) {
    hash.update(piece)
    loaded += piece.byteLength
    onProgress?.({ file: path, loaded, total: source.size, stage: 'read' })
    // Lets a cancel through.
    await new Promise((resolve) => setTimeout(resolve, 0))
    signal?.throwIfAborted()
  }
  return hash.hex()
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
