/**
 * Models of the session: files loaded and graphs cut (the last few), and the one model that is open on a device. Opening
 * includes the checks that decide whether a model can be tuned: every op known, results equal to onnxruntime's.
 */
import { EngineError, type Engine } from '../../src/engine/engine'
import { GraphModel } from '../../src/engine/graph-model'
import type { MemoryEstimate, StepShape } from '../../src/engine/memory'
import { referenceLogits } from '../../src/engine/ort/reference-logits'
import { compareLogits, engineLogits, selfTestInput, type SelfTest } from '../../src/engine/self-test'
import { coverage } from '../../src/graph/coverage'
import { cutGraphs, cutModel, cutSeq2Seq, type CutModel } from '../../src/graph/cut'
import { exactnessOf } from '../../src/graph/exactness'
import { GraphError } from '../../src/graph/ir'
import { describeUnsupported } from '../../src/graph/model-kind'
import { readModel } from '../../src/graph/read'
import { AUTO_FLOAT16, wantedFile, type Job } from '../../src/job/parameters'
import type { BaseModelRef } from '../../src/library/prompt-record'
import type { LoadedModel, LoadProgress, ModelPart } from '../../src/models/load'
import type { ModelSummary } from '../../src/protocol'
import { autoLearningRate, explainAuto } from '../../src/tuning/learning-rate'
import type { Tokenizer } from '../../src/tuning/tokenizer'
import { chooseEngine } from './devices'
import { CommandError } from './failures'
import { explained } from './model-files'
import type { Report, Services } from './services'

/** A model's files, read and cut. */
export interface ReadyModel {
  readonly loaded: LoadedModel
  readonly cut: CutModel
}

/** A ReadyModel on a device, checked. */
export interface OpenModel extends ReadyModel {
  readonly engine: Engine
  readonly frozen: GraphModel
  readonly self_test: SelfTest
  readonly device_reason: string
}

export interface ModelRequest {
  readonly base_model: string
  readonly model_dtype: string
  /** For causal models whose file has an unusual name; empty or absent: the usual one. */
  readonly model_file_name?: string
  /** A job's: float16 asks for an fp16 file where model_dtype is auto. */
  readonly torch_dtype?: string
  /** A job's: whether q8 layers are computed as deployed. Default true. */
  readonly simulate_rounding?: boolean
  readonly allow_downloads: boolean
}

/** Models whose files stay in memory: the one being tuned, and one more to try prompts of. */
const KEPT = 2

/** A model's files, read and cut: one causal model, or an encoder and its decoder. @throws GraphError */
export function cutParts(parts: readonly Pick<ModelPart, 'onnx' | 'external'>[]): CutModel {
  const [first, second] = parts.map(({ onnx, external }) => readModel(onnx, { external }))
  if (!first) throw new RangeError('a model of no files')
  return second ? cutSeq2Seq(first, second) : cutModel(first)
}

/** The model's tokenizer as tuning wants it. */
export const tokenizerOf = ({ tokenizer, decoder_start_token_id }: LoadedModel): Tokenizer => ({
  ...tokenizer,
  decoder_start_token_id,
})

/** Positions a model has, by its graph and its config. */
export function maxPositions({ loaded, cut }: ReadyModel): number | null {
  const known = [cut.max_positions, loaded.max_positions].filter((limit) => limit !== null)
  return known.length === 0 ? null : Math.min(...known)
}

const keyOf = (id: string, model_dtype: string, file_name = ''): string => `${id}|${model_dtype}|${file_name}`

export class Models {
  /** By id and dtype as asked; insertion order is use order. */
  private readonly ready = new Map<string, ReadyModel>()
  private open: (OpenModel & { readonly key: string }) | null = null
  /** Files that passed the self-test, by device, and how: not tested again. */
  private readonly tested = new Map<string, SelfTest>()
  /** Opening is done one after the other. */
  private queue: Promise<unknown> = Promise.resolve()
  /** Set while a run uses the open model: it must stay. */
  private held = false
  /** What was last asked of a model: a later command that does not say goes by it. */
  private readonly asked = new Map<string, ModelRequest>()

  constructor(private readonly services: Services) {}

  /**
   * Loads, reads and cuts. `remember`: later commands that do not say how go by this request.
   * @throws ModelError, GraphError
   */
  async prepare(request: ModelRequest, report: Report | null, signal?: AbortSignal, remember = true): Promise<ReadyModel> {
    const model_dtype = wantedFile(request)
    const key = keyOf(request.base_model, model_dtype, request.model_file_name)
    const known = this.ready.get(key)
    if (known) {
      this.ready.delete(key)
      this.ready.set(key, known)
      return known
    }
    const options = {
      ...request,
      model_dtype,
      signal,
      onProgress: report ? (progress: LoadProgress) => report({ type: 'model_progress', ...progress }) : undefined,
    }
    const loaded = await this.services.loader.load(request.base_model, options).catch(async (error: unknown) => {
      throw await explained(error, request, this.services, signal)
    })
    const file = loaded.onnx_path
    report?.({ type: 'model_progress', file, loaded: 0, total: null, stage: 'prepare' })
    const cut = cutParts(loaded.parts)
    const ready = { loaded, cut }
    this.ready.set(key, ready)
    if (model_dtype === 'auto' || model_dtype === AUTO_FLOAT16)
      this.ready.set(keyOf(request.base_model, loaded.model_dtype, request.model_file_name), ready)
    this.trim()
    if (remember) this.asked.set(request.base_model, request)
    await this.services.usage.note(request.base_model)
    return ready
  }

  /** A model whose files are in memory already. */
  inMemory(id: string, model_dtype: string): ReadyModel | null {
    return this.ready.get(keyOf(id, model_dtype)) ?? null
  }

  /** How a model was asked for before in this session; null when it wasn't. */
  lastRequest(id: string): ModelRequest | null {
    return this.asked.get(id) ?? null
  }

  /**
   * Opens a model on a device for tuning, or gives the one that is open already.
   * @throws ModelError, GraphError, EngineError; CommandError when it can't be tuned, or another one is in use
   */
  openOn(request: ModelRequest & { readonly device: string }, report: Report | null, signal?: AbortSignal): Promise<OpenModel> {
    const turn = this.queue.then(() => this.openNow(request, report, signal))
    this.queue = turn.catch(() => undefined)
    return turn
  }

  /** Keeps the open model open until it is released, whatever is asked meanwhile. */
  hold(): () => void {
    this.held = true
    return () => (this.held = false)
  }

  /** Frees the open model and its device; the next openOn starts afresh. */
  async close(): Promise<void> {
    const { open } = this
    this.open = null
    if (!open) return
    // A lost device fails at everything, also at being freed.
    await open.frozen.dispose().catch(() => undefined)
    await open.engine.dispose().catch(() => undefined)
  }

  /** Forgets a model's files, after they were removed or replaced. */
  async forget(id: string): Promise<void> {
    for (const [key, { loaded }] of [...this.ready]) if (loaded.id === id) this.ready.delete(key)
    this.asked.delete(id)
    if (this.open?.loaded.id === id && !this.held) await this.close()
  }

  summary(model: OpenModel): ModelSummary {
    const { loaded, cut, frozen } = model
    const { id, model_dtype, revision, sha256, kind, architecture, file_bytes } = loaded
    return {
      id,
      model_dtype,
      revision,
      file_sha256: sha256,
      kind,
      architecture,
      parameters: cut.parameters,
      file_bytes,
      hidden_size: cut.hidden_size,
      vocab_size: cut.vocab_size,
      max_positions: frozen.max_positions,
      device: model.engine.device,
      device_reason: `${model.device_reason}. File: ${loaded.dtype_reason}.`,
      embedding_std: frozen.embedding_std,
      auto_learning_rate: autoLearningRate(frozen.embedding_std),
      auto_learning_rate_reason: explainAuto(frozen.embedding_std),
      self_test: model.self_test,
      ops: opCounts(cut),
    }
  }

  /** What a step needs of the device the job's model is open on; null while it is not, or has no such step. */
  memory({ base_model }: Pick<Job, 'base_model'>, shape: StepShape): MemoryEstimate | null {
    const { open } = this
    if (open?.loaded.id !== base_model) return null
    try {
      return open.frozen.memory(shape)
    } catch (error) {
      // What is wrong with the shape is said where the run would fail; a preview goes on.
      if (error instanceof GraphError || error instanceof EngineError) return null
      throw error
    }
  }

  /** What "auto" stands for on a model that is open; null for another. */
  autoLearningRate(id: string): number | null {
    return this.open?.loaded.id === id ? autoLearningRate(this.open.frozen.embedding_std) : null
  }

  /** Compares the engine's logits with onnxruntime's. */
  async selfTest(parts: readonly Pick<ModelPart, 'onnx' | 'external'>[], cut: CutModel, engine: Engine): Promise<SelfTest> {
    const input = selfTestInput(cut)
    const reference = await referenceLogits(this.services.ort, parts, input, cut)
    return compareLogits(await engineLogits(cut, engine, input), reference, exactnessOf(cut))
  }

  private async openNow(
    request: ModelRequest & { readonly device: string },
    report: Report | null,
    signal?: AbortSignal,
  ): Promise<OpenModel> {
    const { loaded, cut } = await this.prepare(request, report, signal)
    await this.services.generator.rest()
    const { simulate_rounding = true } = request
    const key = `${loaded.id}|${loaded.sha256}|${request.device}|${simulate_rounding}`
    if (this.open?.key === key) return this.open
    if (this.held) {
      throw new CommandError(
        'busy',
        'A run is in progress on another model or device.',
        'Wait until it is done, or cancel it first.',
      )
    }
    refuseUnsupported(loaded.id, cut)
    await this.close()
    signal?.throwIfAborted()
    report?.({ type: 'stage', text: 'Preparing the device' })
    const { engine, reason } = await chooseEngine(this.services.ort, request.device, cut)
    try {
      const self_test = await this.requireSelfTest({ loaded, cut }, engine, report)
      const frozen = new GraphModel({ cut, engine, max_positions: loaded.max_positions, simulate_rounding })
      this.open = { key, loaded, cut, engine, frozen, self_test, device_reason: reason }
      return this.open
    } catch (error) {
      await engine.dispose().catch(() => undefined)
      throw error
    }
  }

  private async requireSelfTest(ready: ReadyModel, engine: Engine, report: Report | null): Promise<SelfTest> {
    const key = `${ready.loaded.sha256}|${engine.device}`
    const known = this.tested.get(key)
    if (known) return known
    report?.({ type: 'stage', text: 'Comparing with onnxruntime' })
    const result = await this.selfTest(ready.loaded.parts, ready.cut, engine)
    const { max_abs_diff, tolerance, ok } = result
    if (!ok) {
      throw new CommandError(
        'unsupported',
        `${ready.loaded.id} computes other logits on ${engine.device} than in onnxruntime (they differ by ${max_abs_diff.toPrecision(3)}, ${tolerance.toPrecision(2)} is allowed)`,
        'A prompt tuned so would not work. Choose another device or model, and please report this.',
      )
    }
    this.tested.set(key, result)
    return result
  }

  private trim(): void {
    const models = new Set([...this.ready.values()].reverse())
    const kept = new Set([...models].slice(0, KEPT))
    for (const [key, ready] of [...this.ready]) if (!kept.has(ready)) this.ready.delete(key)
  }
}

/** Nodes of the parts that are trained through, and how many of them are known here. */
function opCounts(cut: CutModel): ModelSummary['ops'] {
  const { ops, unsupported } = coverage(...cutGraphs(cut))
  const total = Object.values(ops).reduce((sum, count) => sum + count, 0)
  return { total, supported: total - unsupported.length }
}

function refuseUnsupported(id: string, cut: CutModel): void {
  const { unsupported } = coverage(...cutGraphs(cut))
  if (unsupported.length === 0) return
  throw new CommandError(
    'unsupported',
    `${id} can't be tuned: ${describeUnsupported(unsupported)}`,
    'Pick another model, or another model_dtype of this one (fp32 files use the fewest kinds of ops).',
  )
}

/** What a prompt remembers of the model it was made for. */
export const baseModelRef = ({ loaded, cut }: ReadyModel): BaseModelRef => ({
  id: loaded.id,
  revision: loaded.revision,
  model_dtype: loaded.model_dtype,
  file_sha256: loaded.sha256,
  kind: loaded.kind,
  hidden_size: cut.hidden_size,
  vocab_size: cut.vocab_size,
})
