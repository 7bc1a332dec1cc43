/**
 * One model in one precision: read, cut, covered, specialised, fused, run; and how far its logits are from onnxruntime's on the file itself
 * and its gradients from those of a reference. Bounds, and why they are what they are, stand here.
 */
import { coverage } from '../../../src/graph/coverage'
import { cutGraphs, cutModel, cutSeq2Seq, roundsActivations, type CutModel } from '../../../src/graph/cut'
import { readModel } from '../../../src/graph/read'
import type { OnnxModel } from '../../../src/graph/ir'
import { concatBytes, writeModel } from '../../../src/graph/write'
import type { Engine } from '../../../src/engine/engine'
import { inPrecision, type Precision } from '../quantize'
import { fileLogits, finiteDifference } from './reference'
import { counts, ourGradients, ourLogits, taskOf, type Gradients, type Task } from './task'

export interface Parity {
  /** Number of ops by kind that nothing here computes; not one for a model that is read. */
  readonly unsupported: readonly string[]
  readonly ops: number
  /** max |ours - onnxruntime's on the file| over the largest logit, q8 activations rounded as there. */
  readonly logits: number
  /** The same against the float32 twin, where there is one, with no activation rounded. */
  readonly twin_logits: number | null
  /** max |ours - reference| / max |reference|: our own gradients of the float32 twin. */
  readonly gradient: number | null
  /** Against onnxruntime's central differences; null where rounding makes the loss a staircase. */
  readonly finite_difference: number | null
}

/** float32 sums in another order stay well below. */
export const EXACT = 1e-4
/** Central differences of float32 losses: what rounding, curvature and a ReLU's kink leave. */
export const FINITE_DIFFERENCE = 2e-2

/**
 * What logits of a file in this precision may differ by, relative to the largest logit. float32 and plain 4-bit weights are computed with the
 * very same numbers. In float16 files onnxruntime rounds what goes from node to node to 11 bits, and we do not. In 8-bit files one rounding
 * of an activation that falls the other way is worth a 255th of a layer's input.
 */
export function logitsTolerance(precision: Precision): number {
  if (precision === 'fp16' || precision === 'q4f16') return 2e-2
  return precision === 'q8' || precision === 'int8' || precision === 'uint8' ? 2e-2 : EXACT
}

/** What breaks its bounds, in words; empty for a model that is read right. */
export function broken(parity: Parity, precision: Precision, logits_tolerance = logitsTolerance(precision)): string[] {
  if (parity.unsupported.length > 0) return [`can't compute ${parity.unsupported.join(', ')}`]
  const bounds: [string, number | null, number][] = [
    ['logits', parity.logits, logits_tolerance],
    ["the float32 twin's logits", parity.twin_logits, EXACT],
    ['gradient', parity.gradient, EXACT],
    ['finite differences', parity.finite_difference, FINITE_DIFFERENCE],
  ]
  return bounds.flatMap(([what, value, bound]) =>
    value === null || value <= bound ? [] : [`${what} differ by ${value.toExponential(1)}, ${bound} is allowed`],
  )
}

/** Cuts the files of a model: one of a causal model, or encoder and decoder. */
export function cutFiles(models: readonly OnnxModel[]): CutModel {
  const [first, second] = models
  if (!first) throw new Error('a model of no files')
  return second ? cutSeq2Seq(first, second) : cutModel(first)
}

const bytesOf = (model: OnnxModel): Uint8Array => concatBytes(writeModel(model))

/** @param models as exported, float32 */
export async function measure(models: readonly OnnxModel[], precision: Precision, engine: Engine): Promise<Parity> {
  const made = models.map((model) => inPrecision(model, precision))
  const file = await measureFile(
    made.map(({ file }) => bytesOf(file)),
    engine,
    false,
  )
  if (precision === 'fp32' || file.unsupported.length > 0) return file
  const twin = made.map(({ twin }) => twin)
  const [ours, cut] = [cutFiles(made.map((one) => readModel(bytesOf(one.file)))), cutFiles(twin)]
  const task = taskOf(cut)
  const gradients = await ourGradients(ours, engine, task, false)
  const gradient = gradientDifference(gradients, await ourGradients(cut, engine, task, false))
  // Where the file itself is held to the tight bound, its twin can't tell more.
  if (logitsTolerance(precision) === EXACT) return { ...file, gradient }
  const plain = await ourLogits(ours, engine, task, false)
  return { ...file, gradient, twin_logits: logitsDifference(cut, task, plain, await fileLogits(twin.map(bytesOf), task)) }
}

/** A model as it is stored. @param differences whether to spend the time on central differences */
export async function measureFile(files: readonly Uint8Array[], engine: Engine, differences = true): Promise<Parity> {
  const cut = cutFiles(files.map((bytes) => readModel(bytes)))
  const { unsupported, ops } = coverage(...cutGraphs(cut))
  const nothing = { logits: NaN, twin_logits: null, gradient: null, finite_difference: null }
  const count = Object.values(ops).reduce((sum, n) => sum + n, 0)
  const missing = [...new Set(unsupported.map(({ domain, op_type }) => (domain === '' ? op_type : `${domain}.${op_type}`)))]
  if (missing.length > 0) return { unsupported: missing, ops: count, ...nothing }
  const task = taskOf(cut)
  const ours = await ourLogits(cut, engine, task, true)
  const logits = logitsDifference(cut, task, ours, await fileLogits(files, task))
  // Rounded activations and half-precision losses are staircases.
  const smooth = differences && !roundsActivations(cut) && cutGraphs(cut).every(({ embedding }) => embedding.dtype === 'float32')
  const gradients = smooth ? await ourGradients(cut, engine, task, false) : null
  return {
    unsupported: [],
    ops: count,
    logits,
    twin_logits: null,
    gradient: null,
    finite_difference: gradients && (await finiteDifference(cut, task, gradients)),
  }
}

/** Over the positions that are not padding, relative to the largest logit. */
function logitsDifference(cut: CutModel, task: Task, ours: Float32Array, theirs: Float32Array): number {
  if (ours.length !== theirs.length) return Infinity
  const vocabulary = ours.length / (task.batch * task.length)
  let [most, largest] = [0, 0]
  for (let i = 0; i < ours.length; i++) {
    if (!counts(cut.kind, task, Math.floor(i / vocabulary))) continue
    const difference = Math.abs((ours[i] ?? NaN) - (theirs[i] ?? NaN))
    if (Number.isNaN(difference)) return Infinity
    most = Math.max(most, difference)
    largest = Math.max(largest, Math.abs(theirs[i] ?? 0))
  }
  return most / largest
}

function gradientDifference(ours: Gradients, theirs: Gradients): number {
  const both = (of: Gradients) => [...of.inputs_embeds, ...(of.encoder_inputs_embeds ?? [])]
  const [a, b] = [both(ours), both(theirs)]
  const largest = b.reduce((most, x) => Math.max(most, Math.abs(x)), 0)
  const most = a.reduce((worst, x, i) => Math.max(worst, Math.abs(x - (b[i] ?? NaN))), 0)
  return a.length === b.length ? most / largest : Infinity
}
