/** What the untuned model reads when words stand in for a prompt: what is said, where solved examples come from, and that it all fits. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AnalyticModel } from '../../test/support/analytic-model'
import { charTokenizer, CHAR_VOCAB, seq2seqTokenizer } from '../../test/support/char-tokenizer'
import { jobOf } from '../../test/support/tuning'
import type { Job } from '../job/parameters'
import type { Example } from '../job/records'
import type { BaselineName } from '../library/prompt-record'
import { baselinesOf, baselineSequences } from './baselines'
import { limitsOf } from './sequences'
import type { SequenceLimits } from './sequences'
import type { Tokenizer } from './tokenizer'
import { tune } from './tune'

const TEXT = { prompt_tuning_init_method: 'TEXT', prompt_tuning_init_text: 'Say it. ' }
const train: Example[] = Array.from({ length: 8 }, (_, i) => ({ input: `t${i}`, output: i % 2 ? 'no' : 'yes' }))
const rows: Example[] = [
  { input: 'h0', output: 'yes' },
  { input: 'h1', output: 'no' },
]
/** The characters have no line feed: "|" stands for it. */
const withLines = (tokenizer: Tokenizer): Tokenizer => ({
  ...tokenizer,
  encode: (text, options) => tokenizer.encode(text.replaceAll('\n', '|'), options),
  decode: (ids, options) => tokenizer.decode(ids, options).replaceAll('|', '\n'),
})

interface Given {
  readonly kind?: SequenceLimits['kind']
  readonly max_positions?: number | null
  readonly held?: readonly Example[]
  readonly from?: readonly Example[]
  readonly longest_label?: number
}
function sequences(name: BaselineName, job: Job, given: Given = {}) {
  const { kind = 'causal-lm', max_positions = null, held = rows, from = train, longest_label = 1 } = given
  const tokenizer = withLines(kind === 'causal-lm' ? charTokenizer() : seq2seqTokenizer())
  const limits = limitsOf(job, { kind, max_positions, virtual_tokens: { encoder: 0, decoder: 5 } })
  const built = baselineSequences(name, { job, rows: held, train: from, limits, tokenizer, longest_label })
  if (!built) throw new Error('words alone are too long')
  const textOf = (ids: readonly number[]) => tokenizer.decode(ids, { skip_special_tokens: true })
  return built.map((one) => ({ ...one, said: textOf(one.encoder ?? one.source), answer: textOf(one.target) }))
}
const said = (name: BaselineName, job: Job, given: Given = {}) => sequences(name, job, given).map((one) => one.said)
const verbalizer = 'Q: {{input}} A:'

describe('which there are', () => {
  test('those asked for; an instruction needs words of its own, or to start from', () => {
    expect(baselinesOf(jobOf())).toEqual(['baseline', 'few_shot'])
    expect(baselinesOf(jobOf({}, TEXT))).toEqual(['baseline', 'text_prompt', 'few_shot'])
    expect(baselinesOf(jobOf({ baseline_text_prompt: 'x' }))).toEqual(['baseline', 'text_prompt', 'few_shot'])
    expect(baselinesOf(jobOf({ baselines: ['TEXT_PROMPT'] }))).toEqual([])
    expect(baselinesOf(jobOf({ baselines: [] }, TEXT))).toEqual([])
    expect(baselinesOf(jobOf({}, { prompt_tuning_init_text: 'words' }))).toContain('text_prompt')
  })
})

describe('what they say', () => {
  test('the untuned model reads the verbalized input, within the length of a source', () => {
    expect(said('baseline', jobOf({ verbalizer }))).toEqual(['Q: h0 A:', 'Q: h1 A:'])
    expect(said('baseline', jobOf({ verbalizer, max_source_length: 7 }))).toEqual(['Q: h A:', 'Q: h A:'])
  })

  test('an instruction stands in a line of its own, and does not count as source', () => {
    const job = jobOf({ verbalizer, max_source_length: 8, baseline_text_prompt: 'Answer the question.' })
    expect(said('text_prompt', job)).toEqual(['Answer the question.\nQ: h0 A:', 'Answer the question.\nQ: h1 A:'])
    const long = { max_positions: 20 }
    expect(() => said('text_prompt', job, long)).toThrow('words alone are too long')
  })

  test('a causal model goes on from solved examples as in training', () => {
    const [first = '', second = ''] = said('few_shot', jobOf({ verbalizer, few_shot_examples: 3 }))
    const lines = first.split('\n')
    expect(lines).toHaveLength(4)
    expect(lines.at(-1)).toBe('Q: h0 A:')
    const solved = train.map(({ input, output }) => `Q: ${input} A:${output}`)
    expect(new Set(lines.slice(0, -1)).size).toBe(3)
    for (const line of lines.slice(0, -1)) expect(solved).toContain(line)
    // The same ones for every row, by seed.
    expect(second.split('\n').slice(0, -1)).toEqual(lines.slice(0, -1))
    expect(said('few_shot', jobOf({ verbalizer, few_shot_examples: 3 }))[0]).toBe(first)
    expect(said('few_shot', jobOf({ verbalizer, few_shot_examples: 3, seed: 5 }))[0]).not.toBe(first)
  })

  test('an encoder is told question and answer apart', () => {
    const job = (text: string) => jobOf({ verbalizer: text, few_shot_examples: 1 })
    const one = [{ input: 'in', output: 'out' }]
    const given = { kind: 'seq2seq', from: one } as const
    expect(said('few_shot', job('{{input}}'), given)).toEqual(['in -> out\nh0 ->', 'in -> out\nh1 ->'])
    for (const sign of [':', '>', '=', '?'])
      expect(said('few_shot', job(`{{input}}${sign} `), given)[0]).toBe(`in${sign} out\nh0${sign}`)
    expect(sequences('few_shot', job('{{input}}'), given)[0]).toMatchObject({ source: [0], answer: 'yes' })
    // In front of the target there is no sign: the decoder says it.
    expect(said('baseline', job('{{input}}'), given)).toEqual(['h0', 'h1'])
  })

  test('solved examples are training rows of the row’s own task', () => {
    const tasks = (inputs: string, extra: string): Example[] =>
      ['red', 'blue'].flatMap((task) =>
        Array.from({ length: 3 }, (_, i) => ({ input: `${inputs}-${task}-${i}${extra}`, output: task, task })),
      )
    const held = [...tasks('held', ''), { input: 'held-none', output: 'x' }, { input: 'held-new', output: 'x', task: 'green' }]
    const from = [...tasks('train', ''), { input: 'train-none', output: 'none' }]
    const texts = said('few_shot', jobOf({ few_shot_examples: 64 }), { held, from })
    texts.forEach((text, i) => {
      const { task, input } = held[i] ?? { input: '' }
      const shots = text.split('\n').slice(0, -1)
      expect(text.split('\n').at(-1)).toBe(input)
      const own = from.filter((row) => row.task === task).map((row) => `${row.input}${row.output}`)
      expect([...shots].sort()).toEqual(own.sort())
    })
    expect(texts.at(-1)).toBe('held-new')
    expect(texts.at(-2)).toBe('train-nonenone\nheld-none')
  })
})

describe('what fits', () => {
  test('solved examples are left out from the last until the row is whole', () => {
    const from = Array.from({ length: 4 }, (_, i) => ({ input: `example ${i}`, output: 'yes' }))
    const held = [
      { input: 'short', output: 'yes' },
      { input: 'a good deal longer than that', output: 'yes' },
      { input: 'so long that no example has room', output: 'yes' },
      { input: 'so long that it is cut by itself, whatever stands in front', output: 'yes' },
    ]
    const counts = (max_positions: number | null) =>
      said('few_shot', jobOf({ few_shot_examples: 4 }), { held, from, max_positions }).map((text) => text.split('\n').length - 1)
    expect(counts(null)).toEqual([4, 4, 4, 4])
    // A line is 13 characters, an answer 3.
    expect(counts(44)).toEqual([2, 1, 0, 0])
    expect(counts(80)).toEqual([4, 3, 3, 1])
    const [whole] = said('few_shot', jobOf({ few_shot_examples: 4 }), { held, from })
    const [some] = said('few_shot', jobOf({ few_shot_examples: 4 }), { held, from, max_positions: 44 })
    expect(some?.split('\n').slice(0, 2)).toEqual(whole?.split('\n').slice(0, 2))
  })

  test('a huge example is left out', () => {
    const from = [{ input: 'x'.repeat(1_000_000), output: 'yes' }]
    expect(said('few_shot', jobOf(), { from, max_positions: 100 })).toEqual(['h0', 'h1'])
  })

  const text = fc.stringMatching(/^[a-z ]{1,30}$/)
  test('properties: behind any words any label has its positions, and no answer is cut that would not be cut anyway', () => {
    const row = fc.record({ input: text, output: fc.constantFrom('y', 'no', 'certainly not') })
    fc.assert(
      fc.property(
        fc.array(row, { minLength: 1, maxLength: 6 }),
        fc.array(row, { minLength: 1, maxLength: 3 }),
        fc.integer({ min: 60, max: 130 }),
        fc.constantFrom<BaselineName>('text_prompt', 'few_shot'),
        (from, held, max_positions, name) => {
          const job = jobOf({ baseline_text_prompt: 'Say it in a word' })
          const longest_label = 'certainly not'.length + 1
          const given = { from, held, max_positions, longest_label }
          const plain = sequences('baseline', job, given)
          sequences(name, job, given).forEach((one, i) => {
            expect(one.source.length + longest_label - 1).toBeLessThanOrEqual(max_positions)
            expect(one.target).toEqual(plain[i]?.target)
            expect(one.said.endsWith(held[i]?.input ?? '')).toBe(true)
          })
        },
      ),
    )
  })

  test('properties: an answer that is no label does not give way to solved examples', () => {
    const answer = (minLength: number, maxLength: number) => fc.stringMatching(new RegExp(`^[a-z]{${minLength},${maxLength}}$`))
    fc.assert(
      fc.property(
        fc.array(answer(1, 4), { minLength: 1, maxLength: 4 }),
        answer(10, 30),
        fc.integer({ min: 40, max: 60 }),
        (outputs, own, max_positions) => {
          const from = outputs.map((output, i) => ({ input: `${i}`, output }))
          const given = { from, held: [{ input: 'h', output: own }], max_positions }
          const [plain] = sequences('baseline', jobOf(), given)
          const [shot] = sequences('few_shot', jobOf(), given)
          expect(shot?.target).toEqual(plain?.target)
          expect(shot?.truncated_source).toBe(false)
        },
      ),
    )
  })

  test.each([36, 43, 47, 51])('a run measures them on a model of %i positions, rival labels included', async (max_positions) => {
    // Rows whose own answer is short, and that fill the positions: behind them the long label is asked too.
    const model = new AnalyticModel({ vocab_size: CHAR_VOCAB, hidden_size: 8, max_positions })
    const examples = Array.from({ length: 40 }, (_, i) => ({
      input: 'ab'.charAt(i % 2).repeat(3 + (i % 7)) + i,
      output: i % 2 ? 'no' : 'certainly',
    }))
    const job = jobOf({ num_epochs: 1, baseline_text_prompt: 'What?' }, { num_virtual_tokens: 3 })
    const { report } = await tune({ job, model, tokenizer: charTokenizer(), train: examples, validation: null })
    for (const name of ['baseline', 'text_prompt', 'few_shot', 'tuned'] as const)
      expect(report[name]?.metrics.label_accuracy).not.toBeNull()
  })
})
