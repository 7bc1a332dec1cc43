/** Encoder states in batches and kept: each row has its own, whatever it was batched with; what is dropped is made again, and no more. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AnalyticSeq2Seq } from '../../test/support/analytic-seq2seq'
import type { EncoderEmbeds } from '../engine/frozen-model'
import { Assembler, needOf, teacherForced } from './assemble'
import { Encodings } from './encodings'
import type { EncoderRow } from './encodings'
import type { TokenSequence } from './sequences'
import type { Prompts } from './soft-prompt'

const H = 4
const newModel = () => new AnalyticSeq2Seq({ vocab_size: 20, hidden_size: H })
const NONE = new Float32Array(0)
const PROMPT = Float32Array.from({ length: 2 * H }, (_, i) => i / 10)

/** Right-padded, as long as the longest row and `pad` more. */
function embedsOf(model: AnalyticSeq2Seq, rows: readonly EncoderRow[], batch_size: number, pad = 1): EncoderEmbeds {
  const lengths = rows.map(({ prompt, ids }) => prompt.length / H + ids.length)
  const E = Math.max(...lengths) + pad
  const inputs_embeds = new Float32Array(batch_size * E * H).fill(9)
  const attention_mask = new Int32Array(batch_size * E)
  for (let b = 0; b < batch_size; b++) {
    const { prompt, ids } = rows[b] ?? rows[0] ?? { prompt: NONE, ids: [0] }
    inputs_embeds.set([...prompt, ...model.embed(ids, 'encoder')], b * E * H)
    attention_mask.fill(1, b * E, b * E + prompt.length / H + ids.length)
  }
  return { kind: 'embeds', sequence_length: E, attention_mask, inputs_embeds }
}
/** The states of one row encoded by itself. */
async function alone(row: EncoderRow): Promise<Float32Array> {
  const model = newModel()
  return model.encode(embedsOf(model, [row], 1, 0), 1)
}
const times = (model: AnalyticSeq2Seq): number => [...model.encoded.values()].reduce((sum, count) => sum + count, 0)

const row = fc.record({
  prompt: fc.constantFrom(NONE, PROMPT),
  ids: fc.array(fc.nat(19), { minLength: 1, maxLength: 6 }),
})

describe('encodings', () => {
  test('are those of each row by itself, in the order asked, once each', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(row, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 4 }),
        async (batches) => {
          const model = newModel()
          const encodings = new Encodings(model)
          for (const rows of batches) {
            const states = await encodings.statesOf(rows, 5, (some) => embedsOf(model, some, 5))
            expect(states).toHaveLength(rows.length)
            for (const [i, one] of rows.entries()) expect(states[i]).toEqual(await alone(one))
          }
          const distinct = new Set(batches.flat().map(({ prompt, ids }) => `${prompt.length} ${ids.join()}`))
          expect(times(model)).toBe(distinct.size)
        },
      ),
      { numRuns: 50 },
    )
  })

  test('of the same text behind another array of the same numbers are made anew', async () => {
    const model = newModel()
    const encodings = new Encodings(model)
    const ask = (prompt: Float32Array) => encodings.statesOf([{ prompt, ids: [3] }], 1, (some) => embedsOf(model, some, 1))
    await ask(PROMPT)
    await ask(PROMPT.slice())
    await ask(PROMPT)
    expect(times(model)).toBe(2)
  })

  test('behind virtual tokens are forgotten on request, the others stay', async () => {
    const model = newModel()
    const encodings = new Encodings(model)
    const rows = [NONE, PROMPT].flatMap((prompt) => [[1, 2], [3]].map((ids) => ({ prompt, ids })))
    const ask = () => encodings.statesOf(rows, 4, (some) => embedsOf(model, some, 4))
    const first = await ask()
    encodings.forgetPrompted()
    expect(await ask()).toEqual(first)
    expect([...model.encoded.values()].sort()).toEqual([1, 1, 2, 2])
  })

  test('keep to their budget, the oldest go first; what is asked together is given whatever the budget', async () => {
    const model = newModel()
    const bytes = 2 * H * 4
    const encodings = new Encodings(model, 3 * bytes)
    const ask = (...ids: number[]) =>
      encodings.statesOf(
        ids.map((id) => ({ prompt: NONE, ids: [id, id] })),
        5,
        (some) => embedsOf(model, some, 5),
      )
    await ask(1)
    await ask(2)
    await ask(3)
    await ask(1, 2, 3)
    expect(times(model)).toBe(3)
    await ask(4) // Drops 1.
    await ask(2, 3, 4)
    expect(times(model)).toBe(4)
    await ask(1) // Drops 2.
    expect(times(model)).toBe(5)
    await ask(3, 4, 1)
    expect(times(model)).toBe(5)
    const all = await ask(5, 6, 7, 8, 9)
    for (const [i, states] of all.entries()) expect(states).toEqual(await alone({ prompt: NONE, ids: [i + 5, i + 5] }))
    expect(times(model)).toBe(10)
    // Forgetting gives the room back.
    const prompted = { prompt: PROMPT, ids: [1] }
    await encodings.statesOf([prompted], 1, (some) => embedsOf(model, some, 1))
    encodings.forgetPrompted()
    await ask(11)
    await ask(12)
    await ask(13)
    const before = times(model)
    await ask(11, 12, 13)
    expect(times(model)).toBe(before)
  })
})

describe('assembling for an encoder-decoder', () => {
  const model = newModel()
  const prompts: Prompts = (task) => ({
    encoder: PROMPT.map((x) => x + task),
    decoder: Float32Array.from({ length: H }, (_, i) => i + task),
  })
  const first = prompts(0)
  const second = prompts(1)
  const given: Prompts = (task) => (task === 0 ? first : second)
  const sequences: TokenSequence[] = [
    { encoder: [5, 6, 7], source: [0], target: [8, 1], task: 0 },
    { encoder: [9], source: [0], target: [4, 3, 1], task: 1 },
  ]
  const queries = sequences.map((sequence) => teacherForced(sequence, given))
  const tokens = { encoder: 2, decoder: 1 }
  const shape = { sequence_length: 8, label_length: 3, encoder_length: 6 }

  test('needs of both stacks', () => {
    expect(sequences.map((sequence) => needOf(sequence, tokens))).toEqual([
      { sequence_length: 3, label_length: 2, encoder_length: 5 },
      { sequence_length: 4, label_length: 3, encoder_length: 3 },
    ])
  })

  test('embeds: P text PAD in both stacks, each row behind the prompt of its task; a filler row is whole', async () => {
    const batch = await new Assembler(model, 3).assemble(shape, queries, [0.5, 0.25], 'embeds')
    const { encoder } = batch
    if (encoder?.kind !== 'embeds') throw new Error('not embeds')
    const padded = (rows: readonly number[], length: number) => [...rows, ...new Array<number>(length * H - rows.length).fill(0)]
    const encoderRows = [
      [...first.encoder, ...model.embed([5, 6, 7], 'encoder')],
      [...second.encoder, ...model.embed([9], 'encoder')],
    ].map((row) => padded(row, 6))
    const decoderRows = [
      [...first.decoder, ...model.embed([0, 8], 'decoder')],
      [...second.decoder, ...model.embed([0, 4, 3], 'decoder')],
    ].map((row) => padded(row, 8))
    const thrice = <T>([a, b]: readonly T[]) => [a, b, a]
    expect([...encoder.inputs_embeds]).toEqual(thrice(encoderRows).flat())
    expect([...batch.inputs_embeds]).toEqual(thrice(decoderRows).flat())
    expect([...encoder.attention_mask]).toEqual(thrice([[1, 1, 1, 1, 1, 0], [1, 1, 1, 0, 0, 0]]).flat()) // prettier-ignore
    expect([...batch.label_positions]).toEqual([1, 2, 0, 1, 2, 3, 1, 2, 0])
    expect([...batch.label_ids]).toEqual([8, 1, 0, 4, 3, 1, 8, 1, 0])
    expect([...batch.label_weights]).toEqual([0.5, 0.5, 0, 0.25, 0.25, 0.25, 0, 0, 0])
  })

  test('states: what the encoder says to each row; loss and scores do not tell the two apart', async () => {
    const assembler = new Assembler(model, 3)
    const lengths = { decoder: 1, encoder: 0 }
    const kept = await assembler.assemble(shape, queries, [0.5, 0.25], 'states')
    if (kept.encoder?.kind !== 'states') throw new Error('not states')
    const [one, two] = await Promise.all(
      queries.map(({ prompt, encoder }) => alone({ prompt: prompt.encoder, ids: encoder ?? [] })),
    )
    expect([...kept.encoder.hidden_states.subarray(0, 5 * H)]).toEqual([...(one ?? [])])
    expect([...kept.encoder.hidden_states.subarray(6 * H, 9 * H)]).toEqual([...(two ?? [])])
    expect([...kept.encoder.attention_mask.subarray(6, 12)]).toEqual([1, 1, 1, 0, 0, 0])
    const fromStates = await model.lossAndGradient(kept, lengths)
    const scores = await model.score(kept)
    const embeds = await new Assembler(model, 3).assemble(shape, queries, [0.5, 0.25], 'embeds')
    const fromEmbeds = await model.lossAndGradient(embeds, lengths)
    expect(fromStates.loss).toBeCloseTo(fromEmbeds.loss, 6)
    fromStates.d_inputs_embeds.forEach((x, i) => expect(x).toBeCloseTo(fromEmbeds.d_inputs_embeds[i] ?? NaN, 6))
    const other = await model.score(embeds)
    scores.log_probabilities.forEach((x, i) => expect(x).toBeCloseTo(other.log_probabilities[i] ?? NaN, 5))
  })

  test('a row that does not fit is refused', async () => {
    const assembler = new Assembler(model, 2)
    for (const how of ['embeds', 'states'] as const) {
      const narrow = { ...shape, encoder_length: 4 }
      await expect(assembler.assemble(narrow, queries, [1, 1], how)).rejects.toThrow(/a row of 5 positions in a batch of 4/)
      const short = { ...shape, sequence_length: 3 }
      await expect(assembler.assemble(short, queries, [1, 1], how)).rejects.toThrow(/a row of 4 positions in a batch of 3/)
    }
    await expect(assembler.assemble(shape, [], [], 'embeds')).rejects.toThrow(/no rows/)
  })
})
