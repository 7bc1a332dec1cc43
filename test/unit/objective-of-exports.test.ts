/**
 * Loss and gradient of real exports against torch: the reference files' autograd and PEFT's first gradients, fused and not; and what
 * fusing and differentiating make of the embedded model.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { readEmbeddingRows } from '../../src/graph/embedding'
import { fuse, fusionReport } from '../../src/graph/fuse'
import { referenceProgram, scoreProgram, trainingProgram } from '../../src/graph/objective'
import type { OpName, Program } from '../../src/graph/program'
import { specialize, specializeSeq2Seq, type SpecializeKey } from '../../src/graph/specialize'
import { loadFixture } from '../support/causal'
import { evaluateProgram } from '../support/evaluate-program'
import { relativeError } from '../support/gradient-check'
import { at, nd, type Nd } from '../support/nd'
import { loadSeq2Seq, SEQ2SEQ_FIXTURES } from '../support/seq2seq'

/** Torch worked in float32, and so are the weights: 1e-6 relative is what is left; ten times that leaves room for longer sums. */
const TOLERANCE = 1e-5

interface Reference {
  readonly am: number[]
  readonly emb: number[]
  readonly wt: number[]
  readonly loss: number
  readonly logits: number[]
  readonly grad: number[]
}

interface Golden {
  readonly input_ids: number[][]
  readonly labels: number[][]
  readonly attention_mask: number[][]
  readonly prompt0: number[][]
  readonly grad0: { readonly E: number[][] }
  readonly losses: number[]
}

const json = (path: string): unknown => JSON.parse(readFileSync(new URL(`../fixtures/${path}`, import.meta.url), 'utf8'))
const count = (program: Program, op: OpName) => program.ops.filter((other) => other.op === op).length

function forwardOf(
  path: string,
  batch_size: number,
  sequence_length: number,
  mask: SpecializeKey['mask'],
  simulate_rounding = false,
) {
  const { cut } = loadFixture(path)
  const { program, host } = specialize(cut, { batch_size, sequence_length, mask, simulate_rounding })
  return { cut, host, plain: program, fused: fuse(program) }
}

describe.each([
  ['onnx/gpt2_t433.reference.json', 'test/fixtures/onnx/reference-models/gpt2_t433_past.onnx'],
  ['onnx/llama_t441.reference.json', 'test/fixtures/onnx/reference-models/llama_t441_past.onnx'],
])('%s', (reference, path) => {
  const { am, emb, wt, loss, logits, grad } = json(reference) as Reference
  const { host, plain, fused, cut } = forwardOf(path, 2, 6, 'fed')
  const feeds = new Map<string, ArrayLike<number>>([
    ...host.run({ attention_mask: Int32Array.from(am) }),
    ['inputs_embeds', emb],
    ['target_weights', wt],
  ])
  it.each([
    ['unfused', plain],
    ['fused', fused],
  ])('loss, logits and gradient of torch, %s', (_, forward) => {
    const result = evaluateProgram(referenceProgram(forward), feeds)
    const error = {
      loss: Math.abs(at(result.get('loss')?.data ?? [], 0) - loss) / Math.abs(loss),
      logits: relativeError(result.get('logits'), nd([2, 6, cut.vocab_size], logits)),
      gradient: relativeError(result.get('d_inputs_embeds'), nd([2, 6, cut.hidden_size], grad)),
    }
    expect(error.loss).toBeLessThan(TOLERANCE)
    expect(error.logits).toBeLessThan(TOLERANCE)
    expect(error.gradient).toBeLessThan(TOLERANCE)
  })
})

describe.each([
  ['gpt2_pt', 'test/fixtures/peft/gpt2/onnx/model.onnx'],
  ['llama_pt', 'test/fixtures/peft/llama/onnx/model.onnx'],
])('PEFT golden run %s', (name, path) => {
  const golden = (json('peft/golden.json') as Record<string, Golden>)[name]
  if (!golden) throw new Error(`no golden run ${name}`)
  const P = golden.prompt0.length
  const [B, T] = [golden.input_ids.length, golden.input_ids[0]?.length ?? 0]

  it.each(['ones', 'fed'] as const)('first loss and first gradient, mask %s', (mask) => {
    const { cut, host, plain, fused } = forwardOf(path, B, P + T, mask)
    const prompt = golden.prompt0.flat()
    const embeds = golden.input_ids.flatMap((ids) => [...prompt, ...readEmbeddingRows(cut.embedding, ids)])
    // A label at text position t is predicted by the position before it.
    const labels = golden.labels.map((row) => row.flatMap((id, t) => (id === -100 ? [] : [{ id, position: P + t - 1 }])))
    const L = Math.max(...labels.map((row) => row.length)) + 1
    const total = labels.flat().length
    const slots = (pick: (label: { id: number; position: number }) => number) =>
      labels.flatMap((row) => Array.from({ length: L }, (_, i) => (row[i] ? pick(row[i]) : 0)))
    const attention_mask = Int32Array.from(golden.attention_mask.flatMap((row) => [...new Array<number>(P).fill(1), ...row]))
    const feeds = new Map<string, ArrayLike<number>>([
      ...host.run({ attention_mask }),
      ['inputs_embeds', embeds],
      ['label_positions', slots(({ position }) => position)],
      ['label_ids', slots(({ id }) => id)],
      ['label_weights', slots(() => 1 / total)],
    ])
    for (const forward of [plain, fused]) {
      const result = evaluateProgram(trainingProgram(forward, { label_length: L, gradient_lengths: { inputs_embeds: P } }), feeds)
      expect(Math.abs(at(result.get('loss')?.data ?? [], 0) - at(golden.losses, 0))).toBeLessThan(
        TOLERANCE * at(golden.losses, 0),
      )
      const summed = sumOverBatch(result.get('d_inputs_embeds'))
      expect(relativeError(summed, nd([P, cut.hidden_size], golden.grad0.E.flat()))).toBeLessThan(TOLERANCE)

      const scores = evaluateProgram(scoreProgram(forward, { label_length: L }), feeds)
      const used = slots(() => 1)
      const mean = (scores.get('log_probabilities')?.data ?? new Float64Array()).reduce(
        (sum, x, i) => sum - (x * at(used, i)) / total,
        0,
      )
      expect(mean).toBeCloseTo(at(golden.losses, 0), 4)
    }
  })
})

function sumOverBatch(gradient: Nd | undefined): Nd {
  if (!gradient) throw new Error('no gradient')
  const [batch, rows, width] = gradient.dims
  const size = (rows ?? 0) * (width ?? 0)
  const sum = new Float64Array(size)
  for (let b = 0; b < (batch ?? 0); b++) for (let i = 0; i < size; i++) sum[i] = at(sum, i) + at(gradient.data, b * size + i)
  return nd([rows ?? 0, width ?? 0], sum)
}

describe('what fusing finds in real exports', () => {
  // [file, layers, composites of each kind]
  const gpt2: Partial<Record<OpName, number>> = { LayerNorm: 5, Gelu: 2, Attention: 2, Softmax: 0, Tanh: 0, Sqrt: 0 }
  const llama: Partial<Record<OpName, number>> = {
    RMSNorm: 5,
    Silu: 2,
    RotaryEmbedding: 4,
    Attention: 2,
    Softmax: 0,
    Sigmoid: 0,
    Sqrt: 0,
    Expand: 0,
  }
  it.each([
    ['test/fixtures/onnx/gpt2_t433_past.onnx', gpt2],
    ['test/fixtures/onnx/gpt2_t433_decoder_model_merged.onnx', gpt2],
    ['test/fixtures/onnx/gpt2_t433_past_quantized.onnx', gpt2],
    ['test/fixtures/peft/gpt2/onnx/model.onnx', gpt2],
    ['test/fixtures/onnx/llama_t441_past.onnx', llama],
    ['test/fixtures/onnx/llama_sdpa_past.onnx', llama],
    ['test/fixtures/peft/llama/onnx/model.onnx', llama],
  ])('%s', (path, expected) => {
    for (const mask of ['ones', 'fed'] as const) {
      const { plain, fused } = forwardOf(path, 2, 6, mask)
      const report = fusionReport(plain, fused)
      expect(Object.fromEntries(Object.keys(expected).map((op) => [op, report.counts[op as OpName] ?? 0]))).toEqual(expected)
      expect(report.fused).toBe(report.candidates)
    }
  })

  it.each(SEQ2SEQ_FIXTURES)('%s: two layers of self-attention in each half, two of cross-attention', (name) => {
    const key = { batch_size: 2, sequence_length: 6, encoder_length: 9, simulate_rounding: false }
    const { program } = specializeSeq2Seq(loadSeq2Seq(name).cut, key)
    const report = fusionReport(program, fuse(program))
    expect(report.counts).toMatchObject({ RMSNorm: 5 + 7, Attention: 6 })
    for (const op of ['Softmax', 'Sqrt'] as const) expect(report.counts[op] ?? 0).toBe(0)
    expect(report.fused).toBe(report.candidates)
  })

  it.each(['model.onnx', 'model_quantized.onnx'])('the embedded model, %s', (file) => {
    const path = `public/models/promptlathe/tiny-causal/onnx/${file}`
    const { plain, fused } = forwardOf(path, 2, 40, 'ones', true)
    expect(fusionReport(plain, fused).counts).toMatchObject({ RMSNorm: 13, Silu: 6, RotaryEmbedding: 12, Attention: 6 })
    const training = trainingProgram(fused, { label_length: 3, gradient_lengths: { inputs_embeds: 20 } })
    // Fusing carries over to the whole step: a third of the ops.
    const unfused = trainingProgram(plain, { label_length: 3, gradient_lengths: { inputs_embeds: 20 } })
    expect(training.ops.length * 2.5).toBeLessThan(unfused.ops.length)
    expect(count(training, 'AttentionGrad')).toBe(6)
    // No logits for the 40 positions.
    const sizes = training.ops.flatMap((op) => op.outputs.map((name) => training.values.get(name)?.dims ?? []))
    expect(sizes.some((dims) => dims.includes(4096) && dims.includes(40))).toBe(false)
  })
})
