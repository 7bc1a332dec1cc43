/** Measures against counting by hand: labels by ranking all of them in full, tasks by measuring their rows alone, texts only where outputs are no labels. */
import { describe, expect, test } from 'vitest'
import { AnalyticModel } from '../../test/support/analytic-model'
import { AnalyticSeq2Seq } from '../../test/support/analytic-seq2seq'
import { charTokenizer, CHAR_VOCAB, seq2seqTokenizer } from '../../test/support/char-tokenizer'
import { jobOf, scorerOf } from '../../test/support/tuning'
import type { FrozenModel } from '../engine/frozen-model'
import type { Example } from '../job/records'
import { Assembler, needOf, teacherForced } from './assemble'
import { evaluate, measure } from './evaluate'
import type { HeldOut } from './evaluate'
import { rougeL, tokenF1 } from './metrics'
import { prepare, virtualTokens } from './prepare'
import { Random } from './random'
import { parameterCount, promptsOf } from './soft-prompt'
import type { Prompts } from './soft-prompt'
import type { Tokenizer } from './tokenizer'

const H = 12
const OPTIONS = { vocab_size: CHAR_VOCAB, hidden_size: H, embedding_std: 1 }
const MODELS: readonly (readonly [string, () => FrozenModel, Tokenizer, object])[] = [
  ['a causal model', () => new AnalyticModel(OPTIONS), charTokenizer(), {}],
  ['an encoder-decoder', () => new AnalyticSeq2Seq(OPTIONS), seq2seqTokenizer(), { output_model_types: ['ENCODER', 'DECODER'] }],
]
const LABELS = ['yo', 'yn', 'no', 'ma']
/** Two begin alike, and the tasks are of unequal size. */
const labelled: Example[] = Array.from({ length: 24 }, (_, i) => ({
  input: `${i}${'abc'.charAt(i % 3).repeat(1 + (i % 5))}`,
  output: LABELS[i % 6 === 5 ? 1 : i % 4] ?? '',
  task: i % 3 === 0 ? 'small' : 'large',
}))

/** All examples held out, two tasks with prompts of their own: random ones, so that answers are right and wrong. */
function setUp(model: FrozenModel, tokenizer: Tokenizer, config: object, examples: readonly Example[], seed: number) {
  const job = jobOf({ tuning_type: 'MULTITASK_PROMPT_TUNING' }, { num_virtual_tokens: 2, num_tasks: 2, ...config })
  const { layout, held } = prepare(job, model, tokenizer, labelled, examples)
  if (!held) throw new Error('nothing held out')
  const random = new Random(seed, 'prompt')
  const prompts = promptsOf(
    layout,
    Float32Array.from({ length: parameterCount(layout) }, () => 0.7 * random.normal()),
  )
  const tokens = virtualTokens(layout)
  return { held, prompts, tokens, scorer: () => scorerOf(model, 5, held.sequences, tokens) }
}

/** The likeliest of all labels of each row, every one of them scored by itself. */
async function ranked(
  model: FrozenModel,
  { sequences, labels }: HeldOut,
  prompts: Prompts,
  tokens: ReturnType<typeof virtualTokens>,
) {
  const single = new Assembler(model, 1)
  const found: string[] = []
  for (const [i, sequence] of sequences.entries()) {
    let best = { text: '', likelihood: -Infinity }
    for (const { text, ids } of labels[i] ?? []) {
      const row = { ...sequence, target: ids }
      const batch = await single.assemble(needOf(row, tokens), [teacherForced(row, prompts)], [0], 'states')
      const likelihood = (await model.score(batch)).log_probabilities.reduce((sum, x) => sum + x, 0)
      if (likelihood > best.likelihood) best = { text, likelihood }
    }
    found.push(best.text)
  }
  return found
}

/** Macro F1 by the definition: over all labels that are expected or said. */
function macroF1(expected: readonly string[], said: readonly string[]): number {
  const labels = [...new Set([...expected, ...said])]
  const f1 = labels.map((label) => {
    const right = expected.filter((one, i) => one === label && said[i] === label).length
    const precision = right / Math.max(1, said.filter((one) => one === label).length)
    const recall = right / Math.max(1, expected.filter((one) => one === label).length)
    return right === 0 ? 0 : (2 * precision * recall) / (precision + recall)
  })
  return f1.reduce((sum, x) => sum + x, 0) / labels.length
}

describe.each(MODELS)('%s', (_, newModel, tokenizer, config) => {
  test('labels: accuracy and macro F1 are those of ranking every label in full', async () => {
    const answers = new Set<string>()
    const accuracies = new Set<number>()
    for (const seed of [1, 2, 3]) {
      const model = newModel()
      const { held, prompts, tokens, scorer } = setUp(model, tokenizer, config, labelled, seed)
      for (const set of held.labels) expect(set?.map(({ text }) => text).sort()).toEqual([...LABELS].sort())
      const said = await ranked(newModel(), held, prompts, tokens)
      const expected = labelled.map(({ output }) => output)
      const accuracy = expected.filter((label, i) => said[i] === label).length / expected.length
      const metrics = await measure(scorer(), prompts, held, tokenizer)
      expect(metrics?.label_accuracy).toBeCloseTo(accuracy, 12)
      expect(metrics?.macro_f1).toBeCloseTo(macroF1(expected, said), 12)
      expect(metrics).toMatchObject({ rouge_l: null, token_f1: null })
      expect(metrics?.perplexity).toBeCloseTo(Math.exp(metrics?.loss ?? NaN), 10)
      // At the end the same is measured, and still no texts are compared.
      const whole = (await evaluate(scorer(), prompts, held, tokenizer))?.metrics
      expect(whole).toEqual(metrics)
      accuracies.add(accuracy)
      for (const label of said) answers.add(label)
    }
    // Only worth something where several are said, and some are right.
    expect(answers.size).toBeGreaterThan(2)
    expect(accuracies.size).toBeGreaterThan(1)
  })

  test('tasks: each is measured as if it were alone', async () => {
    const { held, prompts, scorer } = setUp(newModel(), tokenizer, config, labelled, 1)
    const evaluation = await evaluate(scorer(), prompts, held, tokenizer)
    expect(evaluation?.tasks.map(({ task, rows }) => [task, rows])).toEqual([
      ['large', 16],
      ['small', 8],
    ])
    expect(evaluation?.predictions.map(({ task }) => task)).toEqual(labelled.map(({ task }) => task))
    for (const { task, metrics } of evaluation?.tasks ?? []) {
      const own = labelled.map((row, i) => ({ row, i })).filter(({ row }) => row.task === task)
      const part: HeldOut = {
        ...held,
        examples: own.map(({ row }) => row),
        sequences: own.flatMap(({ i }) => held.sequences[i] ?? []),
        labels: own.map(({ i }) => held.labels[i] ?? null),
      }
      const alone = await evaluate(scorer(), prompts, part, tokenizer)
      expect(alone?.tasks).toEqual([])
      expect(metrics.loss).toBeCloseTo(alone?.metrics.loss ?? NaN, 10)
      expect({ ...metrics, loss: 0, perplexity: 0 }).toEqual({ ...alone?.metrics, loss: 0, perplexity: 0 })
    }
  })

  test("tasks: a row's labels are those of its own task, and a task of texts takes none of another's away", async () => {
    const rows = labelled.map((row, i) => (row.task === 'small' ? { ...row, output: `text ${i}` } : row))
    const { held, prompts, scorer } = setUp(newModel(), tokenizer, config, rows, 1)
    rows.forEach(({ task }, i) => expect(held.labels[i] === null).toBe(task === 'small'))
    const evaluation = await evaluate(scorer(), prompts, held, tokenizer)
    const [large, small] = evaluation?.tasks ?? []
    expect([large?.metrics.label_accuracy, large?.metrics.rouge_l]).toEqual([expect.any(Number), null])
    expect([small?.metrics.label_accuracy, small?.metrics.rouge_l]).toEqual([null, expect.any(Number)])
    expect([evaluation?.metrics.label_accuracy, evaluation?.metrics.rouge_l]).toEqual([null, expect.any(Number)])
  })

  test('texts: means of ROUGE-L and token F1 over whole predictions, once decoded to the end', async () => {
    const first = setUp(newModel(), tokenizer, config, labelled, 2)
    const max_new_tokens = 8
    const spoken = await evaluate(first.scorer(), first.prompts, { ...first.held, max_new_tokens }, tokenizer)
    // What the model says anyway, and a word more, or another altogether.
    const texts = labelled.map((row, i) => ({
      ...row,
      output: i % 3 === 0 ? `other ${i}` : `${spoken?.predictions[i]?.predicted} ${i}`,
    }))
    const { held: all, prompts, scorer } = setUp(newModel(), tokenizer, config, texts, 2)
    const held = { ...all, max_new_tokens }
    expect(held.labels.every((set) => set === null)).toBe(true)
    const evaluation = await evaluate(scorer(), prompts, held, tokenizer)
    const predictions = evaluation?.predictions ?? []
    const mean = (measure: (a: string, b: string) => number) =>
      predictions.reduce((sum, { predicted, expected }) => sum + measure(predicted, expected), 0) / predictions.length
    expect(mean(rougeL)).toBeGreaterThan(0.1)
    expect(mean(rougeL)).toBeLessThan(0.9)
    expect(evaluation?.metrics).toMatchObject({ label_accuracy: null, macro_f1: null })
    expect(evaluation?.metrics.rouge_l).toBeCloseTo(mean(rougeL), 12)
    expect(evaluation?.metrics.token_f1).toBeCloseTo(mean(tokenF1), 12)
    for (const { metrics } of evaluation?.tasks ?? []) expect(metrics.rouge_l).not.toBeNull()
    // After an epoch rows are not decoded to their end: there is nothing to compare.
    const epoch = await measure(scorer(), prompts, held, tokenizer)
    expect(epoch).toEqual({ ...evaluation?.metrics, rouge_l: null, token_f1: null })
  })
})
