/**
 * Replays a golden run of PEFT (test/fixtures/peft/golden.json) through the product's own tuning pieces, in Node or a browser: the
 * same rows, first prompt, learning rates and AdamW; how far losses, gradient and final prompt are from PEFT's.
 */
import * as v from 'valibot'
import type { Engine } from '../../src/engine/engine'
import { GraphModel } from '../../src/engine/graph-model'
import { cutModel } from '../../src/graph/cut'
import { readModel } from '../../src/graph/read'
import { Assembler } from '../../src/tuning/assemble'
import { newAdamWState } from '../../src/tuning/optimizer'
import { greedyTokens } from '../../src/tuning/predict'
import { Shapes } from '../../src/tuning/shapes'
import type { TokenSequence } from '../../src/tuning/sequences'
import { groupGradient, trainStep } from '../../src/tuning/step'

const rows = v.array(v.array(v.number()))
export const GoldenSchema = v.object({
  input_ids: rows,
  labels: rows,
  prompt0: rows,
  grad0: v.object({ E: rows }),
  lrs: v.array(v.number()),
  losses: v.array(v.number()),
  prompt8: rows,
  greedy_input: rows,
  greedy6_after8: v.array(v.number()),
})
export type Golden = v.InferOutput<typeof GoldenSchema>

/** The cases of golden.json that need what is built so far. */
export const GOLDEN_CASES = ['gpt2_pt', 'llama_pt'] as const

/** Bounds the issue sets: float32 sums in another order, grown over eight steps of a learning rate as large as the prompt. */
export const BOUNDS = { gradient: 1e-4, loss: 1e-3, prompt: 1e-3 }

export interface GoldenResult {
  /** max |difference| over max |PEFT's gradient|. */
  readonly gradient_rel: number
  readonly loss_abs: number
  readonly prompt_abs: number
  readonly greedy: readonly number[]
}

/** One case of golden.json. */
export function parseGolden(text: string, name: string): Golden {
  const all = v.parse(v.record(v.string(), v.unknown()), JSON.parse(text))
  return v.parse(GoldenSchema, all[name])
}

function fail(message: string): never {
  throw new Error(message)
}

const worst = (a: ArrayLike<number>, b: readonly number[]): number =>
  b.reduce((most, value, i) => Math.max(most, Math.abs((a[i] ?? Infinity) - value)), a.length === b.length ? 0 : Infinity)

/** Source: the ids before the first label. Target: the labels (PEFT's end with EOS, as ours do). */
function sequencesOf({ input_ids, labels }: Golden): TokenSequence[] {
  return labels.map((row, b) => {
    const first = row.findIndex((label) => label !== -100)
    return { source: input_ids[b]?.slice(0, first) ?? [], target: row.filter((label) => label !== -100) }
  })
}

export async function replayGolden(onnx: Uint8Array, golden: Golden, engine: Engine): Promise<GoldenResult> {
  const model = new GraphModel({ cut: cutModel(readModel(onnx)), engine })
  const open = () => Promise.resolve(true)
  const sequences = sequencesOf(golden)
  const n = golden.prompt0.length
  const assembler = new Assembler(model, sequences.length)
  const shape = {
    sequence_length: n + Math.max(...sequences.map(({ source, target }) => source.length + target.length - 1)),
    label_length: Math.max(...sequences.map(({ target }) => target.length)),
  }
  const group = [{ shape, rows: sequences.map((_, row) => row) }]
  const settings = { weighting: 'token_mean', accumulate_steps: 1, max_grad_norm: null, weight_decay: 0.01 } as const
  const prompt = Float32Array.from(golden.prompt0.flat())

  const first = (await groupGradient(model, assembler, prompt, group, sequences, settings, open)) ?? fail('the gate closed')
  const gradient = golden.grad0.E.flat()
  const gradient_rel = worst(first.gradient, gradient) / Math.max(...gradient.map(Math.abs))

  const adam = newAdamWState(prompt.length)
  const losses: number[] = []
  for (const lr of golden.lrs) {
    const done =
      (await trainStep(model, assembler, prompt, adam, group, sequences, lr, settings, open)) ?? fail('the gate closed')
    if (done.diverged !== null) fail(done.diverged)
    losses.push(done.loss)
  }

  const scorer = {
    model,
    assembler: new Assembler(model, 1),
    shapes: new Shapes([], null),
    batch_size: 1,
    gate: open,
    onBatch: () => undefined,
  }
  const source = golden.greedy_input[0] ?? []
  const length = golden.greedy6_after8.length
  // No draft, and an EOS that can't be said: PEFT's run went on for six tokens whatever they were.
  const said = await greedyTokens(scorer, prompt, [{ source, target: [] }], [], length, -1)
  await model.dispose()
  return {
    gradient_rel,
    loss_abs: worst(losses, golden.losses),
    prompt_abs: worst(prompt, golden.prompt8.flat()),
    greedy: said?.[0] ?? [],
  }
}
