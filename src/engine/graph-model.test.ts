/** The frozen model over a real encoder-decoder: states kept or made anew are one function; what does not fit is named; programs are reused. */
import { beforeAll, describe, expect, test } from 'vitest'
import { loadFixture } from '../../test/support/causal'
import { seeded } from '../../test/support/op-case'
import { loadSeq2Seq } from '../../test/support/seq2seq'
import { readEmbeddingRows } from '../graph/embedding'
import { GraphError } from '../graph/ir'
import { EngineError, type Engine } from './engine'
import type { EncoderEmbeds, EncoderStates, TokenBatch } from './frozen-model'
import { GraphModel } from './graph-model'
import { createTfjsEngine } from './tfjs/tfjs-engine'

const { cut } = loadSeq2Seq('t5 of peft')
const { cut: causalCut } = loadFixture('test/fixtures/peft/llama/onnx/model.onnx')
const [B, S, E, L] = [2, 4, 6, 3]
const H = cut.hidden_size

/** Its `load` can be wrapped. */
type Writable = { -readonly [Key in keyof Engine]: Engine[Key] }

/** An engine that counts what it loads and what is disposed of again. */
async function countingEngine(): Promise<{ engine: Writable; loaded: number; disposed: number }> {
  const inner = await createTfjsEngine({ backend: 'cpu' })
  const counted = { loaded: 0, disposed: 0 }
  const engine: Writable = {
    device: inner.device,
    description: inner.description,
    memory: { ...inner.memory, copies_weights: true },
    load: async (program) => {
      counted.loaded += 1
      const executable = await inner.load(program)
      return {
        run: (feeds) => executable.run(feeds),
        dispose: () => {
          counted.disposed += 1
          return executable.dispose()
        },
      }
    },
    counters: () => inner.counters(),
    dispose: () => inner.dispose(),
  }
  return Object.assign(counted, { engine })
}

let engine: Engine
let model: GraphModel
let causal: GraphModel
beforeAll(async () => {
  engine = await createTfjsEngine({ backend: 'cpu' })
  model = new GraphModel({ cut, engine })
  causal = new GraphModel({ cut: causalCut, engine })
})

const next = seeded(5)
const noise = (length: number) => Float32Array.from({ length }, () => next() - 0.5)
/** The last two positions of the second row are padding. */
const attention_mask = Int32Array.from({ length: B * E }, (_, i) => Number(i < 2 * E - 2))
const embeds: EncoderEmbeds = { kind: 'embeds', sequence_length: E, attention_mask, inputs_embeds: noise(B * E * H) }
const batchWith = (encoder: TokenBatch['encoder'], more: Partial<TokenBatch> = {}): TokenBatch => ({
  batch_size: B,
  sequence_length: S,
  label_length: L,
  inputs_embeds,
  attention_mask: new Int32Array(B * S).fill(1),
  label_positions: Int32Array.of(1, 2, 3, 0, 1, 0),
  label_ids: Int32Array.of(4, 9, 1, 7, 1, 0),
  label_weights: Float32Array.of(0.2, 0.2, 0.2, 0.2, 0.2, 0),
  encoder,
  ...more,
})
const inputs_embeds = noise(B * S * H)
const statesOf = async (): Promise<EncoderStates> => {
  const hidden_states = await model.encode(embeds, B)
  return { kind: 'states', sequence_length: E, attention_mask, hidden_states }
}
const odd: EncoderStates = { kind: 'states', sequence_length: E, attention_mask, hidden_states: noise(13) }
/** float32 sums in another order. */
const near = (a: Float32Array, b: Float32Array): void => {
  expect(a).toHaveLength(b.length)
  a.forEach((value, i) => expect(Math.abs(value - (b[i] ?? NaN))).toBeLessThan(1e-6))
}

describe('an encoder-decoder', () => {
  test('what is known of it comes from its files', () => {
    expect(model).toMatchObject({ kind: 'seq2seq', device: 'cpu', hidden_size: 16, vocab_size: 64, max_positions: null })
    expect(new GraphModel({ cut, engine, max_positions: 99 }).max_positions).toBe(99)
    const ids = [3, 0, 63]
    expect(model.embed(ids, 'encoder')).toEqual(readEmbeddingRows(cut.encoder.embedding, ids))
    expect(model.embed(ids, 'decoder')).toEqual(readEmbeddingRows(cut.decoder.embedding, ids))
    const table = readEmbeddingRows(cut.encoder.embedding, [...Array(64).keys()])
    const mean = table.reduce((sum, x) => sum + x, 0) / table.length
    const std = Math.sqrt(table.reduce((sum, x) => sum + (x - mean) ** 2, 0) / table.length)
    expect(model.embedding_std).toBeCloseTo(std, 6)
  })

  test('loss and gradient of the decoder are the same from embeddings and from states', async () => {
    const states = await statesOf()
    expect(states.hidden_states).toHaveLength(B * E * H)
    const whole = await model.lossAndGradient(batchWith(embeds), { decoder: 2, encoder: 0 })
    const kept = await model.lossAndGradient(batchWith(states), { decoder: 2, encoder: 0 })
    expect(kept.loss).toBeCloseTo(whole.loss, 6)
    expect(whole.d_inputs_embeds).toHaveLength(B * 2 * H)
    expect(whole.d_inputs_embeds.some((x) => Math.abs(x) > 1e-3)).toBe(true)
    near(kept.d_inputs_embeds, whole.d_inputs_embeds)
    for (const { d_encoder_inputs_embeds } of [whole, kept]) expect(d_encoder_inputs_embeds).toHaveLength(0)
  })

  test('both gradients at once are each by itself', async () => {
    const both = await model.lossAndGradient(batchWith(embeds), { decoder: 2, encoder: 3 })
    const decoder = await model.lossAndGradient(batchWith(embeds), { decoder: 2, encoder: 0 })
    const encoder = await model.lossAndGradient(batchWith(embeds), { decoder: 0, encoder: 3 })
    expect([encoder.d_inputs_embeds.length, both.d_encoder_inputs_embeds.length]).toEqual([0, B * 3 * H])
    near(both.d_inputs_embeds, decoder.d_inputs_embeds)
    near(both.d_encoder_inputs_embeds, encoder.d_encoder_inputs_embeds)
    expect(encoder.d_encoder_inputs_embeds.some((x) => Math.abs(x) > 1e-3)).toBe(true)
    for (const { loss } of [decoder, encoder]) expect(loss).toBeCloseTo(both.loss, 6)
  })

  test('scores are the same from embeddings and from states, and sum to the loss', async () => {
    const whole = await model.score(batchWith(embeds))
    const kept = await model.score(batchWith(await statesOf()))
    near(kept.log_probabilities, whole.log_probabilities)
    expect(kept.greedy_ids).toEqual(whole.greedy_ids)
    const { loss } = await model.lossAndGradient(batchWith(embeds), { decoder: 1, encoder: 0 })
    const { label_weights } = batchWith(embeds)
    expect(-label_weights.reduce((sum, weight, i) => sum + weight * (whole.log_probabilities[i] ?? NaN), 0)).toBeCloseTo(loss, 5)
  })

  test('what stands over padding is not seen', async () => {
    const other = embeds.inputs_embeds.map((x, i) => (attention_mask[Math.floor(i / H)] === 0 ? 9 : x))
    const dirty = await model.score(batchWith({ ...embeds, inputs_embeds: other }))
    expect(dirty).toEqual(await model.score(batchWith(embeds)))
    const states = await statesOf()
    const hidden_states = states.hidden_states.map((x, i) => (attention_mask[Math.floor(i / H)] === 0 ? 9 : x))
    expect(await model.score(batchWith({ ...states, hidden_states }))).toEqual(await model.score(batchWith(states)))
  })
})

describe('what does not fit is named', () => {
  test.each<[string, () => Promise<unknown>, RegExp]>([
    ['an encoder on a causal model', () => causal.score(batchWith(embeds)), /a causal model has no encoder/],
    ['encoding with a causal model', () => causal.encode(embeds, B), /a causal model has no encoder/],
    ['no encoder on an encoder-decoder', () => model.score(batchWith(null)), /needs what its encoder reads/],
    [
      'labels of another number',
      () => model.score(batchWith(embeds, { label_ids: new Int32Array(5) })),
      /label_ids holds 5 values, \[2, 3\] needs 6/,
    ],
    [
      'embeddings of no whole rows',
      () => model.score(batchWith(embeds, { inputs_embeds: noise(B * S * H + 1) })),
      /^inputs_embeds holds 129 values, not rows of \[2, 4\]/,
    ],
    [
      "an encoder's embeddings of no whole rows",
      () => model.score(batchWith({ ...embeds, inputs_embeds: noise(B * E * H - 1) })),
      /encoder_inputs_embeds holds 191 values, not rows of \[2, 6\]/,
    ],
    // Before and after a program is known that says how wide they are.
    ['states of no whole width', () => new GraphModel({ cut, engine }).score(batchWith(odd)), /encoder states of no whole width/],
    [
      'states of no whole rows',
      async () => {
        await model.score(batchWith(await statesOf()))
        return model.score(batchWith(odd))
      },
      /encoder_hidden_states holds 13 values, not rows of \[2, 6\]/,
    ],
  ])('%s', async (_, ask, message) => {
    await expect(ask()).rejects.toThrow(EngineError)
    await expect(ask()).rejects.toThrow(message)
  })

  test.each<[string, () => Promise<unknown>, RegExp]>([
    [
      'a mask of another length',
      () => model.score(batchWith({ ...embeds, attention_mask: new Int32Array(5).fill(1) })),
      /an attention mask of 5 entries, \[2, 6\] was expected/,
    ],
    [
      'a mask of other numbers',
      () => model.score(batchWith({ ...embeds, attention_mask: new Int32Array(B * E).fill(2) })),
      /entry 0 of the attention mask is 2/,
    ],
    [
      "the gradient of an encoder that isn't run",
      async () => model.lossAndGradient(batchWith(await statesOf()), { decoder: 1, encoder: 2 }),
      /gradient_length of encoder_inputs_embeds is 2; it has to be 1 to 0/,
    ],
  ])('%s', async (_, ask, message) => {
    await expect(ask()).rejects.toThrow(GraphError)
    await expect(ask()).rejects.toThrow(message)
  })
})

describe('programs', () => {
  test('one a kind of work and shape; the least recently used go when the budget is spent', async () => {
    const states = await statesOf()
    const counted = await countingEngine()
    const own = new GraphModel({ cut, engine: counted.engine })
    for (let round = 0; round < 3; round++) {
      await own.encode(embeds, B)
      await own.score(batchWith(embeds))
      await own.score(batchWith(states))
      await own.lossAndGradient(batchWith(states), { decoder: 2, encoder: 0 })
      await own.lossAndGradient(batchWith(embeds), { decoder: 2, encoder: 1 })
    }
    expect([counted.loaded, counted.disposed]).toEqual([5, 0])
    await own.dispose()
    expect(counted.disposed).toBe(5)

    const tight = new GraphModel({ cut, engine: counted.engine, program_budget_bytes: 1 })
    const before = counted.loaded
    for (let round = 0; round < 2; round++) {
      await tight.score(batchWith(states))
      await tight.score(batchWith(states))
      await tight.encode(embeds, B)
    }
    expect(counted.loaded - before).toBe(4)
    await tight.dispose()
    expect(counted.disposed).toBe(counted.loaded)
    await counted.engine.dispose()
  })

  test('of large weights no two copies are held; where programs share them nothing is dropped', async () => {
    const counted = await countingEngine()
    const batch = batchWith(embeds)
    const use = async (own: GraphModel) => {
      await own.lossAndGradient(batch, { decoder: 2, encoder: 0 })
      await own.score(batch)
      await own.dispose()
    }
    const large = new GraphModel({ cut, engine: counted.engine, program_budget_bytes: 100_000 })
    expect(large.single_shape).toBe(true)
    let held = 0
    const { load } = counted.engine
    counted.engine.load = async (program) => {
      held = Math.max(held, counted.loaded + 1 - counted.disposed)
      return load(program)
    }
    await use(large)
    expect(held).toBe(1)
    held = 0
    await use(new GraphModel({ cut, engine: counted.engine }))
    expect(held).toBe(2)
    held = 0
    const shared = { ...counted.engine, memory: { ...counted.engine.memory, copies_weights: false } }
    const sharing = new GraphModel({ cut, engine: shared, program_budget_bytes: 100_000 })
    expect(sharing.single_shape).toBe(false)
    await use(sharing)
    expect(held).toBe(2)
    await counted.engine.dispose()
  })

  test('a small activation budget computes layers again, to the same numbers', async () => {
    const whole = await model.lossAndGradient(batchWith(embeds), { decoder: 2, encoder: 3 })
    const tight = new GraphModel({ cut, engine, activation_budget_bytes: 1 })
    expect(await tight.lossAndGradient(batchWith(embeds), { decoder: 2, encoder: 3 })).toEqual(whole)
    await tight.dispose()
  })

  test('memory is estimated without loading anything', async () => {
    const counted = await countingEngine()
    const own = new GraphModel({ cut, engine: counted.engine })
    const encoder = { sequence_length: E, width: null }
    const shape = {
      batch_size: B,
      sequence_length: S,
      label_length: L,
      score_label_length: L,
      encoder,
      lengths: { decoder: 2, encoder: 1 },
    }
    expect(own.memory(shape)).toMatchObject({ verdict: 'fits', device: 'cpu', batch_size: B, positions: E })
    expect(own.memory({ ...shape })).toBe(own.memory(shape))
    expect(counted.loaded).toBe(0)
    await counted.engine.dispose()
  })
})
