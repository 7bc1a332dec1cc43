/** The loop with prompts of the encoder, the decoder and both, and of several tasks, on models that are differentiated by hand. */
import { describe, expect, test } from 'vitest'
import { AnalyticModel } from '../../test/support/analytic-model'
import { AnalyticSeq2Seq } from '../../test/support/analytic-seq2seq'
import { charTokenizer, CHAR_VOCAB, seq2seqTokenizer } from '../../test/support/char-tokenizer'
import { essence, jobOf as wholeJobOf, open } from '../../test/support/tuning'
import type { Example } from '../job/records'
import { Assembler } from './assemble'
import { bucketBatches } from './batches'
import { readCheckpoint } from './checkpoint'
import type { TuneCheckpoint } from './checkpoint'
import { prepare } from './prepare'
import { Random } from './random'
import { parameterCount, tensorsOf } from './soft-prompt'
import { groupGradient } from './step'
import { tune } from './tune'
import type { TuneOptions } from './tune'

const H = 32
const N = 3
const newModel = () => new AnalyticSeq2Seq({ vocab_size: CHAR_VOCAB, hidden_size: H, embedding_std: 1 })
const STACKS = [['ENCODER'], ['DECODER'], ['ENCODER', 'DECODER']] as const
const MULTITASK = { tuning_type: 'MULTITASK_PROMPT_TUNING' }

const base = { num_epochs: 40, learning_rate: 0.5, batch_size: 4 }
const jobOf = (more: object = {}, tuning_config: object = {}) =>
  wholeJobOf({ ...base, ...more }, { num_virtual_tokens: N, ...tuning_config })

/** The letter tells the answer. */
const inputs = Array.from({ length: 16 }, (_, i) => 'ab'.charAt(i % 2).repeat(2 + (i >> 1)))
const examples: Example[] = inputs.map((input, i) => ({ input, output: i % 2 ? 'n' : 'y' }))
/** The same inputs in two tasks, whose answers are opposites: no one prompt is right in both. */
const opposites: Example[] = inputs.flatMap((input, i) => [
  { input, output: i % 2 ? 'n' : 'y', task: 'plain' },
  { input, output: i % 2 ? 'y' : 'n', task: 'flipped' },
])

const options = (more: Partial<TuneOptions> = {}): TuneOptions => ({
  job: jobOf(),
  model: newModel(),
  tokenizer: seq2seqTokenizer(),
  train: examples,
  validation: null,
  ...more,
})

describe('gradient of a group', () => {
  const kinds = STACKS.flatMap((types) => [
    [types.join(' and '), {}, { output_model_types: types }] as const,
    [`${types.join(' and ')}, two tasks of rank 1`, MULTITASK, { output_model_types: types, num_tasks: 2 }] as const,
    [
      `${types.join(' and ')}, two tasks of rank 2`,
      MULTITASK,
      { output_model_types: types, num_tasks: 2, num_ranks: 2 },
    ] as const,
  ])
  test.each(kinds)('%s: that of the loss, however it is cut into batches', async (_, more, config) => {
    const model = newModel()
    const data = prepare(jobOf(more, config), model, seq2seqTokenizer(), opposites, [])
    const random = new Random(2, 'parameters')
    const parameters = Float32Array.from({ length: parameterCount(data.layout) }, () => 0.5 * random.normal())
    const rows = [0, 3, 8, 9, 14, 21, 30]
    const gradientAt = async (P: Float32Array, batch_size: number) => {
      const group = bucketBatches(rows, data.needs, data.shapes, batch_size)
      const trained = { layout: data.layout, parameters: P }
      const settings = { weighting: 'token_mean', accumulate_steps: 1 } as const
      const result = await groupGradient(model, new Assembler(model, batch_size), trained, group, data.train, settings, open)
      if (!result) throw new Error('gate')
      return result
    }
    const whole = await gradientAt(parameters, rows.length)
    expect(whole.gradient).toHaveLength(parameters.length)
    // A few numbers of every tensor.
    let start = 0
    for (const { name, dims } of tensorsOf(data.layout)) {
      const size = dims.reduce((product, dim) => product * dim, 1)
      for (const i of [0, Math.floor(size / 3), Math.floor(size / 2) + 1, size - 1].map((at) => start + at)) {
        const moved = (by: number) => parameters.map((x, j) => (j === i ? x + by : x))
        const [up, down] = [await gradientAt(moved(1e-3), rows.length), await gradientAt(moved(-1e-3), rows.length)]
        // Rows of the prompt are fp32: a last bit of them over the step, and an error of order h^2.
        expect(Math.abs((whole.gradient[i] ?? NaN) - (up.loss - down.loss) / 2e-3), `${name} ${i - start}`).toBeLessThan(1e-4)
      }
      const part = whole.gradient.subarray(start, start + size)
      expect(part.some((x) => Math.abs(x) > 1e-3)).toBe(true)
      start += size
    }
    for (const batch_size of [1, 3]) {
      const parts = await gradientAt(parameters, batch_size)
      expect(parts.loss).toBeCloseTo(whole.loss, 6)
      parts.gradient.forEach((x, i) => expect(Math.abs(x - (whole.gradient[i] ?? NaN))).toBeLessThan(1e-6))
    }
  })
})

describe('an encoder-decoder', () => {
  test.each(STACKS.map((types) => [types.join(' and '), types] as const))('learns with a prompt of the %s', async (_, types) => {
    const { layout, parameters, task_names, report } = await tune(options({ job: jobOf({}, { output_model_types: types }) }))
    expect(parameters).toHaveLength(types.length * N * H)
    expect(layout.stacks).toEqual(types.map((type) => type.toLowerCase()))
    expect(task_names).toEqual(['task'])
    const losses = report.epochs.map(({ train_loss }) => train_loss)
    expect(losses.at(-1)).toBeLessThan((losses[0] ?? 0) / 4)
    expect(report.tuned?.metrics.loss).toBeLessThan((report.baseline?.metrics.loss ?? 0) / 4)
    // An encoder's prompt alone moves the mean of this model's states only so far.
    if (types.some((type) => type === 'DECODER')) expect(report.tuned?.metrics).toMatchObject({ exact_match: 1, macro_f1: 1 })
    expect(report.few_shot?.metrics.loss).not.toBe(report.baseline?.metrics.loss)
  })

  test('is encoded once for each row while only the decoder is tuned', async () => {
    const model = newModel()
    const job = jobOf({ num_epochs: 6, baselines: ['UNTUNED'] }, { output_model_types: ['DECODER'] })
    const { report } = await tune(options({ model, job }))
    expect(report.steps.length).toBeGreaterThan(inputs.length)
    expect(model.encoded.size).toBe(inputs.length)
    expect(new Set(model.encoded.values())).toEqual(new Set([1]))
    // Batches of rows that were not there yet, and no others.
    expect(model.calls.filter((call) => call.startsWith('encode')).length).toBeLessThanOrEqual(inputs.length)
  })

  test.each([[['ENCODER']], [['ENCODER', 'DECODER']]])(
    'is encoded anew for every evaluation, once for each row, while %s moves',
    async (output_model_types) => {
      const model = newModel()
      const num_epochs = 5
      const job = jobOf({ num_epochs, baselines: ['UNTUNED'] }, { output_model_types })
      const { report } = await tune(options({ model, job }))
      const held = report.tuned?.predictions.length ?? 0
      const times = [...model.encoded.values()].reduce((sum, count) => sum + count, 0)
      // Before, after each epoch, and at the end. Training goes through the encoder itself.
      expect(times).toBe(held * (1 + num_epochs + 1))
      // Only the kept prompt's rows are encoded twice.
      expect(model.encoded.size).toBe(held * (1 + num_epochs))
    },
  )

  test('is refused where it can not be trained', async () => {
    const causal = new AnalyticModel({ vocab_size: CHAR_VOCAB, hidden_size: H })
    const encoder = options({ job: jobOf({}, { output_model_types: ['ENCODER'] }), model: causal })
    await expect(tune(encoder)).rejects.toThrow(/has ENCODER, but a causal language model has no encoder/)
    await expect(tune(options({ tokenizer: charTokenizer() }))).rejects.toThrow(/names no decoder_start_token_id/)
  })
})

describe('several tasks', () => {
  const two = (more: object = {}, config: object = {}) => jobOf({ ...MULTITASK, ...more }, { num_tasks: 2, ...config })

  /** The loss of who tosses a coin for the answer, and knows that EOS follows. */
  const COIN = Math.LN2 / 2

  test.each([1, 2])('opposite answers to the same inputs are learned, rank %i', async (num_ranks) => {
    const job = two({}, { num_ranks, output_model_types: ['ENCODER', 'DECODER'] })
    const { layout, parameters, task_names, report } = await tune(options({ job, train: opposites }))
    expect(parameters).toHaveLength(2 * N * H + 2 * (2 * N * num_ranks + num_ranks * H))
    expect(layout).toMatchObject({ num_tasks: 2, num_ranks, stacks: ['encoder', 'decoder'] })
    expect(task_names).toEqual(['flipped', 'plain'])
    expect(report.tuned?.metrics).toMatchObject({ exact_match: 1, label_accuracy: 1 })
    expect(report.epochs.at(-1)?.train_loss).toBeLessThan(COIN)
    expect(report.tuned?.tasks.map(({ task, metrics }) => [task, metrics.exact_match])).toEqual([
      ['flipped', 1],
      ['plain', 1],
    ])
  })

  test('one prompt for both knows no better than a coin', async () => {
    const job = jobOf({}, { output_model_types: ['ENCODER', 'DECODER'] })
    const { report } = await tune(options({ job, train: opposites }))
    expect(report.epochs.at(-1)?.train_loss).toBeGreaterThan(COIN)
    // Of two rows with one input it can get one.
    expect(report.tuned?.metrics.exact_match).toBeLessThanOrEqual(0.5)
    expect(report.tuned?.tasks).toHaveLength(2)
  })

  test('a causal model learns them too', async () => {
    const model = new AnalyticModel({ vocab_size: CHAR_VOCAB, hidden_size: H, embedding_std: 1 })
    const { report } = await tune(options({ job: two(), model, tokenizer: charTokenizer(), train: opposites }))
    expect(report.tuned?.metrics.exact_match).toBe(1)
  })
})

describe('a run that was interrupted', () => {
  const short = { num_epochs: 2, batch_size: 5, accumulate_steps: 2 }
  const causal = () => ({
    model: new AnalyticModel({ vocab_size: CHAR_VOCAB, hidden_size: H, embedding_std: 1 }),
    tokenizer: charTokenizer(),
  })
  test.each<[string, () => Partial<TuneOptions>]>([
    ['an encoder-decoder, both stacks', () => ({ job: jobOf(short, { output_model_types: ['ENCODER', 'DECODER'] }) })],
    ['two tasks of rank 2', () => ({ job: jobOf({ ...short, ...MULTITASK }, { num_tasks: 2, num_ranks: 2 }), train: opposites })],
    [
      'two tasks of rank 2 on a causal model, adafactor',
      () => ({
        ...causal(),
        job: jobOf({ ...short, ...MULTITASK, optimizer: 'adafactor' }, { num_tasks: 2, num_ranks: 2 }),
        train: opposites,
      }),
    ],
  ])('goes on to the same bits: %s', async (_, make) => {
    const saved: TuneCheckpoint[] = []
    const observer = { checkpoint: (checkpoint: TuneCheckpoint) => void saved.push(structuredClone(checkpoint)) }
    const whole = await tune(options({ ...make(), checkpoint_every_ms: 0, observer }))
    expect(saved.length).toBeGreaterThan(4)
    for (const checkpoint of saved) {
      const resume = readCheckpoint(checkpoint)
      if (!resume) throw new Error('unreadable')
      expect(essence(await tune(options({ ...make(), resume })))).toEqual(essence(whole))
    }
  })

  test('does not go on as another', async () => {
    const saved: TuneCheckpoint[] = []
    const observer = { checkpoint: (checkpoint: TuneCheckpoint) => void saved.push(checkpoint) }
    const job = jobOf({ ...short, ...MULTITASK }, { num_tasks: 2 })
    await tune(options({ job, train: opposites, checkpoint_every_ms: 0, observer }))
    const [resume] = saved
    if (!resume) throw new Error('nothing saved')
    const goOn = (more: Partial<TuneOptions>) => tune(options({ job, train: opposites, resume, ...more }))
    const others: Partial<TuneOptions>[] = [
      { job: jobOf({ ...short, ...MULTITASK }, { num_tasks: 2, num_ranks: 2 }) },
      { job: jobOf({ ...short, ...MULTITASK, optimizer: 'adafactor' }, { num_tasks: 2 }) },
      { train: opposites.map((row) => ({ ...row, task: row.task === 'plain' ? 'flipped' : 'plain' })) },
      { resume: { ...resume, parameters: resume.parameters.slice(1) } },
      { resume: { ...resume, slots: resume.slots.slice(1) } },
      { resume: { ...resume, slots: resume.slots.map((slot) => slot.slice(1)) } },
    ]
    for (const other of others) await expect(goOn(other)).rejects.toThrow(/belongs to another job/)
  })
})
