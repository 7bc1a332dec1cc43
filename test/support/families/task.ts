/**
 * What every model is asked in the parity tests: a right-padded batch of two with a few labels, and how our reading of the model answers
 * (logits, loss, gradients). Token ids are spread over the vocabulary; nothing is random.
 */
import { cutGraphs, ENCODER_STATES, type CutModel } from '../../../src/graph/cut'
import { readEmbeddingRows } from '../../../src/graph/embedding'
import { fuse } from '../../../src/graph/fuse'
import { trainingProgram } from '../../../src/graph/objective'
import { specialize, specializeSeq2Seq, type Specialized } from '../../../src/graph/specialize'
import type { Engine, HostArray } from '../../../src/engine/engine'
import { floats, runOnce } from '../../../src/engine/run-once'

const BATCH = 2
/** Positions of the decoder (or the only stack), and of an encoder. */
const LENGTH = 6
const ENCODER_LENGTH = 5
const LABELS = 3

export interface Task {
  readonly batch: number
  readonly length: number
  readonly encoder_length: number
  readonly ids: readonly number[]
  readonly encoder_ids: readonly number[]
  /** Over what is padded: the tokens of a causal model, the encoder's of an encoder-decoder. The last position of the last row is 0. */
  readonly mask: readonly number[]
  readonly label_positions: readonly number[]
  readonly label_ids: readonly number[]
  readonly label_weights: readonly number[]
}

/** The first ids are padding, unknown and the like, which stand in no text. */
const SPECIAL = 5
const spread = (count: number, vocab_size: number, start: number) =>
  Array.from({ length: count }, (_, i) => SPECIAL + ((i * 7919 + start) % (vocab_size - SPECIAL)))

export function taskOf({ kind, vocab_size }: CutModel): Task {
  const masked = BATCH * (kind === 'causal-lm' ? LENGTH : ENCODER_LENGTH)
  const labels = BATCH * LABELS
  return {
    batch: BATCH,
    length: LENGTH,
    encoder_length: ENCODER_LENGTH,
    ids: spread(BATCH * LENGTH, vocab_size, 13),
    encoder_ids: spread(BATCH * ENCODER_LENGTH, vocab_size, 5),
    mask: Array.from({ length: masked }, (_, i) => Number(i < masked - 1)),
    // Never the last position, which may be padding.
    label_positions: Array.from({ length: labels }, (_, i) => [0, 2, 4][i % LABELS] ?? 0),
    label_ids: spread(labels, vocab_size, 29),
    label_weights: Array.from({ length: labels }, (_, i) => 0.5 + 0.25 * i),
  }
}

/** Whether the logits of a position count: those of padding are nobody's. */
export const counts = (kind: CutModel['kind'], task: Task, position: number): boolean =>
  kind === 'seq2seq' || task.mask[position] === 1

export interface Embeds {
  readonly inputs_embeds: Float32Array
  readonly encoder_inputs_embeds: Float32Array | null
}

export function embedsOf(cut: CutModel, task: Task): Embeds {
  if (cut.kind === 'causal-lm') return { inputs_embeds: readEmbeddingRows(cut.embedding, task.ids), encoder_inputs_embeds: null }
  return {
    inputs_embeds: readEmbeddingRows(cut.decoder.embedding, task.ids),
    encoder_inputs_embeds: readEmbeddingRows(cut.encoder.embedding, task.encoder_ids),
  }
}

function forwardOf(cut: CutModel, { batch, length, encoder_length }: Task, simulate_rounding: boolean): Specialized {
  const key = { batch_size: batch, sequence_length: length, simulate_rounding }
  const { program, host } =
    cut.kind === 'causal-lm' ? specialize(cut, { ...key, mask: 'fed' }) : specializeSeq2Seq(cut, { ...key, encoder_length })
  return { program: fuse(program), host }
}

function feedsOf(cut: CutModel, task: Task, { host }: Specialized): Map<string, HostArray> {
  const { inputs_embeds, encoder_inputs_embeds } = embedsOf(cut, task)
  const feeds = new Map<string, HostArray>([['inputs_embeds', inputs_embeds]])
  if (encoder_inputs_embeds) feeds.set('encoder_inputs_embeds', encoder_inputs_embeds)
  for (const [name, array] of host.run({ attention_mask: Int32Array.from(task.mask) })) feeds.set(name, array)
  return feeds
}

/** Logits [2,6,V] of our reading of the model. */
export async function ourLogits(cut: CutModel, engine: Engine, task: Task, simulate_rounding: boolean): Promise<Float32Array> {
  const forward = forwardOf(cut, task, simulate_rounding)
  return floats(await runOnce(engine, forward.program, feedsOf(cut, task, forward)), 'logits')
}

export interface Gradients {
  readonly loss: number
  /** [2,6,H]. */
  readonly inputs_embeds: Float32Array
  /** [2,5,H] of an encoder-decoder. */
  readonly encoder_inputs_embeds: Float32Array | null
}

/** The labels' loss and its gradients by a training step's program. */
export async function ourGradients(cut: CutModel, engine: Engine, task: Task, simulate_rounding: boolean): Promise<Gradients> {
  const forward = forwardOf(cut, task, simulate_rounding)
  const seq2seq = cut.kind === 'seq2seq'
  const program = trainingProgram(forward.program, {
    label_length: LABELS,
    gradient_lengths: { inputs_embeds: LENGTH, ...(seq2seq && { encoder_inputs_embeds: ENCODER_LENGTH }) },
  })
  const feeds = feedsOf(cut, task, forward)
  feeds.set('label_positions', Int32Array.from(task.label_positions))
  feeds.set('label_ids', Int32Array.from(task.label_ids))
  feeds.set('label_weights', Float32Array.from(task.label_weights))
  const outputs = await runOnce(engine, program, feeds)
  return {
    loss: floats(outputs, 'loss')[0] ?? NaN,
    inputs_embeds: floats(outputs, 'd_inputs_embeds'),
    encoder_inputs_embeds: seq2seq ? floats(outputs, 'd_encoder_inputs_embeds') : null,
  }
}

/** sum(label_weights * -log softmax(logits at label_positions)[label_ids]), in float64. */
export function lossOf(logits: Float32Array, vocab_size: number, task: Task): number {
  let loss = 0
  for (const [i, position] of task.label_positions.entries()) {
    const at = (Math.floor(i / LABELS) * task.length + position) * vocab_size
    const row = logits.subarray(at, at + vocab_size)
    const most = row.reduce((a, b) => Math.max(a, b), -Infinity)
    const sum = row.reduce((total, x) => total + Math.exp(x - most), 0)
    loss += (task.label_weights[i] ?? 0) * (most + Math.log(sum) - (row[task.label_ids[i] ?? 0] ?? NaN))
  }
  return loss
}

/** Parts of a model that are cut, with what each gives. */
export const partsOf = (cut: CutModel) =>
  cutGraphs(cut).map((part) => ({ part, output: part.role === 'encoder' ? ENCODER_STATES : 'logits' }))
