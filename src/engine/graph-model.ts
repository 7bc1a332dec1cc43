/**
 * FrozenModel over a cut ONNX graph and an engine: makes one program per kind of work and batch shape (training, scoring),
 * keeps the recently used ones loaded, and feeds them. It is the only place where graph meets engine; it knows nothing of prompts.
 */
import type { CutModel } from '../graph/cut'
import { readEmbeddingRows, type Embedding } from '../graph/embedding'
import { fuse } from '../graph/fuse'
import { scoreProgram, trainingProgram } from '../graph/objective'
import type { Program } from '../graph/program'
import { specialize } from '../graph/specialize'
import { elementCount } from '../graph/ir'
import { EngineError, type Counters, type Device, type Engine, type Executable, type HostArray, type HostArrays } from './engine'
import type { CausalBatch, FrozenModel, LossAndGradient, Scores } from './frozen-model'

export interface GraphModelOptions {
  readonly cut: CutModel
  readonly engine: Engine
  /** Positions from the model's config, where its graph does not say. */
  readonly max_positions?: number | null
  /**
   * Compute q8 layers as onnxruntime will when the prompt is used: activations rounded to 8 bits. Then training sees the deployed function.
   * Default true.
   */
  readonly simulate_rounding?: boolean
  /** Bytes of loaded programs (each engine session may hold its own weights) above which the least recently used is dropped. Default 1 GiB. */
  readonly program_budget_bytes?: number
}

interface Loaded {
  readonly executable: Executable
  readonly bytes: number
}

/** Bytes of a program's constants, which a session may copy: what the budget counts. */
function programBytes(program: Program): number {
  let bytes = 0
  for (const tensor of program.constants.values()) bytes += tensor.bytes.byteLength
  return bytes
}

export class GraphModel implements FrozenModel {
  readonly device: Device
  readonly hidden_size: number
  readonly vocab_size: number
  readonly max_positions: number | null
  readonly embedding_std: number
  /** Insertion order is use order: the first is the least recently used. */
  private readonly loaded = new Map<string, Loaded>()
  private loadedBytes = 0
  private readonly cut: CutModel
  private readonly engine: Engine
  private readonly simulateRounding: boolean
  private readonly budget: number

  constructor(options: GraphModelOptions) {
    this.cut = options.cut
    this.engine = options.engine
    this.device = options.engine.device
    this.hidden_size = options.cut.hidden_size
    this.vocab_size = options.cut.vocab_size
    const limits = [options.cut.max_positions, options.max_positions].filter((limit) => typeof limit === 'number')
    this.max_positions = limits.length === 0 ? null : Math.min(...limits)
    this.embedding_std = embeddingStd(options.cut.embedding)
    this.simulateRounding = options.simulate_rounding ?? true
    this.budget = options.program_budget_bytes ?? 2 ** 30
  }

  embed(ids: ArrayLike<number>): Float32Array {
    return readEmbeddingRows(this.cut.embedding, ids)
  }

  async lossAndGradient(batch: CausalBatch, gradient_length: number): Promise<LossAndGradient> {
    const { label_length } = batch
    const executable = await this.prepare(`train ${shapeKey(batch)} ${gradient_length}`, batch, (forward) =>
      trainingProgram(forward, { label_length, gradient_length }),
    )
    const outputs = await executable.run(feeds(batch, { label_weights: batch.label_weights }))
    const loss = floats(outputs, 'loss')[0]
    if (loss === undefined) throw new EngineError('the training program gave an empty loss')
    return { loss, d_inputs_embeds: floats(outputs, 'd_inputs_embeds') }
  }

  async score(batch: CausalBatch): Promise<Scores> {
    const { label_length } = batch
    const executable = await this.prepare(`score ${shapeKey(batch)}`, batch, (forward) => scoreProgram(forward, { label_length }))
    const outputs = await executable.run(feeds(batch, {}))
    const greedy = outputs.get('greedy_ids')
    if (!(greedy instanceof Int32Array)) throw new EngineError('greedy_ids is not int32')
    return { log_probabilities: floats(outputs, 'log_probabilities'), greedy_ids: greedy }
  }

  counters(): Counters {
    return this.engine.counters()
  }

  /** Frees the loaded programs. The engine belongs to whoever made it. */
  async dispose(): Promise<void> {
    for (const key of [...this.loaded.keys()]) await this.drop(key)
  }

  private async prepare(key: string, batch: CausalBatch, objective: (forward: Program) => Program): Promise<Executable> {
    const known = this.loaded.get(key)
    if (known !== undefined) {
      this.loaded.delete(key)
      this.loaded.set(key, known)
      return known.executable
    }
    const { batch_size, sequence_length } = batch
    // Right padding under a causal model: no label ever attends to padding, so the mask is all ones and folds into constants.
    const { program } = specialize(this.cut, {
      batch_size,
      sequence_length,
      mask: 'ones',
      simulate_rounding: this.simulateRounding,
    })
    const prepared = objective(fuse(program))
    const bytes = programBytes(prepared)
    while (this.loadedBytes + bytes > this.budget) {
      const oldest = this.loaded.keys().next().value
      if (oldest === undefined) break
      await this.drop(oldest)
    }
    const executable = await this.engine.load(prepared)
    this.loaded.set(key, { executable, bytes })
    this.loadedBytes += bytes
    return executable
  }

  private async drop(key: string): Promise<void> {
    const entry = this.loaded.get(key)
    if (entry === undefined) return
    this.loaded.delete(key)
    this.loadedBytes -= entry.bytes
    await entry.executable.dispose()
  }
}

/** Rows looked at for the table's standard deviation: enough for three digits, and never a second copy of a large table. */
const SAMPLED_ROWS = 4096

/** Standard deviation of the entries of the embedding table, over evenly spaced rows of it. */
export function embeddingStd(embedding: Embedding): number {
  const rows = Math.min(SAMPLED_ROWS, embedding.vocab_size)
  const ids = Array.from({ length: rows }, (_, i) => Math.floor((i * embedding.vocab_size) / rows))
  const values = readEmbeddingRows(embedding, ids)
  let sum = 0
  let squares = 0
  for (const value of values) {
    sum += value
    squares += value * value
  }
  const mean = sum / values.length
  return Math.sqrt(Math.max(0, squares / values.length - mean * mean))
}

function shapeKey(batch: CausalBatch): string {
  return `${batch.batch_size}x${batch.sequence_length}x${batch.label_length}`
}

function floats(outputs: HostArrays, name: string): Float32Array {
  const values = outputs.get(name)
  if (!(values instanceof Float32Array)) throw new EngineError(`the program gave no float32 "${name}"`)
  return values
}

/** Checks a batch against its own dimensions, so that a mistake is named here and not deep in a kernel. */
function feeds(batch: CausalBatch, extra: Readonly<Record<string, HostArray>>): HostArrays {
  const { batch_size, sequence_length, label_length } = batch
  const labels = elementCount([batch_size, label_length])
  const expected: readonly (readonly [string, HostArray, number])[] = [
    ['label_positions', batch.label_positions, labels],
    ['label_ids', batch.label_ids, labels],
    ['label_weights', batch.label_weights, labels],
  ]
  for (const [name, array, length] of expected) {
    if (array.length !== length)
      throw new EngineError(`${name} holds ${array.length} values, [${batch_size}, ${label_length}] needs ${length}`)
  }
  if (batch.inputs_embeds.length % (batch_size * sequence_length) !== 0) {
    throw new EngineError(
      `inputs_embeds holds ${batch.inputs_embeds.length} values, not rows of [${batch_size}, ${sequence_length}]`,
    )
  }
  return new Map<string, HostArray>([
    ['inputs_embeds', batch.inputs_embeds],
    ['label_positions', batch.label_positions],
    ['label_ids', batch.label_ids],
    ...Object.entries(extra),
  ])
}
