/**
 * Whether training fits on a device, known before anything runs: the bytes of weights as that device holds them, and of the values alive at
 * the fullest moment of a step, against what the device has. It looks at programs; it does not load them.
 */
import type { CutModel } from '../graph/cut'
import { cutGraphs } from '../graph/cut'
import { checkpointToFit, type Checkpointed } from '../graph/checkpoint'
import { peakActivationBytes } from '../graph/peak-activations'
import type { Program } from '../graph/program'
import { rowsWithin, sliceWeights } from './slice-weights'
import { byteLength } from '../graph/tensor'
import type { Device, EngineMemory } from './engine'
import type { GradientLengths } from './frozen-model'
import { adviceFor } from './memory-advice'
import { forwardProgram, scoringOf, trainingOf, type BatchShape } from './programs'

const MIB = 2 ** 20
/** Of the runtime itself (17 MiB), and what its memory grows ahead of need (up to 96 MiB at once). */
const RUNTIME_BYTES = 96 * MIB
/** Values an op is lowered to come on top of the program's own, and freed memory is in pieces: chosen, a little above what bench/size shows. */
const ACTIVATION_OVERHEAD = 1.15
/** Where a device does not say what it has: room for activations before they are computed again to save it. */
const ASSUMED_ACTIVATION_BYTES = 2048 * MIB
/** Embedding rows that batches are made of, kept at hand (tuning/assemble.ts). */
const ROW_CACHE_BYTES = 64 * MIB

/** A training step's shape, and for which positions it asks gradients. */
export interface StepShape extends BatchShape {
  /** Label slots where rows are scored: more than in training where labels are ranked. */
  readonly score_label_length: number
  readonly lengths: GradientLengths
}

export interface MemoryEstimate {
  readonly device: Device
  readonly verdict: 'fits' | 'fits_with_checkpointing' | 'does_not_fit'
  readonly batch_size: number
  /** Of the longest batch, in its longer stack. */
  readonly positions: number
  /** On the device; of one session where sessions copy them. */
  readonly weight_bytes: number
  /** Values alive at once in a training step as it will run, and without gradient checkpointing. */
  readonly activation_bytes: number
  readonly plain_activation_bytes: number
  /** Likewise where rows are only scored. */
  readonly scoring_bytes: number
  /** 1: without gradient checkpointing. */
  readonly segments: number
  /** In JavaScript: files that are in memory, embedding rows, batches. */
  readonly host_bytes: number
  /** Weights and activations with what comes on top; against `limit_bytes`, null where the device does not say. */
  readonly needed_bytes: number
  readonly limit_bytes: number | null
  /** What does not fit by itself (one tensor); null for none. */
  readonly obstacle: string | null
  /** One sentence: what is needed, of what, and how it fits. */
  readonly summary: string
  /** What to change, for people; empty where it fits. */
  readonly advice: readonly string[]
}

export interface MemoryQuestion {
  readonly cut: CutModel
  readonly device: Device
  readonly memory: EngineMemory
  readonly shape: StepShape
  readonly simulate_rounding: boolean
}

/** Bytes a device holds of a program's constants: weights stay as the file has them. */
export function weightBytes(program: Program): number {
  return [...new Set(program.constants.values())].reduce((sum, tensor) => sum + byteLength(tensor), 0)
}

/** Bytes of activations there is room for beside the weights; beyond it layers are computed again. At least a little. */
export function activationBudget({ total_bytes }: EngineMemory, weight_bytes: number): number {
  if (total_bytes === null) return ASSUMED_ACTIVATION_BYTES
  return Math.max(MIB, (total_bytes - weight_bytes - RUNTIME_BYTES) / ACTIVATION_OVERHEAD)
}

/** The training program as it will run: with gradient checkpointing where it would not fit otherwise. */
export function fittedTraining(program: Program, memory: EngineMemory): Checkpointed {
  return checkpointToFit(program, 'loss', activationBudget(memory, weightBytes(program)))
}

/** @throws EngineError, GraphError as the programs themselves */
export function estimateMemory(question: MemoryQuestion): MemoryEstimate {
  const { device, memory, shape, cut } = question
  const measured = measure(question, shape)
  const { training, scoring_bytes, weight_bytes } = measured
  const activation_bytes = training.peak_bytes
  const needed = needed_bytes(weight_bytes, activation_bytes, scoring_bytes)
  const { total_bytes } = memory
  const fits = measured.obstacle === null && (total_bytes === null || needed <= total_bytes)
  const estimate: Omit<MemoryEstimate, 'summary'> = {
    device,
    verdict: !fits ? 'does_not_fit' : training.segments > 1 ? 'fits_with_checkpointing' : 'fits',
    batch_size: shape.batch_size,
    positions: positionsOf(shape),
    weight_bytes,
    activation_bytes,
    plain_activation_bytes: measured.plain_activation_bytes,
    scoring_bytes,
    segments: training.segments,
    host_bytes: hostBytes(cut, shape),
    needed_bytes: needed,
    limit_bytes: total_bytes,
    obstacle: measured.obstacle,
    advice: [],
  }
  const summary = summaryOf(estimate)
  if (fits) return { ...estimate, summary }
  const other = (changed: Partial<StepShape>): number => {
    const { weight_bytes: weights, training: step, scoring_bytes: scoring } = measure(question, { ...shape, ...changed })
    return needed_bytes(weights, step.peak_bytes, scoring)
  }
  return { ...estimate, summary, advice: adviceFor(estimate, shape, cut.parameters, other) }
}

const needed_bytes = (weights: number, training: number, scoring: number): number =>
  Math.round(weights + ACTIVATION_OVERHEAD * Math.max(training, scoring) + RUNTIME_BYTES)

const positionsOf = ({ sequence_length, encoder }: BatchShape): number => Math.max(sequence_length, encoder?.sequence_length ?? 0)

function measure({ cut, memory, simulate_rounding }: MemoryQuestion, shape: StepShape) {
  const forward = forwardProgram(cut, shape, simulate_rounding)
  const { program } = trainingOf(forward, shape, shape.lengths)
  return {
    weight_bytes: weightBytes(program),
    plain_activation_bytes: peakActivationBytes(program),
    training: fittedTraining(program, memory),
    scoring_bytes: peakActivationBytes(scoringOf(forward, { ...shape, label_length: shape.score_label_length }).program),
    obstacle: largeTensor(program, memory),
  }
}

/** The first value or weight the device has no tensor for, as a sentence. */
function largeTensor(program: Program, { tensor_bytes }: EngineMemory): string | null {
  if (tensor_bytes === null) return null
  const { values, constants } = sliceWeights(program, rowsWithin(tensor_bytes))
  for (const [name, { dims }] of values) {
    const constant = constants.get(name)
    const bytes = constant ? byteLength(constant) : 4 * dims.reduce((count, dim) => count * dim, 1)
    if (bytes > tensor_bytes) {
      return `'${name}' [${dims.join(', ')}] takes ${mebibytes(bytes)}, and this device holds at most ${mebibytes(tensor_bytes)} in one tensor`
    }
  }
  return null
}

/** What JavaScript holds: the model's file where it is in memory, and the batch, going down and (its gradient) coming back. */
function hostBytes(cut: CutModel, { batch_size, sequence_length, encoder }: BatchShape): number {
  const tensors = new Set(cutGraphs(cut).flatMap(({ graph }) => [...graph.initializers.values()]))
  let file = 0
  for (const tensor of tensors) if (!tensor.stored) file += tensor.bytes.byteLength
  const rows = batch_size * (sequence_length + (encoder?.sequence_length ?? 0))
  return file + ROW_CACHE_BYTES + 2 * 4 * rows * cut.hidden_size
}

/** 1536 MiB for people: "1.5 GiB". */
function mebibytes(bytes: number): string {
  if (bytes >= 1000 * MIB) return `${(bytes / (1024 * MIB)).toPrecision(2)} GiB`
  return `${Math.max(1, Math.round(bytes / MIB))} MiB`
}

function summaryOf(estimate: Omit<MemoryEstimate, 'summary'>): string {
  const {
    verdict,
    weight_bytes,
    activation_bytes,
    plain_activation_bytes,
    needed_bytes: needed,
    limit_bytes,
    obstacle,
  } = estimate
  const { batch_size, positions, device, segments } = estimate
  if (obstacle !== null) return `Training does not fit on ${device}: ${obstacle}.`
  const parts = `${mebibytes(weight_bytes)} weights, ${mebibytes(activation_bytes)} activations at batch_size ${batch_size} and ${positions} tokens`
  const of = limit_bytes === null ? ' (this device does not say what it has)' : ` of ${mebibytes(limit_bytes)}`
  const sum = `about ${mebibytes(needed)}${of} on ${device}: ${parts}`
  if (verdict === 'does_not_fit') return `Training does not fit: it needs ${sum}.`
  if (verdict === 'fits') return `Training fits: it needs ${sum}.`
  return `Training fits with gradient checkpointing in ${segments} segments (slower; ${mebibytes(plain_activation_bytes)} of activations without): it needs ${sum}.`
}
