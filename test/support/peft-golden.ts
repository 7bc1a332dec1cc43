/**
 * Replays a golden run of PEFT (test/fixtures/peft/golden.json), or of torch for what PEFT does not do (test/fixtures/torch), through the
 * product's own tuning pieces, in Node or a browser: the same rows, first tensors, learning rates and AdamW; how far losses,
 * gradients and final tensors are from the reference's.
 */
import * as v from 'valibot'
import type { Engine } from '../../src/engine/engine'
import { GraphModel } from '../../src/engine/graph-model'
import { cutModel, cutSeq2Seq, type CutModel } from '../../src/graph/cut'
import { readModel } from '../../src/graph/read'
import { Assembler, needOf } from '../../src/tuning/assemble'
import { newOptimizerState } from '../../src/tuning/optimizer'
import { greedyTokens } from '../../src/tuning/predict'
import { virtualTokens } from '../../src/tuning/prepare'
import { largerNeed, NO_NEED, Shapes } from '../../src/tuning/shapes'
import type { TokenSequence } from '../../src/tuning/sequences'
import {
  parameterCount,
  promptsOf,
  tensorsOf,
  tensorViews,
  type PromptLayout,
  type TensorSpec,
} from '../../src/tuning/soft-prompt'
import { groupGradient, trainStep } from '../../src/tuning/step'

const rows = v.array(v.array(v.number()))
/** [T,N,r] or [T,r,H]. */
const stack = v.optional(v.array(rows))
export const GoldenSchema = v.object({
  input_ids: rows,
  labels: rows,
  attention_mask: rows,
  task_ids: v.optional(v.array(v.number())),
  output_model_types: v.optional(v.array(v.picklist(['ENCODER', 'DECODER']))),
  prompt0: rows,
  cols0: stack,
  rows0: stack,
  grad0: v.object({ E: rows, prefix_task_cols: stack, prefix_task_rows: stack }),
  lrs: v.array(v.number()),
  losses: v.array(v.number()),
  prompt8: rows,
  cols8: stack,
  rows8: stack,
  greedy_input: rows,
  greedy6_after8: v.array(v.number()),
})
export type Golden = v.InferOutput<typeof GoldenSchema>

/** The cases of golden.json. */
export const GOLDEN_CASES = ['gpt2_pt', 'gpt2_mpt', 'llama_pt', 'llama_mpt', 't5_pt', 't5_mpt'] as const

/** Of test/fixtures/torch: prompts of the decoder, and of both stacks, which PEFT has no code for. */
export const TORCH_CASES = ['t5_decoder_pt', 't5_both_pt', 't5_both_mpt'] as const

/** Bounds the issue sets: float32 sums in another order, grown over eight steps of a learning rate as large as the prompt. */
export const BOUNDS = { gradient: 1e-4, loss: 1e-3, prompt: 1e-3 }

export interface GoldenResult {
  /** max |difference| over max |reference|, the worst of all trained tensors. */
  readonly gradient_rel: number
  readonly loss_abs: number
  /** The worst of all trained tensors. */
  readonly prompt_abs: number
  readonly greedy: readonly number[]
}

/** One case of the files of goldens, by its name. */
export function parseGolden(texts: readonly string[], name: string): Golden {
  const files = texts.map((text) => v.parse(v.record(v.string(), v.unknown()), JSON.parse(text)))
  return v.parse(GoldenSchema, files.find((cases) => name in cases)?.[name])
}

/** A causal model is one file; a T5 its encoder and its decoder. */
export function goldenModel(files: readonly Uint8Array[]): CutModel {
  const [first, second] = files.map((bytes) => readModel(bytes))
  if (!first) return fail('no model file')
  return second ? cutSeq2Seq(first, second) : cutModel(first)
}

function fail(message: string): never {
  throw new Error(message)
}

const worst = (a: ArrayLike<number>, b: readonly number[]): number =>
  b.reduce((most, value, i) => Math.max(most, Math.abs((a[i] ?? Infinity) - value)), a.length === b.length ? 0 : Infinity)

/** Ids where labels begin are the target (PEFT's end with EOS, as ours do); what T5's encoder reads is masked, and 0 starts its decoder. */
function sequencesOf({ input_ids, labels, attention_mask, task_ids }: Golden, kind: CutModel['kind']): TokenSequence[] {
  return labels.map((row, b) => {
    const [ids, mask] = [input_ids[b] ?? [], attention_mask[b] ?? []]
    const target = row.filter((label) => label !== -100)
    const task = task_ids?.[b] ?? 0
    if (kind === 'seq2seq') return { encoder: ids.filter((_, i) => mask[i] === 1), source: [0], target, task }
    const first = row.findIndex((label) => label !== -100)
    return { encoder: null, source: ids.slice(0, first), target, task }
  })
}

function layoutOf(golden: Golden, model: GraphModel): PromptLayout {
  const types = golden.output_model_types ?? [model.kind === 'causal-lm' ? 'DECODER' : 'ENCODER']
  return {
    tuning_type: golden.cols0 ? 'MULTITASK_PROMPT_TUNING' : 'PROMPT_TUNING',
    stacks: types.map((type) => (type === 'ENCODER' ? 'encoder' : 'decoder')),
    num_virtual_tokens: golden.prompt0.length / types.length,
    hidden_size: model.hidden_size,
    num_tasks: golden.cols0?.length ?? 1,
    num_ranks: golden.cols0?.[0]?.[0]?.length ?? 1,
  }
}

type Tensors = Readonly<Record<TensorSpec['name'], readonly number[]>>
type Stack = Golden['cols0']
const tensors = (E: number[][], cols: Stack, taskRows: Stack): Tensors => ({
  prompt_embeddings: E.flat(),
  prefix_task_cols: (cols ?? []).flat(2),
  prefix_task_rows: (taskRows ?? []).flat(2),
})

export async function replayGolden(cut: CutModel, golden: Golden, engine: Engine): Promise<GoldenResult> {
  const model = new GraphModel({ cut, engine })
  const open = () => Promise.resolve(true)
  const sequences = sequencesOf(golden, model.kind)
  const layout = layoutOf(golden, model)
  const assembler = new Assembler(model, sequences.length)
  const shape = sequences.map((sequence) => needOf(sequence, virtualTokens(layout))).reduce(largerNeed, NO_NEED)
  const group = [{ shape, rows: sequences.map((_, row) => row) }]
  const settings = {
    weighting: 'token_mean',
    accumulate_steps: 1,
    max_grad_norm: null,
    weight_decay: 0.01,
    optimizer: 'adamw',
  } as const
  const parameters = new Float32Array(parameterCount(layout))
  const first = tensors(golden.prompt0, golden.cols0, golden.rows0)
  for (const { name } of tensorsOf(layout)) tensorViews(layout, parameters)[name].set(first[name])
  const trained = { layout, parameters }

  const result = (await groupGradient(model, assembler, trained, group, sequences, settings, open)) ?? fail('the gate closed')
  const gradients = tensors(golden.grad0.E, golden.grad0.prefix_task_cols, golden.grad0.prefix_task_rows)
  const gradient_rel = Math.max(
    ...tensorsOf(layout).map(({ name }) => {
      const reference = gradients[name]
      return worst(tensorViews(layout, result.gradient)[name], reference) / Math.max(...reference.map(Math.abs))
    }),
  )

  const state = newOptimizerState('adamw', layout)
  const losses: number[] = []
  for (const lr of golden.lrs) {
    const done =
      (await trainStep(model, assembler, trained, state, group, sequences, lr, settings, open)) ?? fail('the gate closed')
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
  const read = golden.greedy_input[0] ?? []
  const length = golden.greedy6_after8.length
  const asked: TokenSequence =
    model.kind === 'causal-lm'
      ? { encoder: null, source: read, target: [], task: 0 }
      : { encoder: read, source: [0], target: [], task: 0 }
  // No draft, and an EOS that can't be said: PEFT's run went on for six tokens whatever they were.
  const said = await greedyTokens(scorer, promptsOf(layout, parameters), [asked], [], length, -1)
  await model.dispose()
  const last = tensors(golden.prompt8, golden.cols8, golden.rows8)
  return {
    gradient_rel,
    loss_abs: worst(losses, golden.losses),
    prompt_abs: Math.max(...tensorsOf(layout).map(({ name }) => worst(tensorViews(layout, parameters)[name], last[name]))),
    greedy: said?.[0] ?? [],
  }
}
