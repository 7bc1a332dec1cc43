/**
 * FrozenModel over a cut ONNX graph and an engine: makes one program per kind of work and batch shape (training, scoring, encoding),
 * keeps the recently used ones loaded, and feeds them. It is the only place where graph meets engine; it knows nothing of prompts.
 */
import { ENCODER_STATES, roundsActivations, type CutModel } from '../graph/cut'
import { readEmbeddingRows, type Embedding } from '../graph/embedding'
import { fuse } from '../graph/fuse'
import { scoreProgram, trainingProgram } from '../graph/objective'
import type { Program } from '../graph/program'
import { specialize, specializeSeq2Seq, type HostPlan, type Specialized } from '../graph/specialize'
import { elementCount } from '../graph/ir'
import { byteLength } from '../graph/tensor'
import { EngineError, type Counters, type Device, type Engine, type Executable, type HostArray, type HostArrays } from './engine'
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
  /** Bytes of loaded programs (each engine session may hold its own weights) above which the least recently used is dropped. Default 1 GiB. */
  readonly program_budget_bytes?: number
}

interface Loaded {
  readonly executable: Executable
  readonly host: HostPlan
  readonly bytes: number
}

/** Bytes of a program's constants, which a session may copy: what the budget counts. */
function programBytes(program: Program): number {
  let bytes = 0
  for (const tensor of program.constants.values()) bytes += byteLength(tensor)
  return bytes
}

export class GraphModel implements FrozenModel {
  readonly kind: 'causal-lm' | 'seq2seq'
  readonly device: Device
  readonly hidden_size: number
  readonly vocab_size: number
  readonly max_positions: number | null
  readonly rounds_activations: boolean
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
    this.budget = options.program_budget_bytes ?? 2 ** 30
  }

  embed(ids: ArrayLike<number>, stack: Stack): Float32Array {
    const { cut } = this
    return readEmbeddingRows(cut.kind === 'causal-lm' ? cut.embedding : cut[stack].embedding, ids)
  }

  async encode(input: EncoderEmbeds, batch_size: number): Promise<Float32Array> {
    const { cut } = this
    if (cut.kind === 'causal-lm') throw new EngineError('a causal model has no encoder')
    const { sequence_length, attention_mask, inputs_embeds } = input
    const loaded = await this.prepare(`encode ${batch_size}x${sequence_length}`, () => {
      const { program, host } = specialize(cut.encoder, { batch_size, sequence_length, mask: 'fed', ...this.rounding })
      return { program: fuse(program), host }
    })
    const feeds = new Map<string, HostArray>([['encoder_inputs_embeds', inputs_embeds], ...loaded.host.run({ attention_mask })])
    return floats(await loaded.executable.run(feeds), ENCODER_STATES)
  }

  async lossAndGradient(batch: TokenBatch, lengths: GradientLengths): Promise<LossAndGradient> {
    const { label_length } = batch
    const { decoder, encoder } = lengths
    const outputs = await this.run(`train ${decoder},${encoder}`, batch, { label_weights: batch.label_weights }, (forward) => {
      const gradient_lengths = {
        ...(decoder > 0 && { inputs_embeds: decoder }),
        ...(encoder > 0 && { encoder_inputs_embeds: encoder }),
      }
      return trainingProgram(forward, { label_length, gradient_lengths })
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
    const { label_length } = batch
    const outputs = await this.run('score', batch, {}, (forward) => scoreProgram(forward, { label_length }))
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

  private get rounding() {
    return { simulate_rounding: this.simulateRounding }
  }

  /** Runs a batch through the program that `objective` makes of the forward one. */
  private async run(
    what: string,
    batch: TokenBatch,
    extra: Readonly<Record<string, HostArray>>,
    objective: (forward: Program) => Program,
  ): Promise<HostArrays> {
    const { executable, host } = await this.prepare(`${what} ${shapeKey(batch)}`, () => {
      const forward = this.forward(batch)
      return { program: objective(fuse(forward.program)), host: forward.host }
    })
    return executable.run(feeds(batch, host, extra))
  }

  /** The forward program for a batch's shape, up to all logits. */
  private forward({ batch_size, sequence_length, encoder, inputs_embeds }: TokenBatch): Specialized {
    const { cut, rounding } = this
    if (cut.kind === 'causal-lm') {
      if (encoder !== null) throw new EngineError('a causal model has no encoder')
      // Right padding under a causal model: no label ever attends to padding, so the mask is all ones and folds into constants.
      return specialize(cut, { batch_size, sequence_length, mask: 'ones', ...rounding })
    }
    if (encoder === null) throw new EngineError('an encoder-decoder needs what its encoder reads')
    const encoder_length = encoder.sequence_length
    if (encoder.kind === 'embeds') return specializeSeq2Seq(cut, { batch_size, sequence_length, encoder_length, ...rounding })
    const width = encoder.hidden_states.length / (batch_size * encoder_length)
    if (!Number.isInteger(width) || inputs_embeds.length === 0) throw new EngineError('encoder states of no whole width')
    const states = { sequence_length: encoder_length, width }
    return specialize(cut.decoder, { batch_size, sequence_length, mask: 'fed', encoder: states, ...rounding })
  }

  private async prepare(key: string, make: () => Specialized): Promise<Loaded> {
    const known = this.loaded.get(key)
    if (known !== undefined) {
      this.loaded.delete(key)
      this.loaded.set(key, known)
      return known
    }
    const { program, host } = make()
    const bytes = programBytes(program)
    while (this.loadedBytes + bytes > this.budget) {
      const oldest = this.loaded.keys().next().value
      if (oldest === undefined) break
      await this.drop(oldest)
    }
    const loaded = { executable: await this.engine.load(program), host, bytes }
    this.loaded.set(key, loaded)
    this.loadedBytes += bytes
    return loaded
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

function shapeKey({ batch_size, sequence_length, label_length, encoder }: TokenBatch): string {
  const stack = `${batch_size}x${sequence_length}x${label_length}`
  return encoder === null ? stack : `${stack} ${encoder.kind} ${encoder.sequence_length}`
}

const NOTHING = new Float32Array(0)

function floats(outputs: HostArrays, name: string): Float32Array {
  const values = outputs.get(name)
  if (!(values instanceof Float32Array)) throw new EngineError(`the program gave no float32 "${name}"`)
  return values
}

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
