/**
 * FrozenModel over a cut ONNX graph and an engine: makes one program per kind of work and batch shape (training, scoring, encoding),
 * keeps the recently used ones loaded, and feeds them. It is the only place where graph meets engine; it knows nothing of prompts.
 */
import { cutGraphs, ENCODER_STATES, roundsActivations, type CutModel } from '../graph/cut'
import { eachEmbeddingRow, readEmbeddingRows, type Embedding } from '../graph/embedding'
import { checkpointToFit } from '../graph/checkpoint'
import type { Program } from '../graph/program'
import type { HostPlan, Specialized } from '../graph/specialize'
import { elementCount } from '../graph/ir'
import { byteLength } from '../graph/tensor'
import { EngineError, type Counters, type Device, type Engine, type Executable, type HostArray, type HostArrays } from './engine'
import { estimateMemory, fittedTraining, weightBytes, type MemoryEstimate, type StepShape } from './memory'
import { encoderProgram, forwardProgram, scoringOf, trainingOf, type BatchShape } from './programs'
import { floats } from './run-once'
import type { EncoderEmbeds, FrozenModel, GradientLengths, LossAndGradient, Scores, Stack, TokenBatch } from './frozen-model'

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
  /**
   * Where programs hold weights of their own: bytes of them above which the least recently used is dropped. Default 512 MiB. Of a model whose weights
   * take more than a third of it, one program is loaded at a time.
   */
  readonly program_budget_bytes?: number
  /** Bytes of activations above which layers are computed again (gradient checkpointing). Default: what the engine's device has room for. */
  readonly activation_budget_bytes?: number
}

interface Loaded {
  readonly executable: Executable
  readonly host: HostPlan
  readonly bytes: number
}

export class GraphModel implements FrozenModel {
  readonly kind: 'causal-lm' | 'seq2seq'
  readonly device: Device
  readonly hidden_size: number
  readonly vocab_size: number
  readonly max_positions: number | null
  readonly rounds_activations: boolean
  readonly single_shape: boolean
  readonly embedding_std: number
  /** Insertion order is use order: the first is the least recently used. */
  private readonly loaded = new Map<string, Loaded>()
  private loadedBytes = 0
  private readonly cut: CutModel
  private readonly engine: Engine
  private readonly simulateRounding: boolean
  private readonly budget: number
  private readonly activationBudget: number | null
  private readonly estimates = new Map<string, MemoryEstimate>()

  constructor(options: GraphModelOptions) {
    this.cut = options.cut
    this.kind = options.cut.kind
    this.engine = options.engine
    this.device = options.engine.device
    this.hidden_size = options.cut.hidden_size
    this.vocab_size = options.cut.vocab_size
    const limits = [options.cut.max_positions, options.max_positions].filter((limit) => typeof limit === 'number')
    this.max_positions = limits.length === 0 ? null : Math.min(...limits)
    this.embedding_std = embeddingStd((options.cut.kind === 'causal-lm' ? options.cut : options.cut.encoder).embedding)
    this.simulateRounding = options.simulate_rounding ?? true
    this.rounds_activations = this.simulateRounding && roundsActivations(options.cut)
    this.budget = options.program_budget_bytes ?? 512 * 2 ** 20
    this.activationBudget = options.activation_budget_bytes ?? null
    this.single_shape = options.engine.memory.copies_weights && this.alone(fileBytes(options.cut))
  }

  embed(ids: ArrayLike<number>, stack: Stack): Float32Array {
    const { cut } = this
    return readEmbeddingRows(cut.kind === 'causal-lm' ? cut.embedding : cut[stack].embedding, ids)
  }

  async encode(input: EncoderEmbeds, batch_size: number): Promise<Float32Array> {
    const { cut } = this
    if (cut.kind === 'causal-lm') throw new EngineError('a causal model has no encoder')
    const { sequence_length, attention_mask, inputs_embeds } = input
    const loaded = await this.prepare(`encode ${batch_size}x${sequence_length}`, () =>
      encoderProgram(cut, batch_size, sequence_length, this.simulateRounding),
    )
    const feeds = new Map<string, HostArray>([['encoder_inputs_embeds', inputs_embeds], ...loaded.host.run({ attention_mask })])
    return floats(await loaded.executable.run(feeds), ENCODER_STATES)
  }

  async lossAndGradient(batch: TokenBatch, lengths: GradientLengths): Promise<LossAndGradient> {
    const { decoder, encoder } = lengths
    const key = `train ${decoder},${encoder}`
    const outputs = await this.run(key, batch, { label_weights: batch.label_weights }, (forward, shape) => {
      const { program, host } = trainingOf(forward, shape, lengths)
      return { program: this.fitted(program), host }
    })
    const loss = floats(outputs, 'loss')[0]
    if (loss === undefined) throw new EngineError('the training program gave an empty loss')
    return {
      loss,
      d_inputs_embeds: decoder > 0 ? floats(outputs, 'd_inputs_embeds') : NOTHING,
      d_encoder_inputs_embeds: encoder > 0 ? floats(outputs, 'd_encoder_inputs_embeds') : NOTHING,
    }
  }

  async score(batch: TokenBatch): Promise<Scores> {
    const outputs = await this.run('score', batch, {}, scoringOf)
    const greedy = outputs.get('greedy_ids')
    if (!(greedy instanceof Int32Array)) throw new EngineError('greedy_ids is not int32')
    return { log_probabilities: floats(outputs, 'log_probabilities'), greedy_ids: greedy }
  }

  memory(shape: StepShape): MemoryEstimate {
    const key = JSON.stringify(shape)
    const { cut, device, engine, simulateRounding: simulate_rounding } = this
    const estimate = this.estimates.get(key) ?? estimateMemory({ cut, device, memory: engine.memory, shape, simulate_rounding })
    this.estimates.set(key, estimate)
    return estimate
  }

  counters(): Counters {
    return this.engine.counters()
  }

  /** Frees the loaded programs. The engine belongs to whoever made it. */
  async dispose(): Promise<void> {
    for (const key of [...this.loaded.keys()]) await this.drop(key)
  }

  private fitted(program: Program): Program {
    if (this.activationBudget !== null) return checkpointToFit(program, 'loss', this.activationBudget).program
    return fittedTraining(program, this.engine.memory).program
  }

  /** Runs a batch through the program that `objective` makes of the forward one. */
  private async run(
    what: string,
    batch: TokenBatch,
    extra: Readonly<Record<string, HostArray>>,
    objective: (forward: Specialized, shape: BatchShape) => Specialized,
  ): Promise<HostArrays> {
    const { executable, host } = await this.prepare(`${what} ${shapeKey(batch)}`, () => {
      const shape = shapeOf(batch)
      return objective(forwardProgram(this.cut, shape, this.simulateRounding), shape)
    })
    return executable.run(feeds(batch, host, extra))
  }

  private async prepare(key: string, make: () => Specialized): Promise<Loaded> {
    const known = this.loaded.get(key)
    if (known !== undefined) {
      this.loaded.delete(key)
      this.loaded.set(key, known)
      return known
    }
    const { program, host } = make()
    const { memory } = this.engine
    const bytes = memory.copies_weights ? weightBytes(program) : 0
    // A second copy of large weights would be gone before it is used again.
    const room = this.alone(bytes) ? bytes : this.budget
    while (this.loadedBytes + bytes > room) {
      const oldest = this.loaded.keys().next().value
      if (oldest === undefined) break
      await this.drop(oldest)
    }
    const loaded = { executable: await this.engine.load(program), host, bytes }
    this.loaded.set(key, loaded)
    this.loadedBytes += bytes
    return loaded
  }

  /** Is a program with so many bytes of weights of its own to be the only one loaded? */
  private alone(bytes: number): boolean {
    return 3 * bytes > this.budget
  }

  private async drop(key: string): Promise<void> {
    const entry = this.loaded.get(key)
    if (entry === undefined) return
    this.loaded.delete(key)
    this.loadedBytes -= entry.bytes
    await entry.executable.dispose()
  }
}

/** Bytes of the weights that a model's graphs read. */
function fileBytes(cut: CutModel): number {
  const tensors = new Set(cutGraphs(cut).flatMap(({ graph }) => [...graph.initializers.values()]))
  return [...tensors].reduce((total, tensor) => total + byteLength(tensor), 0)
}

/** Rows looked at for the table's standard deviation: enough for three digits, and never a second copy of a large table. */
const SAMPLED_ROWS = 4096
/** They come in runs: a table that is not in memory is read a run at a time. */
const RUN_ROWS = 16

/** Standard deviation of the entries of the embedding table, over evenly spaced runs of its rows. */
function embeddingStd(embedding: Embedding): number {
  const rows = Math.min(SAMPLED_ROWS, embedding.vocab_size)
  const last = embedding.vocab_size - RUN_ROWS
  const ids = Array.from({ length: rows }, (_, i) => {
    if (rows < SAMPLED_ROWS) return i
    return Math.floor((Math.floor(i / RUN_ROWS) * last) / (rows / RUN_ROWS - 1)) + (i % RUN_ROWS)
  })
  let sum = 0
  let squares = 0
  eachEmbeddingRow(embedding, ids, (_, row) => {
    for (const value of row) {
      sum += value
      squares += value * value
    }
  })
  const count = rows * embedding.hidden_size
  const mean = sum / count
  return Math.sqrt(Math.max(0, squares / count - mean * mean))
}

/** @throws EngineError for encoder states that are no rows of some width */
function shapeOf({ batch_size, sequence_length, label_length, encoder, inputs_embeds }: TokenBatch): BatchShape {
  const shape = { batch_size, sequence_length, label_length }
  if (encoder === null) return { ...shape, encoder }
  const length = encoder.sequence_length
  if (encoder.kind === 'embeds') return { ...shape, encoder: { sequence_length: length, width: null } }
  const width = encoder.hidden_states.length / (batch_size * length)
  if (!Number.isInteger(width) || inputs_embeds.length === 0) throw new EngineError('encoder states of no whole width')
  return { ...shape, encoder: { sequence_length: length, width } }
}

function shapeKey({ batch_size, sequence_length, label_length, encoder }: TokenBatch): string {
  const stack = `${batch_size}x${sequence_length}x${label_length}`
  return encoder === null ? stack : `${stack} ${encoder.kind} ${encoder.sequence_length}`
}

const NOTHING = new Float32Array(0)

/** Checks a batch against its own dimensions, so that a mistake is named here and not deep in a kernel. */
function feeds(batch: TokenBatch, host: HostPlan, extra: Readonly<Record<string, HostArray>>): HostArrays {
  const { batch_size, sequence_length, label_length, encoder } = batch
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
  checkRows('inputs_embeds', batch.inputs_embeds, batch_size, sequence_length)
  const fed = new Map<string, HostArray>([
    ['inputs_embeds', batch.inputs_embeds],
    ['label_positions', batch.label_positions],
    ['label_ids', batch.label_ids],
    ...Object.entries(extra),
  ])
  if (encoder === null) return fed
  const [name, rows] =
    encoder.kind === 'embeds'
      ? (['encoder_inputs_embeds', encoder.inputs_embeds] as const)
      : ([ENCODER_STATES, encoder.hidden_states] as const)
  checkRows(name, rows, batch_size, encoder.sequence_length)
  fed.set(name, rows)
  for (const [input, array] of host.run({ attention_mask: encoder.attention_mask })) fed.set(input, array)
  return fed
}

function checkRows(name: string, rows: HostArray, batch_size: number, length: number): void {
  if (rows.length % (batch_size * length) === 0) return
  throw new EngineError(`${name} holds ${rows.length} values, not rows of [${batch_size}, ${length}]`)
}
