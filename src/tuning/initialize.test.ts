/** Where a run starts: every method in every stack, the source methods as PEFT has them, and what becomes of the rows behind fresh factors. */
import { describe, expect, test } from 'vitest'
import { AnalyticModel } from '../../test/support/analytic-model'
import { AnalyticSeq2Seq } from '../../test/support/analytic-seq2seq'
import { charTokenizer, CHAR_VOCAB } from '../../test/support/char-tokenizer'
import { jobOf, layoutOf } from '../../test/support/tuning'
import type { Stack } from '../engine/frozen-model'
import { taskFactors, taskPrompt } from '../library/multitask'
import { initialParameters, tiled } from './initialize'
import type { SourcePrompt } from './initialize'
import { norm } from './optimizer'
import { layoutOf as layoutOfJob } from './prepare'
import { Random } from './random'
import { promptsOf, tensorViews } from './soft-prompt'
import type { Tokenizer } from './tokenizer'

const H = 64
const n = 7
const MODEL = { vocab_size: CHAR_VOCAB, hidden_size: H, embedding_std: 0.1 }
const causal = new AnalyticModel(MODEL)
const seq2seq = new AnalyticSeq2Seq(MODEL)
const BOTH = ['ENCODER', 'DECODER'] as const
const MULTITASK = { tuning_type: 'MULTITASK_PROMPT_TUNING' }

interface Given {
  readonly config?: object
  readonly more?: object
  readonly model?: AnalyticModel | AnalyticSeq2Seq
  readonly tokenizer?: Tokenizer
  readonly outputs?: readonly string[]
  readonly source?: SourcePrompt | null
}
/** The layout a job has on a model, and its first parameters. */
function made({ config = {}, more = {}, model = causal, tokenizer = charTokenizer(), outputs = [], source = null }: Given) {
  const job = jobOf(more, { num_virtual_tokens: n, ...config })
  const layout = layoutOfJob(job, model)
  const parameters = initialParameters(job, { layout, model, tokenizer, outputs, source })
  return { layout, parameters, tensors: tensorViews(layout, parameters) }
}
const std = (values: Float32Array) => norm(values) / Math.sqrt(values.length)
const ids = (text: string) => charTokenizer().encode(text, { add_special_tokens: false })
const rowsOf = (rows: Float32Array) => Array.from({ length: rows.length / H }, (_, i) => [...rows.subarray(i * H, (i + 1) * H)])
const tableOf = (stack: Stack) => rowsOf(seq2seq.embed([...Array(CHAR_VOCAB).keys()], stack)).map((row) => row.join())

describe('rows made here', () => {
  test('RANDOM at both scales, by seed', () => {
    // 448 numbers: a standard error of 3.3 %.
    expect(Math.abs(std(made({ config: { random_scale: 'unit' } }).parameters) - 1)).toBeLessThan(0.14)
    expect(Math.abs(std(made({}).parameters) - 0.1)).toBeLessThan(0.014)
    expect(made({})).toEqual(made({}))
    expect(made({}).parameters).not.toEqual(made({ more: { seed: 74 } }).parameters)
    const both = made({ model: seq2seq, config: { output_model_types: BOTH } })
    expect(both.parameters).toHaveLength(2 * n * H)
    expect(both.parameters.subarray(0, n * H)).not.toEqual(both.parameters.subarray(n * H))
  })

  test('TEXT is tiled or cut, special tokens included', () => {
    const config = { prompt_tuning_init_method: 'TEXT', prompt_tuning_init_text: 'abc' }
    expect(made({ config }).parameters).toEqual(causal.embed(ids('abcabca')))
    const bos = made({ config, tokenizer: charTokenizer(true) })
    expect(bos.parameters).toEqual(causal.embed([0, ...ids('abc'), 0, ...ids('ab')]))
    const long = made({ config: { ...config, prompt_tuning_init_text: 'abcdefghijkl' } })
    expect(long.parameters).toEqual(causal.embed(ids('abcdefg')))
    expect([tiled([1, 2, 3], 2), tiled([1, 2], 5)]).toEqual([
      [1, 2],
      [1, 2, 1, 2, 1],
    ])
    const none = { ...charTokenizer(), encode: () => [] }
    expect(() => made({ config, tokenizer: none })).toThrow(/prompt_tuning_init_text has no tokens/)
  })

  test('TEXT starts each stack from the beginning, with its own embeddings', () => {
    const config = { prompt_tuning_init_method: 'TEXT', prompt_tuning_init_text: 'abc', output_model_types: BOTH }
    const { layout, parameters } = made({ model: seq2seq, config })
    const { encoder, decoder } = promptsOf(layout, parameters)(0)
    expect(encoder).toEqual(seq2seq.embed(ids('abcabca'), 'encoder'))
    expect(decoder).toEqual(seq2seq.embed(ids('abcabca'), 'decoder'))
    expect(encoder).not.toEqual(decoder)
  })

  test.each<[string, readonly string[]]>([
    ['encoder', ['ENCODER']],
    ['decoder', ['DECODER']],
    ['both', BOTH],
  ])('SAMPLE_VOCAB rows are rows of the table: %s', (_, output_model_types) => {
    const config = { prompt_tuning_init_method: 'SAMPLE_VOCAB', output_model_types }
    const { layout, parameters } = made({ model: seq2seq, config })
    const prompt = promptsOf(layout, parameters)(0)
    for (const stack of layout.stacks) {
      const table = tableOf(stack)
      for (const row of rowsOf(prompt[stack])) expect(table).toContain(row.join())
    }
    expect(new Set(rowsOf(parameters).map((row) => row.join())).size).toBeGreaterThan(3)
    expect(made({ model: seq2seq, config, more: { seed: 4 } }).parameters).not.toEqual(parameters)
  })

  test('CLASS_LABELS: the mean of each label in order of appearance, tokens of the vocabulary for the rest', () => {
    const config = { prompt_tuning_init_method: 'CLASS_LABELS', output_model_types: BOTH }
    const outputs = ['yes', 'no', 'yes', '', 'no']
    const { layout, parameters } = made({ model: seq2seq, config, outputs, tokenizer: charTokenizer(true) })
    const prompt = promptsOf(layout, parameters)(0)
    for (const stack of layout.stacks) {
      const rows = rowsOf(prompt[stack])
      ;['yes', 'no'].forEach((label, i) => {
        const tokens = rowsOf(seq2seq.embed(ids(label), stack))
        const mean = Array.from({ length: H }, (_, h) => tokens.reduce((sum, row) => sum + (row[h] ?? NaN), 0) / tokens.length)
        rows[i]?.forEach((x, h) => expect(x).toBeCloseTo(mean[h] ?? NaN, 7))
      })
      // A label without tokens has no embeddings to be the mean of.
      expect(rows[2]?.every((x) => x === 0)).toBe(true)
      const table = tableOf(stack)
      for (const row of rows.slice(3)) expect(table).toContain(row.join())
    }
    const many = Array.from({ length: 12 }, (_, i) => String.fromCharCode(97 + i))
    const full = made({ config: { prompt_tuning_init_method: 'CLASS_LABELS' }, outputs: many })
    expect(full.parameters).toEqual(causal.embed(ids('abcdefg')))
  })
})

describe('fresh factors', () => {
  const text = { prompt_tuning_init_method: 'TEXT', prompt_tuning_init_text: 'a text to start from' }

  test.each([
    ['RANDOM', {}, 1],
    ['TEXT', text, 1],
    ['TEXT, rank 3', text, 3],
  ])('leave the rows of %s what they are, but for a few per cent; at PEFT’s scale they erase them', (_, config, num_ranks) => {
    const shape = { num_tasks: 3, num_ranks }
    const plain = made({ config }).parameters
    const { layout, parameters, tensors } = made({ more: MULTITASK, config: { ...config, ...shape } })
    expect(tensors.prompt_embeddings).toEqual(plain)
    for (let task = 0; task < 3; task++) {
      const rows = promptsOf(layout, parameters)(task).decoder
      const off = std(rows.map((x, i) => x - (plain[i] ?? NaN))) / std(plain)
      // C and R are around 1 with a spread of 0.02 each; further ranks add 0.0004.
      expect(off).toBeGreaterThan(0.01)
      expect(off).toBeLessThan(0.05)
    }
    expect(promptsOf(layout, parameters)(0)).not.toEqual(promptsOf(layout, parameters)(1))

    const upstream = made({ more: MULTITASK, config: { ...config, ...shape, random_scale: 'unit' } })
    const unit = promptsOf(upstream.layout, upstream.parameters)(0).decoder
    const shrunk = std(unit) / std(upstream.tensors.prompt_embeddings)
    expect(shrunk).toBeGreaterThan(2e-4 * Math.sqrt(num_ranks))
    expect(shrunk).toBeLessThan(8e-4 * Math.sqrt(num_ranks))
    expect(Math.abs(std(upstream.tensors.prefix_task_rows) - 0.02)).toBeLessThan(0.003)
  })

  test('come by seed, apart from the rows', () => {
    const of = (seed: number) => made({ more: { ...MULTITASK, seed }, config: { ...text, num_tasks: 2 } }).tensors
    expect(of(1)).toEqual(of(1))
    expect(of(1).prefix_task_cols).not.toEqual(of(2).prefix_task_cols)
    expect(of(1).prompt_embeddings).toEqual(of(2).prompt_embeddings)
  })
})

describe('from another prompt', () => {
  const T = 3
  const r = 2
  const noise = (length: number, stream: string, scale = 1) => {
    const random = new Random(9, stream)
    return Float32Array.from({ length }, () => scale * random.normal())
  }
  const source: SourcePrompt = {
    prompt_embeddings: noise(n * H, 'E'),
    prefix_task_cols: noise(T * n * r, 'C', 0.3),
    prefix_task_rows: noise(T * r * H, 'R', 0.3),
    num_tasks: T,
    num_ranks: r,
    hidden_size: H,
  }
  const plain: SourcePrompt = {
    ...source,
    prefix_task_cols: new Float32Array(0),
    prefix_task_rows: new Float32Array(0),
    num_tasks: 0,
  }
  const from = (prompt_tuning_init_method: string, config: object = {}) => ({
    prompt_tuning_init_method,
    prompt_tuning_init_source_model: 'source',
    num_ranks: r,
    ...config,
  })
  const adapted = (method: string, config: object = {}, given: SourcePrompt | null = source) =>
    made({ more: MULTITASK, config: from(method, config), source: given })

  test('AVERAGE_SOURCE: E, and the means of C and of R, not of their products', () => {
    const { tensors } = adapted('AVERAGE_SOURCE')
    expect(tensors.prompt_embeddings).toEqual(source.prompt_embeddings)
    const mean = (values: Float32Array) =>
      Float32Array.from({ length: values.length / T }, (_, i) => {
        const size = values.length / T
        return ((values[i] ?? NaN) + (values[size + i] ?? NaN) + (values[2 * size + i] ?? NaN)) / 3
      })
    expect(tensors.prefix_task_cols).toEqual(mean(source.prefix_task_cols))
    expect(tensors.prefix_task_rows).toEqual(mean(source.prefix_task_rows))
    expect(adapted('AVERAGE_SOURCE_TASKS').parameters).toEqual(adapted('AVERAGE_SOURCE').parameters)
  })

  test.each([0, 2])('EXACT_SOURCE_TASK %i is that task of the source', (task) => {
    const { layout, parameters, tensors } = adapted('EXACT_SOURCE_TASK', { prompt_tuning_init_task: task })
    expect(tensors.prefix_task_cols).toEqual(source.prefix_task_cols.slice(task * n * r, (task + 1) * n * r))
    expect(tensors.prefix_task_rows).toEqual(source.prefix_task_rows.slice(task * r * H, (task + 1) * r * H))
    expect(promptsOf(layout, parameters)(0).decoder).toEqual(taskPrompt(source, task))
  })

  test('ONLY_SOURCE_SHARED: E behind fresh factors at the scale of the source', () => {
    const { layout, parameters, tensors } = adapted('ONLY_SOURCE_SHARED')
    expect(tensors.prompt_embeddings).toEqual(source.prompt_embeddings)
    const W = Array.from({ length: T }, (_, task) => [...taskFactors(source, task)]).flat()
    const scale = Math.sqrt(W.reduce((sum, w) => sum + w * w, 0) / W.length)
    const rows = promptsOf(layout, parameters)(0).decoder
    const off = rows.map((x, i) => x - scale * (source.prompt_embeddings[i] ?? NaN))
    // A spread of 0.02 around the root of the scale, in both factors.
    expect(std(off)).toBeLessThan(4 * 0.02 * Math.sqrt(2 * scale))
    expect(std(rows)).toBeGreaterThan(0.5 * scale)
    const upstream = adapted('ONLY_SOURCE_SHARED', { random_scale: 'unit' })
    expect(upstream.tensors.prompt_embeddings).toEqual(source.prompt_embeddings)
    expect(std(promptsOf(upstream.layout, upstream.parameters)(0).decoder)).toBeLessThan(2e-3)
  })

  test('ONLY_SOURCE_SHARED of a prompt of one task starts as that prompt', () => {
    const { layout, parameters } = adapted('ONLY_SOURCE_SHARED', {}, plain)
    const rows = promptsOf(layout, parameters)(0).decoder
    expect(std(rows.map((x, i) => x - (source.prompt_embeddings[i] ?? NaN)))).toBeLessThan(0.05)
  })

  test('SOURCE_PROMPT is the prompt as it is, of a multitask one a task', () => {
    const start = (given: SourcePrompt, prompt_tuning_init_task = 0) =>
      made({ config: from('SOURCE_PROMPT', { prompt_tuning_init_task }), source: given }).parameters
    expect(start(plain)).toEqual(plain.prompt_embeddings)
    expect(start(source)).toEqual(taskPrompt(source, 0))
    expect(start(source, 2)).toEqual(taskPrompt(source, 2))
  })

  test('copies: training does not move the source', () => {
    const before = source.prompt_embeddings.slice()
    for (const method of ['AVERAGE_SOURCE', 'EXACT_SOURCE_TASK', 'ONLY_SOURCE_SHARED']) adapted(method).parameters.fill(0)
    expect(source.prompt_embeddings).toEqual(before)
  })

  test('without one is an error that names the method', () => {
    for (const method of ['AVERAGE_SOURCE', 'EXACT_SOURCE_TASK', 'ONLY_SOURCE_SHARED'])
      expect(() => adapted(method, {}, null)).toThrow(new RegExp(`"${method}" needs a source prompt`))
    expect(() => made({ config: from('SOURCE_PROMPT') })).toThrow(/"SOURCE_PROMPT" needs a source prompt/)
  })
})

test('what a job trains on a model', () => {
  const job = jobOf({}, { num_virtual_tokens: n, num_ranks: 4 })
  expect(layoutOfJob(job, causal)).toEqual(layoutOf(n, H))
  expect(layoutOfJob(job, seq2seq)).toEqual(layoutOf(n, H, { stacks: ['encoder'] }))
  const both = jobOf(MULTITASK, { num_virtual_tokens: n, num_tasks: 2, output_model_types: ['DECODER', 'ENCODER'] })
  expect(layoutOfJob(both, seq2seq)).toEqual({
    tuning_type: 'MULTITASK_PROMPT_TUNING',
    stacks: ['encoder', 'decoder'],
    num_virtual_tokens: n,
    hidden_size: H,
    num_tasks: 2,
    num_ranks: 1,
  })
})
