/** From examples to batches: sequences, buckets, order, weights, splits, preview. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AnalyticModel } from '../../test/support/analytic-model'
import { charTokenizer, CHAR_VOCAB } from '../../test/support/char-tokenizer'
import { jobOf } from '../../test/support/tuning'
import { Assembler, needOf, teacherForced } from './assemble'
import { bucketBatches, epochGroups, plainBatches } from './batches'
import { TuningError } from './errors'
import { previewTuning } from './preview'
import { builderFor, buildSequence, buildSource, limitsOf, positionsOf, templateOf } from './sequences'
import type { SequenceLimits } from './sequences'
import { bucketBounds, roundLength, Shapes } from './shapes'
import { NO_PROMPT } from './soft-prompt'
import { splitExamples } from './split'

const tokenizer = charTokenizer()
const limits: SequenceLimits = {
  kind: 'causal-lm',
  max_source_length: 10,
  max_target_length: 4,
  virtual_tokens: { encoder: 0, decoder: 3 },
  max_positions: null,
}
/** A causal model of no known number of positions. */
const CAUSAL = { kind: 'causal-lm', hidden_size: 4, max_positions: null } as const
const need = (sequence_length: number, label_length: number, encoder_length = 0) => ({
  sequence_length,
  label_length,
  encoder_length,
})
const textOf = (ids: readonly number[]): string => tokenizer.decode(ids, { skip_special_tokens: false })

describe('sequences', () => {
  test('source, target, EOS', () => {
    const built = buildSequence({ input: 'ab', output: 'no' }, templateOf('<{{input}}>'), limits, tokenizer, 0)
    expect(textOf(built.source)).toBe('<ab>')
    expect(textOf(built.target)).toBe('no<1>')
    expect(positionsOf(built)).toBe(6)
    expect([built.truncated_source, built.truncated_target]).toEqual([false, false])
  })
  test('no BOS in the middle', () => {
    const built = buildSequence({ input: 'ab', output: 'no' }, templateOf('{{input}}'), limits, charTokenizer(true), 0)
    expect(textOf([...built.source, ...built.target])).toBe('<0>abno<1>')
  })
  test('the input is cut, never the template; EOS is always kept', () => {
    const built = buildSequence({ input: 'a long input', output: 'answer' }, templateOf('T:{{input}}:L'), limits, tokenizer, 0)
    expect(textOf(built.source)).toBe('T:a long:L')
    expect(textOf(built.target)).toBe('answ<1>')
    expect([built.truncated_source, built.truncated_target]).toEqual([true, true])
    const twice = buildSequence({ input: 'abcdef', output: 'x' }, templateOf('{{input}}|{{input}}'), limits, tokenizer, 0)
    expect(textOf(twice.source)).toBe('abcd|abcd')
  })
  test('a surrogate pair is not split, a huge input costs little', () => {
    const cut = buildSequence(
      { input: 'abcdefg😀h', output: 'x' },
      templateOf('{{input}}'),
      { ...limits, max_source_length: 8 },
      { ...tokenizer, encode: (text) => [...text].flatMap((c) => Array.from({ length: c.length }, () => c.codePointAt(0) ?? 0)) },
      0,
    )
    expect(cut.source).toEqual([...'abcdefg'].map((c) => c.charCodeAt(0)))
    let encoded = 0
    const counting = {
      ...tokenizer,
      encode: (text: string, o: { add_special_tokens: boolean }) => ((encoded += text.length), tokenizer.encode(text, o)),
    }
    const built = buildSequence({ input: 'x'.repeat(5_000_000), output: 'y' }, templateOf('{{input}}'), limits, counting, 0)
    expect(built.source).toHaveLength(10)
    expect(encoded).toBeLessThan(5000)
  })
  test("the model's positions bound everything; errors say what to do", () => {
    const small = { ...limits, max_source_length: 100, max_target_length: 100, max_positions: 15 }
    const built = buildSequence({ input: 'abcdefghijkl', output: 'abcdefghijkl' }, templateOf('{{input}}'), small, tokenizer, 0)
    expect(3 + positionsOf(built)).toBe(15)
    expect(built.target).toHaveLength(7)
    expect(() =>
      buildSequence({ input: 'a', output: 'b' }, templateOf('a long template {{input}}'), limits, tokenizer, 0),
    ).toThrow(/template.*10 tokens/)
    expect(() =>
      buildSequence(
        { input: 'a', output: 'b' },
        templateOf('{{input}}'),
        { ...small, virtual_tokens: { encoder: 0, decoder: 14 } },
        tokenizer,
        0,
      ),
    ).toThrow(/14.*15 positions/)
    expect(buildSource(templateOf('{{input}}'), 'abcdefghijkl', small, tokenizer, 4).ids).toHaveLength(8)
  })
  test('properties: limits hold, uncut rows are the plain concatenation', () => {
    const row = fc.record({ input: fc.string({ minLength: 1 }), output: fc.string({ minLength: 1 }) })
    const bounds = fc.record({
      kind: fc.constant('causal-lm' as const),
      max_source_length: fc.integer({ min: 3, max: 30 }),
      max_target_length: fc.integer({ min: 1, max: 30 }),
      virtual_tokens: fc.record({ encoder: fc.constant(0), decoder: fc.integer({ min: 1, max: 5 }) }),
      max_positions: fc.option(fc.integer({ min: 12, max: 40 })),
    })
    fc.assert(
      fc.property(row, bounds, (example, limit) => {
        const built = buildSequence(example, templateOf('[{{input}}]'), limit, tokenizer, 0)
        expect(built.source.length).toBeLessThanOrEqual(limit.max_source_length)
        expect(built.target.length).toBeLessThanOrEqual(limit.max_target_length + 1)
        expect(built.target.at(-1)).toBe(1)
        if (limit.max_positions !== null)
          expect(limit.virtual_tokens.decoder + positionsOf(built)).toBeLessThanOrEqual(limit.max_positions)
        expect(textOf(built.source)).toMatch(/^\[[^]*\]$/)
        if (!built.truncated_source)
          expect(built.source).toEqual(tokenizer.encode(`[${example.input}]`, { add_special_tokens: true }))
      }),
    )
  })
  test("the caikit preset builds upstream's sequences, its lost EOS included", () => {
    const job = jobOf({ preset: 'caikit', max_source_length: 4, max_target_length: 2, verbalizer: '{{input}}:' })
    const its = limitsOf(job, { ...CAUSAL, virtual_tokens: limits.virtual_tokens })
    const build = (input: string, output: string) =>
      builderFor(job, 'causal-lm')({ input, output }, templateOf(job.verbalizer), its, charTokenizer(true), 0)
    const whole = build('ab', 'n')
    expect(textOf([...whole.source, ...whole.target])).toBe('<0>ab:<0>n<1>')
    const cut = build('abcd', 'nop')
    expect(textOf(cut.source)).toBe('<0>abc')
    expect(textOf(cut.target)).toBe('<0>no')
  })
})

describe('shapes', () => {
  test('rounding keeps to the positions there are', () => {
    expect([roundLength(1, null), roundLength(8, null), roundLength(9, null), roundLength(9, 12), roundLength(12, 12)]).toEqual([
      8, 8, 16, 12, 12,
    ])
  })
  test('bounds cost no more than those found by trying all', () => {
    const cost = (lengths: readonly number[], bounds: readonly number[]): number =>
      lengths.reduce((sum, length) => sum + (bounds.find((bound) => bound >= length) ?? Infinity), 0)
    const subsets = (items: readonly number[]): number[][] =>
      items.reduce<number[][]>((sets, item) => [...sets, ...sets.map((set) => [...set, item])], [[]])
    fc.assert(
      fc.property(
        fc.array(
          fc.integer({ min: 1, max: 8 }).map((x) => x * 8),
          { minLength: 1, maxLength: 30 },
        ),
        (lengths) => {
          const bounds = bucketBounds(lengths)
          const best = Math.min(
            ...subsets([...new Set(lengths)].sort((a, b) => a - b))
              .filter((set) => set.length <= 4)
              .map((set) => cost(lengths, set)),
          )
          expect(bounds.length).toBeLessThanOrEqual(4)
          expect(cost(lengths, bounds)).toBeLessThanOrEqual(best * 1.05)
        },
      ),
    )
    expect(bucketBounds([64, 64, 64])).toEqual([64])
    expect(bucketBounds([8, 8, 8, 8, 512])).toEqual([8, 512])
    expect(bucketBounds([])).toEqual([])
  })
})

describe('batches', () => {
  const needs = fc.array(
    fc.record({
      sequence_length: fc.integer({ min: 1, max: 90 }),
      label_length: fc.integer({ min: 1, max: 9 }),
      encoder_length: fc.constant(0),
    }),
    { minLength: 1, maxLength: 60 },
  )
  test('every row once, as few batches as possible, every row fits, at most one batch is short', () => {
    fc.assert(
      fc.property(
        needs,
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 4 }),
        fc.boolean(),
        (rows, batch_size, accumulate_steps, bucketed) => {
          const shapes = new Shapes(rows, null)
          const groups = epochGroups(rows, shapes, { seed: 1, epoch: 2, batch_size, accumulate_steps, bucketed })
          const batches = groups.flat()
          expect(groups).toHaveLength(Math.ceil(Math.ceil(rows.length / batch_size) / accumulate_steps))
          expect(batches.flatMap((batch) => batch.rows).sort((a, b) => a - b)).toEqual(rows.map((_, i) => i))
          expect(batches.filter((batch) => batch.rows.length < batch_size).length).toBeLessThanOrEqual(1)
          expect(new Set(batches.map(({ shape }) => JSON.stringify(shape))).size).toBeLessThanOrEqual(4)
          for (const { shape, rows: members } of batches) {
            for (const row of members) {
              expect(rows[row]?.sequence_length).toBeLessThanOrEqual(shape.sequence_length)
              expect(rows[row]?.label_length).toBeLessThanOrEqual(shape.label_length)
            }
          }
          expect(epochGroups(rows, shapes, { seed: 1, epoch: 2, batch_size, accumulate_steps, bucketed })).toEqual(groups)
        },
      ),
    )
  })
  test('order changes with epoch and seed', () => {
    const rows = Array.from({ length: 30 }, () => need(9, 2))
    const order = (seed: number, epoch: number) =>
      epochGroups(rows, new Shapes(rows, null), { seed, epoch, batch_size: 4, accumulate_steps: 1, bucketed: true })
        .flat(2)
        .flatMap((b) => b.rows)
    expect(order(1, 1)).not.toEqual(order(1, 2))
    expect(order(1, 1)).not.toEqual(order(2, 1))
  })
  test('a row longer than every shape gets one of its own', () => {
    const shapes = new Shapes([need(5, 1)], 20)
    expect(shapes.fit(need(9, 2), 18)).toEqual(need(20, 2))
    const batches = bucketBatches([0, 1], [need(3, 1), need(19, 1)], shapes, 2)
    expect(batches).toEqual([{ shape: need(20, 2), rows: [0, 1] }])
    expect(plainBatches([1, 0], [need(3, 1), need(8, 1)], shapes, 1)).toHaveLength(2)
  })
  test('assembling: P text PAD, labels one before their own position, filler rows weigh nothing', async () => {
    const model = new AnalyticModel({ vocab_size: CHAR_VOCAB, hidden_size: 2 })
    const assembler = new Assembler(model, 3)
    const sequence = { encoder: null, source: [5, 6], target: [7, 1], task: 0 }
    expect(needOf(sequence, { encoder: 0, decoder: 2 })).toEqual(need(5, 2))
    const shape = need(8, 3)
    const prompts = () => ({ encoder: new Float32Array(0), decoder: Float32Array.of(1, 2, 3, 4) })
    const batch = await assembler.assemble(shape, [teacherForced(sequence, prompts)], [0.5], 'embeds')
    expect([...batch.inputs_embeds.subarray(0, 16)]).toEqual([1, 2, 3, 4, ...model.embed([5, 6, 7]), 0, 0, 0, 0, 0, 0])
    expect([...batch.attention_mask.subarray(0, 8)]).toEqual([1, 1, 1, 1, 1, 0, 0, 0])
    expect([...batch.label_positions.subarray(0, 3)]).toEqual([3, 4, 0])
    expect([...batch.label_ids.subarray(0, 3)]).toEqual([7, 1, 0])
    expect([...batch.label_weights]).toEqual([0.5, 0.5, 0, 0, 0, 0, 0, 0, 0])
    expect([...batch.attention_mask.subarray(8, 16)]).toEqual([...batch.attention_mask.subarray(0, 8)])
    expect(batch.encoder).toBeNull()
    const again = await assembler.assemble(shape, [teacherForced(sequence, NO_PROMPT)], [1], 'embeds')
    expect(again.inputs_embeds).toBe(batch.inputs_embeds)
    expect([...again.label_positions.subarray(0, 2)]).toEqual([1, 2])
    await expect(assembler.assemble(need(4, 1), [teacherForced(sequence, NO_PROMPT)], [1], 'embeds')).rejects.toThrow(/2 labels/)
  })
})

test('split: by seed, same inputs together, neither side empty', () => {
  const example = fc.record({ input: fc.constantFrom(...'abcdefgh'), output: fc.string() })
  fc.assert(
    fc.property(fc.array(example, { maxLength: 40 }), fc.double({ min: 0, max: 0.9, noNaN: true }), (examples, fraction) => {
      const { train, validation } = splitExamples(examples, fraction, 7)
      expect(train.length + validation.length).toBe(examples.length)
      const held = new Set(validation.map(({ input }) => input))
      expect(train.some(({ input }) => held.has(input))).toBe(false)
      if (examples.length > 0) expect(train.length).toBeGreaterThan(0)
      if (fraction > 0 && new Set(examples.map(({ input }) => input)).size > 1) expect(validation.length).toBeGreaterThan(0)
    }),
  )
  const rows = Array.from({ length: 100 }, (_, i) => ({ input: `${i}`, output: '' }))
  expect(splitExamples(rows, 0.2, 1).validation).toHaveLength(20)
  expect(splitExamples(rows, 0.2, 1)).toEqual(splitExamples(rows, 0.2, 1))
  expect(splitExamples(rows, 0.2, 1)).not.toEqual(splitExamples(rows, 0.2, 2))
})

test('split: of every task, and no task loses its last training row', () => {
  const example = fc.record({
    input: fc.constantFrom(...'abcdefghij'),
    output: fc.constant('x'),
    task: fc.constantFrom('p', 'q', 'r'),
  })
  fc.assert(
    fc.property(fc.array(example, { maxLength: 40 }), fc.double({ min: 0.01, max: 0.9, noNaN: true }), (examples, fraction) => {
      const { train, validation } = splitExamples(examples, fraction, 7)
      expect(train.length + validation.length).toBe(examples.length)
      const held = new Set(validation.map(({ input }) => input))
      expect(train.some(({ input }) => held.has(input))).toBe(false)
      expect(new Set(train.map(({ task }) => task))).toEqual(new Set(examples.map(({ task }) => task)))
    }),
  )
  // A rare task beside a large one: by chance alone most draws hold out none of it, or all of it.
  const rows = Array.from({ length: 102 }, (_, i) => ({ input: `${i}`, output: '', task: i < 100 ? 'large' : 'rare' }))
  for (let seed = 0; seed < 20; seed++) {
    const { validation } = splitExamples(rows, 0.2, seed)
    expect(validation.filter(({ task }) => task === 'large')).toHaveLength(20)
    expect(validation.filter(({ task }) => task === 'rare')).toHaveLength(1)
  }
})

test('preview counts what the run will do', () => {
  const examples = Array.from({ length: 25 }, (_, i) => ({
    input: `question ${i}`,
    output: i === 0 ? 'a very long answer' : 'short',
  }))
  const job = jobOf({
    max_source_length: 10,
    max_target_length: 6,
    num_epochs: 3,
    batch_size: 4,
    accumulate_steps: 2,
    validation: 0,
  })
  const preview = previewTuning(job, CAUSAL, tokenizer, examples, null)
  expect(preview).toMatchObject({ truncated_sources: 15, truncated_targets: 1, total_steps: 12, longest: 20 + 10 + 6 })
  expect(preview.rows).toHaveLength(20)
  expect(preview.rows[0]).toEqual({
    source: 'question 0',
    target: 'a very',
    source_tokens: 10,
    target_tokens: 7,
    truncated: true,
  })
  expect(preview.rows[12]).toMatchObject({ source: 'question 1', truncated: true })
  expect(() => previewTuning(job, CAUSAL, tokenizer, [], null)).toThrow(TuningError)
})
