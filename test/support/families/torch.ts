/**
 * What torch says of an export, held against us: logits and the gradient at the embedding lookup, and of an encoder-decoder also the
 * gradient at its encoder's. Files as test/fixtures/README.md describes them; those of test/fixtures/exports add `encoder`.
 */
import * as v from 'valibot'
import { checkReference } from '../../../src/engine/self-test'
import type { Engine, HostArray } from '../../../src/engine/engine'
import { logitsGraph, type CutModel } from '../../../src/graph/cut'
import { differentiate } from '../../../src/graph/differentiate'
import { fuse } from '../../../src/graph/fuse'
import { ProgramBuilder } from '../../../src/graph/rewrite'
import { specializeSeq2Seq } from '../../../src/graph/specialize'
import type { Program } from '../../../src/graph/program'

export interface TorchCheck {
  /** max |difference| / max |torch's|. */
  readonly logits: number
  readonly gradient: number
}

const numbers = v.array(v.number())
const Reference = v.object({
  emb: numbers,
  wt: numbers,
  logits: numbers,
  encoder: v.optional(v.object({ am: numbers, emb: numbers, logits: numbers, grad: numbers })),
})
const BATCH = 2
const ENCODER_LENGTH = 5

export async function checkTorch(cut: CutModel, engine: Engine, text: string): Promise<TorchCheck> {
  const { logits_max_abs_diff, gradient_max_rel_diff } = await checkReference(logitsGraph(cut), engine, text)
  const reference = v.parse(Reference, JSON.parse(text))
  const alone = { logits: logits_max_abs_diff / largest(reference.logits), gradient: gradient_max_rel_diff }
  const { encoder } = reference
  if (cut.kind === 'causal-lm' || !encoder) return alone

  const key = {
    batch_size: BATCH,
    sequence_length: reference.emb.length / (BATCH * cut.hidden_size),
    encoder_length: ENCODER_LENGTH,
  }
  const { program, host } = specializeSeq2Seq(cut, { ...key, simulate_rounding: true })
  const feeds = new Map<string, HostArray>([
    ['inputs_embeds', Float32Array.from(reference.emb)],
    ['encoder_inputs_embeds', Float32Array.from(encoder.emb)],
    ['target_weights', Float32Array.from(reference.wt)],
    ...host.run({ attention_mask: Int32Array.from(encoder.am) }),
  ])
  const executable = await engine.load(encoderGradient(fuse(program)))
  const outputs = await executable.run(feeds)
  await executable.dispose()
  return {
    logits: Math.max(alone.logits, difference(outputs.get('logits'), encoder.logits)),
    gradient: Math.max(alone.gradient, difference(outputs.get('d_encoder_inputs_embeds'), encoder.grad)),
  }
}

/** As objective.ts' reference program, with the gradient of the encoder's input. */
function encoderGradient(forward: Program): Program {
  const builder = new ProgramBuilder(forward, true)
  const dims = forward.values.get('logits')?.dims ?? []
  const weights = builder.input('target_weights', { dtype: 'float32', dims })
  const outputs = ['loss', builder.fresh('d_logits')]
  builder.emitAll({ op: 'WeightedLogSoftmax', name: 'loss', inputs: ['logits', weights], attrs: {} }, outputs)
  const seed = outputs[1] ?? ''
  const wrt = new Map([['encoder_inputs_embeds', 'd_encoder_inputs_embeds']])
  const whole = differentiate(builder.finish(['loss', 'logits', seed]), { seeds: new Map([['logits', seed]]), wrt })
  return { ...whole, outputs: ['loss', 'logits', 'd_encoder_inputs_embeds'] }
}

const largest = (values: readonly number[]): number => values.reduce((most, x) => Math.max(most, Math.abs(x)), 0)

function difference(ours: HostArray | undefined, theirs: readonly number[]): number {
  if (ours?.length !== theirs.length) return Infinity
  const most = theirs.reduce((worst, x, i) => Math.max(worst, Math.abs(x - (ours[i] ?? NaN))), 0)
  return Number.isNaN(most) ? Infinity : most / largest(theirs)
}
