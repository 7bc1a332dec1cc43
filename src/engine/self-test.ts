/**
 * Is our reading of a model right on this device? Runs a few tokens through the fused forward program and compares the logits with
 * onnxruntime's on the untouched file; and, for reference files, loss and gradient with torch's. Knows nothing of tuning.
 */
import * as v from 'valibot'
import { ENCODER_STATES, type CutGraph, type CutModel } from '../graph/cut'
import { readEmbeddingRows } from '../graph/embedding'
import type { Exactness } from '../graph/exactness'
import { fuse } from '../graph/fuse'
import { referenceProgram } from '../graph/objective'
import { specialize, specializeSeq2Seq } from '../graph/specialize'
import { EngineError, type Engine, type HostArray } from './engine'
import { floats, runOnce } from './run-once'

export interface SelfTest {
  readonly max_abs_diff: number
  /** What is allowed, given the file's precision and the size of its logits. */
  readonly tolerance: number
  readonly ok: boolean
}

/** Token ids spread over the vocabulary, the same every time. */
export function selfTestIds(vocab_size: number, length = 12): number[] {
  return Array.from({ length }, (_, i) => (i * 7919 + 13) % vocab_size)
}

/** What a model reads in a self-test. `decoder` is read by a decoder alone, and behind what its encoder makes of `ids`. */
export interface SelfTestInput {
  readonly ids: readonly number[]
  readonly decoder: readonly number[]
}

export const selfTestInput = ({ vocab_size }: CutModel): SelfTestInput => ({
  ids: selfTestIds(vocab_size),
  decoder: selfTestIds(vocab_size, 7),
})

/** Logits of the model on the engine: [1, ids.length, V], of an encoder-decoder [1, decoder.length, V]. */
export async function engineLogits(cut: CutModel, engine: Engine, { ids, decoder }: SelfTestInput): Promise<Float32Array> {
  const shared = { batch_size: 1, simulate_rounding: true }
  if (cut.kind === 'causal-lm') {
    const { program } = specialize(cut, { ...shared, sequence_length: ids.length, mask: 'ones' })
    const feeds = new Map<string, HostArray>([['inputs_embeds', readEmbeddingRows(cut.embedding, ids)]])
    return floats(await runOnce(engine, fuse(program), feeds), 'logits')
  }
  const { program, host } = specializeSeq2Seq(cut, {
    ...shared,
    sequence_length: decoder.length,
    encoder_length: ids.length,
  })
  const feeds = new Map<string, HostArray>([
    ['inputs_embeds', readEmbeddingRows(cut.decoder.embedding, decoder)],
    ['encoder_inputs_embeds', readEmbeddingRows(cut.encoder.embedding, ids)],
    ...host.run({ attention_mask: new Int32Array(ids.length).fill(1) }),
  ])
  return floats(await runOnce(engine, fuse(program), feeds), 'logits')
}

/**
 * Of the largest logit. float32: sums of a few hundred products in another order. float16: eleven bits after each op of every layer. rounded:
 * one rounding that falls the other way is worth far more than any sum's order. int8: every activation is off by up to half of 1/255 of its
 * tensor's range in onnxruntime and not here (measured on two layers: 4 %); a wrong reading of a file is off by the logits themselves.
 */
const TOLERANCES: Readonly<Record<Exactness, number>> = { float32: 1e-4, float16: 2e-2, rounded: 2e-2, int8: 0.15 }

/** Compares the engine's logits with onnxruntime's for the same ids. */
export function compareLogits(ours: Float32Array, reference: Float32Array, exactness: Exactness): SelfTest {
  const largest = reference.reduce((most, value) => Math.max(most, Math.abs(value)), 1)
  const tolerance = TOLERANCES[exactness] * largest
  const max_abs_diff = maxAbsDiff(ours, reference)
  return { max_abs_diff, tolerance, ok: max_abs_diff <= tolerance }
}

function maxAbsDiff(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Infinity
  let most = 0
  for (let i = 0; i < a.length; i += 1) {
    const difference = Math.abs((a[i] ?? NaN) - (b[i] ?? NaN))
    // A NaN anywhere is the worst difference there is.
    if (!(difference <= most)) most = Number.isNaN(difference) ? Infinity : difference
  }
  return most
}

const numbers = v.array(v.number())
const ReferenceSchema = v.object({
  ids: numbers,
  am: numbers,
  emb: numbers,
  wt: numbers,
  logits: numbers,
  grad: numbers,
  loss: v.number(),
  /** A decoder's: encoder hidden states [2,5,W]. */
  ehs: v.optional(numbers),
  /** Its mask over them, [2,5]; without it, the last position of each row is masked. */
  eam: v.optional(numbers),
  /** Rows of the batch; the format of test/fixtures/README.md always has two. */
  batch_size: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)), 2),
})

export interface ReferenceCheck {
  readonly logits_max_abs_diff: number
  /** max |difference| over max |torch's gradient|. */
  readonly gradient_max_rel_diff: number
  readonly ok: boolean
}

/** Logits and gradients are held to the same bound as in the tests: 1e-4, which float32 sums in another order stay well below. */
const REFERENCE_TOLERANCE = 1e-4

/**
 * Compares logits and d loss / d inputs_embeds of a causal model, or of a decoder behind given encoder states, with a reference file
 * (test/fixtures/README.md describes the format).
 * @throws EngineError when the text is no such file or does not fit the model
 */
export async function checkReference(cut: CutGraph, engine: Engine, text: string): Promise<ReferenceCheck> {
  const reference = parseReference(text)
  const { batch_size, ids, ehs, eam } = reference
  const sequence_length = ids.length / batch_size
  const positions = batch_size * sequence_length
  const states = ehs && { sequence_length: ENCODER_POSITIONS, width: ehs.length / (batch_size * ENCODER_POSITIONS) }
  const fits =
    Number.isInteger(sequence_length) &&
    reference.am.length === positions &&
    reference.emb.length === positions * cut.hidden_size &&
    reference.wt.length === positions * cut.vocab_size &&
    (cut.role === 'decoder') === (states !== undefined && Number.isInteger(states.width)) &&
    (eam === undefined || eam.length === batch_size * ENCODER_POSITIONS)
  if (!fits)
    throw new EngineError(
      `the reference does not fit the model: hidden size ${cut.hidden_size}, vocabulary ${cut.vocab_size}, batch ${batch_size}`,
    )
  const { program, host } = specialize(cut, {
    batch_size,
    sequence_length,
    mask: 'fed',
    simulate_rounding: true,
    ...(states && { encoder: states }),
  })
  const feeds = new Map<string, HostArray>([
    ['inputs_embeds', Float32Array.from(reference.emb)],
    ['target_weights', Float32Array.from(reference.wt)],
  ])
  if (ehs) feeds.set(ENCODER_STATES, Float32Array.from(ehs))
  const mask = !states ? Int32Array.from(reference.am) : eam ? Int32Array.from(eam) : lastMasked(batch_size)
  for (const [name, array] of host.run({ attention_mask: mask })) feeds.set(name, array)
  const outputs = await runOnce(engine, referenceProgram(fuse(program)), feeds)
  const logits_max_abs_diff = maxAbsDiff(floats(outputs, 'logits'), reference.logits)
  const largest = reference.grad.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  const gradient_max_rel_diff = maxAbsDiff(floats(outputs, 'd_inputs_embeds'), reference.grad) / largest
  const ok = logits_max_abs_diff <= REFERENCE_TOLERANCE && gradient_max_rel_diff <= REFERENCE_TOLERANCE
  return { logits_max_abs_diff, gradient_max_rel_diff, ok }
}

/** Encoder states in reference files have five positions. */
const ENCODER_POSITIONS = 5

function lastMasked(rows: number): Int32Array {
  return Int32Array.from({ length: rows * ENCODER_POSITIONS }, (_, i) => Number(i % ENCODER_POSITIONS < ENCODER_POSITIONS - 1))
}

function parseReference(text: string): v.InferOutput<typeof ReferenceSchema> {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    throw new EngineError(`the reference is not JSON: ${error instanceof Error ? error.message : String(error)}`)
  }
  const parsed = v.safeParse(ReferenceSchema, json)
  if (parsed.success) return parsed.output
  const issue = parsed.issues[0]
  throw new EngineError(`the reference has no valid "${v.getDotPath(issue) ?? '(document)'}": ${issue.message}`)
}
