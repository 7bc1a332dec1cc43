/** The loop itself, on a model that can be differentiated by hand: gradients, evaluation, convergence, interruption. */
import { describe, expect, test } from 'vitest'
import { AnalyticModel } from '../../test/support/analytic-model'
import { charTokenizer, CHAR_VOCAB } from '../../test/support/char-tokenizer'
import { essence, jobOf as wholeJobOf, layoutOf, open, scorerOf } from '../../test/support/tuning'
import type { GradientLengths, LossAndGradient, TokenBatch } from '../engine/frozen-model'
import type { MemoryEstimate, StepShape } from '../engine/memory'
import type { Example } from '../job/records'
import { Assembler, needOf, teacherForced } from './assemble'
import { bucketBatches } from './batches'
import { readCheckpoint } from './checkpoint'
import type { TuneCheckpoint } from './checkpoint'
import { TuneControl } from './control'
import { TuningCancelled, TuningError } from './errors'
import { evaluate, measure } from './evaluate'
import { labelSet } from './labels'
import type { TuneObserver } from './observer'
import { prepare } from './prepare'
import { Random } from './random'
import { Shapes } from './shapes'
import { NO_PROMPT, promptsOf } from './soft-prompt'
import type { Prompts } from './soft-prompt'
import { groupGradient } from './step'
import { tune } from './tune'
import type { TuneOptions } from './tune'

const H = 32
const tokenizer = charTokenizer()
const newModel = (more: object = {}) => new AnalyticModel({ vocab_size: CHAR_VOCAB, hidden_size: H, embedding_std: 1, ...more })
const N = 3
const jobOf = (more: object) => wholeJobOf(more, { num_virtual_tokens: N })
const layout = layoutOf(N, H)
const TOKENS = { encoder: 0, decoder: N }
const NONE = { encoder: 0, decoder: 0 }
/** A causal model of this width. */
const SHAPE = { kind: 'causal-lm', hidden_size: H, max_positions: null } as const

/** The last character tells the answer: something this model can learn to say. */
const examples: Example[] = Array.from({ length: 40 }, (_, i) => ({
  input: `${'ab'[i % 2]?.repeat(3 + (i % 5))}${i}${'ab'[i % 2]}`,
  output: i % 2 ? 'n' : 'y',
}))

describe('gradient of a group', () => {
  const job = jobOf({})
  const { train: sequences } = prepare(job, SHAPE, tokenizer, examples, [])
  const needs = sequences.map((sequence) => needOf(sequence, TOKENS))
  const shapes = new Shapes(needs, null)
  const model = newModel()
  const prompt = Float32Array.from(
    { length: 3 * H },
    (
      (r) => () =>
        r.normal() * 0.3
    )(new Random(1, 'p')),
  )
  const gradient = async (
    batch_size: number,
    rows: number[],
    weighting: 'token_mean' | 'caikit' = 'token_mean',
    accumulate_steps = 1,
    P = prompt,
  ) => {
    const group = bucketBatches(rows, needs, shapes, batch_size)
    const result = await groupGradient(
      model,
      new Assembler(model, batch_size),
      { layout, parameters: P },
      group,
      sequences,
      { weighting, accumulate_steps },
      open,
    )
    if (!result) throw new Error('gate')
    return { ...result, batches: group.length }
  }
  const rows = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]

  test('agrees with finite differences of the loss', async () => {
    const { gradient: analytic } = await gradient(4, rows)
    for (const i of [0, 7, H + 3, 3 * H - 1]) {
      const at = async (by: number) =>
        (
          await gradient(
            4,
            rows,
            'token_mean',
            1,
            prompt.map((x, j) => (j === i ? x + by : x)),
          )
        ).loss
      const numeric = ((await at(1e-3)) - (await at(-1e-3))) / 2e-3
      // The gradient is read as fp32, the difference of losses has an error of order h^2.
      expect(Math.abs((analytic[i] ?? NaN) - numeric)).toBeLessThan(1e-5)
    }
  })
  test('k batches of b are one batch of k b, also when the last is short', async () => {
    const whole = await gradient(12, rows)
    for (const batch_size of [1, 3, 4, 5, 7]) {
      const parts = await gradient(batch_size, rows)
      expect(parts.batches).toBeGreaterThan(1)
      expect(parts.loss).toBeCloseTo(whole.loss, 6)
      // Each batch's gradient comes back in fp32: a last bit each.
      parts.gradient.forEach((x, i) => expect(Math.abs(x - (whole.gradient[i] ?? NaN))).toBeLessThan(1e-7))
    }
  })
  test('caikit: the mean of batch means, over accumulate_steps however short the group', async () => {
    const two = await gradient(6, rows, 'caikit', 32)
    const [a, b] = [await gradient(6, rows.slice(0, 6)), await gradient(6, rows.slice(6))]
    expect(two.batches).toBe(2)
    // The rows of this case fall in one bucket, so that the halves are the two batches.
    two.gradient.forEach((x, i) => expect(Math.abs(x - ((a.gradient[i] ?? 0) + (b.gradient[i] ?? 0)) / 32)).toBeLessThan(1e-7))
    expect(two.loss).toBeCloseTo((a.loss * a.labels + b.loss * b.labels) / two.labels, 5)
  })
})

describe('evaluation', () => {
  // Three labels, two of which begin alike; a prompt that gets some rows right.
  const rows = examples.map((row, i) => (i % 4 === 0 ? { ...row, output: 'yn' } : row))
  const job = jobOf({ validation: 0.5 })
  const { held } = prepare(job, SHAPE, tokenizer, rows, null)
  if (!held?.labels[0]) throw new Error('labels')
  const [labels] = held.labels
  const trained = tune({
    job: jobOf({ num_epochs: 12, learning_rate: 1, batch_size: 4 }),
    model: newModel(),
    tokenizer,
    train: rows,
    validation: null,
  })
  /** No prompt, the trained one, and one in between. */
  const prompted = async (): Promise<readonly (readonly [Prompts, typeof TOKENS])[]> => {
    const { parameters } = await trained
    const faded = parameters.map((x) => x * 0.7)
    return [
      [NO_PROMPT, NONE],
      [promptsOf(layout, faded), TOKENS],
      [promptsOf(layout, parameters), TOKENS],
    ]
  }

  test('label accuracy equals ranking every label in full; loss and exact match equal a row-by-row count', async () => {
    const model = newModel()
    for (const [prompts, tokens] of await prompted()) {
      const metrics = await measure(scorerOf(model, 3, held.sequences, tokens), prompts, held, tokenizer)
      const single = new Assembler(model, 1)
      let right = 0
      let exact = 0
      let loss = 0
      let slots = 0
      for (const sequence of held.sequences) {
        const likelihoods = new Map<string, number>()
        for (const { ids: target } of labels) {
          const row = { ...sequence, target }
          const scores = await model.score(
            await single.assemble(needOf(row, tokens), [teacherForced(row, prompts)], [0], 'states'),
          )
          const total = scores.log_probabilities.reduce((a, x) => a + x, 0)
          likelihoods.set(target.join(), total)
          if (target.join() !== sequence.target.join()) continue
          loss -= total
          slots += target.length
          if (target.every((id, k) => id === scores.greedy_ids[k])) exact += 1
        }
        if ((likelihoods.get(sequence.target.join()) ?? NaN) >= Math.max(...likelihoods.values())) right += 1
      }
      expect(metrics?.label_accuracy).toBe(right / held.sequences.length)
      expect(metrics?.exact_match).toBe(exact / held.sequences.length)
      expect(metrics?.loss).toBeCloseTo(loss / slots, 6)
    }
  })

  test('predictions equal decoding one token at a time', async () => {
    const model = newModel()
    const seen = new Set<string>()
    for (const [prompts, tokens] of await prompted()) {
      const evaluation = await evaluate(scorerOf(model, 4, held.sequences, tokens), prompts, held, tokenizer)
      const single = new Assembler(model, 1)
      for (const [row, sequence] of held.sequences.entries()) {
        const said: number[] = []
        while (said.at(-1) !== 1 && said.length < held.max_new_tokens) {
          const fed = [...sequence.source, ...said]
          const shape = { sequence_length: tokens.decoder + fed.length, label_length: 1, encoder_length: 0 }
          const query = { prompt: prompts(0), encoder: null, fed, slots: [{ at: fed.length - 1, id: 0 }] }
          const { greedy_ids } = await model.score(await single.assemble(shape, [query], [0], 'states'))
          said.push(greedy_ids[0] ?? 1)
        }
        seen.add(`${said.length} tokens`).add(`exact ${evaluation?.predictions[row]?.exact}`)
        const text = tokenizer.decode(said, { skip_special_tokens: true }).trim()
        const { output } = held.examples[row] ?? { output: '' }
        expect(evaluation?.predictions[row]).toMatchObject({ predicted: text, exact: said.at(-1) === 1 && text === output })
      }
      expect(evaluation?.metrics.exact_match).toBe(
        (evaluation?.predictions ?? []).filter(({ exact }) => exact).length / held.examples.length,
      )
    }
    // The comparison is only worth something if all of it occurred.
    for (const kind of ['2 tokens', '8 tokens', 'exact true', 'exact false']) expect([...seen]).toContain(kind)
  })

  test('a text said in other tokens counts as exact, after every epoch as at the end', async () => {
    const model = newModel()
    const prompts = promptsOf(layout, (await trained).parameters)
    // A tokenizer that knows a second "y" (the id of "~") and uses it in targets: the model says the first, the text is the same.
    const other = tokenizer.encode('~', { add_special_tokens: false })[0] ?? 0
    const plain = tokenizer.encode('y', { add_special_tokens: false })[0] ?? 0
    const swap = (ids: readonly number[], from: number, to: number) => ids.map((id) => (id === from ? to : id))
    const ambiguous = {
      ...tokenizer,
      decode: (ids: readonly number[], o: { skip_special_tokens: boolean }) => tokenizer.decode(swap(ids, other, plain), o),
    }
    const foreign = {
      ...held,
      labels: held.labels.map(() => null),
      sequences: held.sequences.map((s) => ({ ...s, target: swap(s.target, plain, other) })),
    }
    const scorer = (rows: typeof held) => scorerOf(model, 4, rows.sequences, TOKENS)
    const expected = (await evaluate(scorer(held), prompts, held, tokenizer))?.metrics.exact_match
    expect(expected).toBeGreaterThan(0)
    expect((await measure(scorer(foreign), prompts, foreign, ambiguous))?.exact_match).toBe(expected)
    expect((await evaluate(scorer(foreign), prompts, foreign, ambiguous))?.metrics.exact_match).toBe(expected)
  })

  test('outputs are labels only when they are few and frequent', () => {
    const labelsOf = (rows: Example[]) =>
      labelSet(
        prepare(job, SHAPE, tokenizer, rows, []).train,
        rows.map(({ output }) => output),
        N,
        null,
      )
    expect(labelsOf(examples)).toHaveLength(2)
    expect(labelsOf(rows)).toHaveLength(3)
    expect(labelsOf(examples.slice(0, 5))).toBeNull()
    expect(labelsOf(examples.map((row, i) => ({ ...row, output: `${i}` })))).toBeNull()
    expect(labelsOf(examples.map((row) => ({ ...row, output: 'x' })))).toBeNull()
    // A blank in front of some outputs makes other tokens of the same labels; with a tokenizer that drops it, the same.
    const blank = examples.map((row, i) => (i % 4 === 0 ? { ...row, output: ` ${row.output}` } : row))
    const texts = (labelsOf(blank) ?? []).map(({ text }) => text)
    expect(texts.length).toBeGreaterThan(2)
    expect(new Set(texts)).toEqual(new Set(examples.map(({ output }) => output)))
    const trimming: typeof tokenizer = { ...tokenizer, encode: (text, o) => tokenizer.encode(text.trim(), o) }
    const { train } = prepare(job, SHAPE, trimming, blank, [])
    expect(
      labelSet(
        train,
        blank.map(({ output }) => output),
        N,
        null,
      ),
    ).toHaveLength(2)
  })
})

describe('tune', () => {
  const base = { num_epochs: 4, learning_rate: 1, batch_size: 4, accumulate_steps: 2 }
  const options = (more: Partial<TuneOptions> = {}): TuneOptions => ({
    job: jobOf(base),
    model: newModel(),
    tokenizer,
    train: examples,
    validation: null,
    ...more,
  })
  test('learns, reports, and beats the untuned model', async () => {
    const events: string[] = []
    const observer: TuneObserver = {
      started: (start) => void events.push(`started ${start.total_steps} ${start.train_rows}+${start.validation_rows}`),
      evaluated: (which) => void events.push(which),
      step: ({ step }) => void events.push(`step ${step}`),
      epoch: ({ epoch }) => void events.push(`epoch ${epoch}`),
    }
    const { parameters, report } = await tune(options({ job: jobOf({ ...base, num_epochs: 15 }), observer }))
    expect(parameters).toHaveLength(N * H)
    // 32 training rows: 8 batches, 4 steps an epoch.
    expect(events.slice(0, 8)).toEqual([
      'started 60 32+8',
      'baseline',
      'few_shot',
      'step 1',
      'step 2',
      'step 3',
      'step 4',
      'epoch 1',
    ])
    expect(events.slice(-2)).toEqual(['epoch 15', 'tuned'])
    expect(report.steps).toHaveLength(60)
    expect(report.finished).toBe('completed')
    expect(report.epochs.at(-1)?.train_loss).toBeLessThan((report.epochs[0]?.train_loss ?? 0) * 0.2)
    expect(report.tuned?.metrics.loss).toBeLessThan((report.baseline?.metrics.loss ?? 0) / 5)
    expect(report.baseline?.metrics.exact_match).toBe(0)
    expect(report.tuned?.metrics).toMatchObject({ exact_match: 1, label_accuracy: 1 })
    const losses = report.epochs.map(({ validation_loss }) => validation_loss ?? NaN)
    expect(losses[report.best_epoch - 1]).toBe(Math.min(...losses))
    expect(report.tuned?.metrics.loss).toBeCloseTo(Math.min(...losses), 10)
    expect(report.counters).toEqual({ dispatches: 20, submits: 2, buffers_created: 0, live_tensors: 7 })
    expect(report.peak_memory_bytes).toBeGreaterThan(1000)
  })

  test('same seed, same bits; another seed, another run', async () => {
    const first = await tune(options())
    expect(essence(await tune(options()))).toEqual(essence(first))
    const other = await tune(options({ job: jobOf({ ...base, seed: 74 }) }))
    expect(other.parameters).not.toEqual(first.parameters)
  })

  test('resumed from every checkpoint it is the same run, bit for bit', async () => {
    const saved: TuneCheckpoint[] = []
    const whole = essence(
      await tune(options({ checkpoint_every_ms: 0, observer: { checkpoint: (c) => void saved.push(structuredClone(c)) } })),
    )
    expect(saved).toHaveLength(4 * 4 + 4)
    for (const checkpoint of saved) {
      const resume = readCheckpoint(checkpoint)
      if (!resume) throw new Error('unreadable')
      expect(essence(await tune(options({ resume })))).toEqual(whole)
    }
    const [first] = saved
    if (!first) throw new Error('none')
    await expect(tune(options({ resume: first, train: examples.slice(1) }))).rejects.toThrow(/another job/)
    await expect(tune(options({ resume: first, job: jobOf({ ...base, learning_rate: 0.1 }) }))).rejects.toThrow(/another job/)
    expect(readCheckpoint({ ...first, version: 1 })).toBeNull()
    expect(readCheckpoint(null)).toBeNull()
  })

  test('pause holds everything and saves; resume goes on to the same result', async () => {
    const control = new TuneControl()
    const log: string[] = []
    let whilePaused = 0
    const observer: TuneObserver = {
      step: ({ step }) => {
        if (control.paused) whilePaused += 1
        if (step === 5) {
          control.pause()
          setTimeout(() => {
            log.push('woken')
            control.resume()
          }, 30)
        }
      },
      checkpoint: ({ step }) => void log.push(`saved ${step}`),
      paused: (paused) => void log.push(paused ? 'paused' : 'going on'),
    }
    const result = await tune(options({ observer, control }))
    expect(log).toEqual(['saved 5', 'paused', 'woken', 'going on'])
    expect(whilePaused).toBe(0)
    expect(essence(result)).toEqual(essence(await tune(options())))
  })

  test('cancel keeps the best prompt so far; a message gets through while training', async () => {
    const control = new TuneControl()
    let reference: number[] = []
    const observer: TuneObserver = {
      epoch: () => void setTimeout(() => control.cancel(), 0),
      checkpoint: ({ best }) => void (reference = best ? [...best.parameters] : []),
    }
    const { parameters, report } = await tune(
      options({ job: jobOf({ ...base, num_epochs: 5000 }), observer, control, checkpoint_every_ms: 0 }),
    )
    expect(report.finished).toBe('cancelled')
    expect(report.steps.length).toBeLessThan(2000)
    expect([...parameters]).toEqual(reference)
    expect(report.tuned).not.toBeNull()
  })

  test('cancelled while paused, twice, or before the first step', async () => {
    const control = new TuneControl()
    const observer: TuneObserver = {
      step: () => control.pause(),
      paused: (paused) => void (paused && control.cancel()),
      stage: (text) => void (text.includes('tuned prompt') && control.cancel()),
    }
    const { report } = await tune(options({ observer, control }))
    expect(report).toMatchObject({ finished: 'cancelled', tuned: null, best_epoch: 0 })
    expect(report.steps).toHaveLength(1)
    const early = new TuneControl()
    await expect(tune(options({ control: early, observer: { started: () => early.cancel() } }))).rejects.toThrow(TuningCancelled)
  })

  test('early stopping ends after patience and keeps the best epoch', async () => {
    const job = jobOf({ ...base, learning_rate: 5, schedule: 'constant', num_epochs: 50, early_stopping_patience: 2 })
    const { report } = await tune(options({ job }))
    expect(report.finished).toBe('early_stopped')
    expect(report.epochs).toHaveLength(report.best_epoch + 2)
  })

  test('without validation rows the last prompt is kept', async () => {
    const { report } = await tune(options({ job: jobOf({ ...base, validation: 0 }) }))
    expect(report).toMatchObject({ best_epoch: 4, baseline: null, tuned: null })
    expect(report.epochs[0]).toMatchObject({ validation_loss: null, metrics: null })
  })

  test('the caikit preset runs', async () => {
    const { report } = await tune(options({ job: jobOf({ preset: 'caikit', num_epochs: 2, batch_size: 4 }) }))
    expect(report.steps.map(({ learning_rate }) => learning_rate)).toEqual([0.3, 0.3 * (15 / 16)])
  })

  test('few shapes: one program for the gradient and one for scores in a bucket', async () => {
    const model = newModel()
    await tune(options({ model }))
    expect(new Set(model.calls.filter((call) => call.startsWith('gradient'))).size).toBeLessThanOrEqual(4)
    expect(new Set(model.calls.filter((call) => call.startsWith('score'))).size).toBeLessThanOrEqual(5)
  })

  test.each(['loss', 'gradient'] as const)(
    'a %s that is not finite: an error with advice, and the prompt so far',
    async (which) => {
      class Exploding extends AnalyticModel {
        private left = 6
        override async lossAndGradient(batch: TokenBatch, lengths: GradientLengths): Promise<LossAndGradient> {
          const result = await super.lossAndGradient(batch, lengths)
          if (this.left-- > 0) return result
          return which === 'loss'
            ? { ...result, loss: Infinity }
            : { ...result, d_inputs_embeds: result.d_inputs_embeds.fill(NaN) }
        }
      }
      const model = new Exploding({ vocab_size: CHAR_VOCAB, hidden_size: H, embedding_std: 1 })
      const error: unknown = await tune(options({ model })).catch((caught: unknown) => caught)
      if (!(error instanceof TuningError)) throw error
      expect(error.message).toMatch(new RegExp(`${which}.*step 4.*learning rate 1`))
      expect(error.hint).toMatch(/Lower learning_rate, for example to 0.1/)
      expect(error.kept?.report.steps).toHaveLength(3)
      expect(error.kept?.parameters.every(Number.isFinite)).toBe(true)
    },
  )

  test('unusable data and too many virtual tokens are refused', async () => {
    await expect(tune(options({ train: [] }))).rejects.toThrow(/no examples/)
    await expect(tune(options({ model: newModel({ max_positions: 4 }) }))).rejects.toThrow(/num_virtual_tokens is 3.*4 positions/)
  })
})

test('a run that does not fit in memory is refused before its first step, with what to change', async () => {
  const estimate: MemoryEstimate = {
    device: 'wasm',
    verdict: 'does_not_fit',
    batch_size: 8,
    positions: 32,
    weight_bytes: 9e9,
    activation_bytes: 1e9,
    plain_activation_bytes: 1e9,
    scoring_bytes: 1e8,
    segments: 1,
    host_bytes: 0,
    needed_bytes: 10e9,
    limit_bytes: 4e9,
    obstacle: null,
    summary: 'Training does not fit.',
    advice: ['Set batch_size to 1.', 'Or choose another device.'],
  }
  const asked: StepShape[] = []
  const model = Object.assign(newModel(), {
    memory: (shape: StepShape) => (asked.push(shape), estimate),
    score: () => Promise.reject(new Error('it ran')),
  })
  const job = jobOf({ batch_size: 5 })
  const tuning = tune({ job, model, tokenizer, train: examples, validation: null })
  await expect(tuning).rejects.toThrow(TuningError)
  await expect(tuning).rejects.toMatchObject({
    message: 'Training does not fit.',
    hint: 'Set batch_size to 1. Or choose another device.',
  })
  expect(asked).toMatchObject([{ batch_size: 5, encoder: null, lengths: { encoder: 0, decoder: N } }])
  // The longest row decides, with its virtual tokens.
  expect(asked[0]?.sequence_length).toBe(prepare(job, SHAPE, tokenizer, examples, null).shapes.all().at(-1)?.sequence_length)
  const one = prepare(job, { ...SHAPE, single_shape: true }, tokenizer, examples, null)
  expect([one.shapes.all().length, one.score_shapes.all().length]).toEqual([1, 1])
})
