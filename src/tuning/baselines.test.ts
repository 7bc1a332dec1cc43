/** What the untuned model reads for comparison: words in front, solved examples of the row's own task, and how long all of it may get. */
import { describe, expect, test } from 'vitest'
import { charTokenizer, seq2seqTokenizer } from '../../test/support/char-tokenizer'
import { jobOf } from '../../test/support/tuning'
import type { Example } from '../job/records'
import type { Job } from '../job/parameters'
import { baselineSequences, baselinesOf, type BaselineInputs } from './baselines'
import { limitsOf, type BuiltSequence, type SequenceLimits } from './sequences'

const causal = charTokenizer()
const train: Example[] = Array.from({ length: 12 }, (_, i) => ({ input: `in${i}`, output: i % 2 ? 'yes' : 'no' }))
const row: Example = { input: 'held', output: 'yes' }

function inputsOf(job: Job, more: Partial<BaselineInputs> = {}, limits: Partial<SequenceLimits> = {}): BaselineInputs {
  const model = { kind: 'causal-lm', max_positions: null, virtual_tokens: { encoder: 0, decoder: 5 } } as const
  return { job, rows: [row], train, limits: { ...limitsOf(job, model), ...limits }, tokenizer: causal, longest_label: 1, ...more }
}
const T5 = { kind: 'seq2seq', virtual_tokens: { encoder: 5, decoder: 0 } } as const
const decode = (ids: readonly number[] | null | undefined): string => causal.decode(ids ?? [], { skip_special_tokens: true })
const first = (rows: readonly BuiltSequence[] | null): BuiltSequence => {
  const [built] = rows ?? []
  if (!built) throw new Error('no rows')
  return built
}

describe('solved examples', () => {
  const job = jobOf({ verbalizer: '{{input}}=', few_shot_examples: 3 })

  test('are training rows as a causal model would go on writing them', () => {
    const lines = decode(first(baselineSequences('few_shot', inputsOf(job))).source).split('?')
    expect(lines).toHaveLength(4)
    expect(lines.at(-1)).toBe('held=')
    const known = train.map(({ input, output }) => `${input}=${output}`)
    for (const line of lines.slice(0, -1)) expect(known).toContain(line)
  })

  test('are of the row’s own task', () => {
    const tasks = train.map((one, i) => ({ ...one, task: i < 6 ? 'a' : 'b' }))
    const inputs = inputsOf(job, { train: tasks, rows: [{ ...row, task: 'a' }] })
    const text = decode(first(baselineSequences('few_shot', inputs)).source)
    const used = tasks.filter(({ input }) => text.includes(`${input}=`))
    expect(new Set(used.map(({ task }) => task))).toEqual(new Set(['a']))
    const strange = inputsOf(job, { train: tasks, rows: [{ ...row, task: 'c' }] })
    expect(decode(first(baselineSequences('few_shot', strange)).source)).toBe('held=')
  })

  test('are fewer, or none, where rows or examples are long, also on a model without a limit', () => {
    const long = jobOf({ few_shot_examples: 64, max_source_length: 200, max_target_length: 20 })
    const many: Example[] = Array.from({ length: 64 }, (_, i) => ({ input: `${i}`.padStart(180, 'x'), output: 'y' }))
    const huge: Example[] = many.map(({ input, output }) => ({ input: input.repeat(200), output }))
    for (const limits of [{}, T5]) {
      const tokenizer = 'kind' in limits ? seq2seqTokenizer() : causal
      const read = (inputs: Partial<BaselineInputs>): BuiltSequence =>
        first(baselineSequences('few_shot', inputsOf(long, { tokenizer, ...inputs }, limits)))
      const length = ({ encoder, source }: BuiltSequence): number => (encoder ?? source).length
      expect(length(read({ train: many }))).toBeGreaterThan(3 * 180)
      expect(length(read({ train: many }))).toBeLessThanOrEqual(4 * 200)
      expect(length(read({ train: huge }))).toBeLessThan(20)
      // A row that was cut in training is cut as there.
      const [far] = huge
      if (far) expect(length(read({ train: many, rows: [far] }))).toBeLessThanOrEqual(200)
    }
  })

  test('leave a causal model positions for any label', () => {
    const inputs = inputsOf(job, { longest_label: 9 }, { max_positions: 20 })
    const { source } = first(baselineSequences('few_shot', inputs))
    expect(source.length + 9 - 1).toBeLessThanOrEqual(20)
  })
})

describe('an instruction', () => {
  test('stands in front of the whole source', () => {
    const job = jobOf({ baseline_text_prompt: 'Say yes or no.', max_source_length: 4 })
    expect(decode(first(baselineSequences('text_prompt', inputsOf(job))).source)).toBe('Say yes or no.?held')
    expect(baselinesOf(job)).toEqual(['baseline', 'text_prompt', 'few_shot'])
  })

  test('is the starting text where there is no other, whatever the run starts from', () => {
    const text = { prompt_tuning_init_text: 'Answer!' }
    expect(decode(first(baselineSequences('text_prompt', inputsOf(jobOf({}, text)))).source)).toBe('Answer!?held')
    expect(baselinesOf(jobOf({}, text))).toContain('text_prompt')
    expect(baselinesOf(jobOf())).not.toContain('text_prompt')
  })

  test('that is too long is left out, and the rest is measured', () => {
    const job = jobOf({ baseline_text_prompt: 'words '.repeat(400) })
    expect(baselineSequences('text_prompt', inputsOf(job))).toBeNull()
    const short = jobOf({ baseline_text_prompt: 'words '.repeat(10) })
    expect(baselineSequences('text_prompt', inputsOf(short, {}, { max_positions: 30 }))).toBeNull()
    expect(baselineSequences('baseline', inputsOf(short, {}, { max_positions: 30 }))).toHaveLength(1)
  })
})
