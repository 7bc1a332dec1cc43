/**
 * Generating in Node, by transformers.js on onnxruntime's wasm build, against greedy decoding by hand: the files as they are, run without a
 * cache on all tokens anew for each one. Prompts are made of the model's own embeddings, so that by hand they are plain ids.
 */
import '../../test/support/transformers'
import { readFileSync } from 'node:fs'
import { env, PretrainedConfig, PreTrainedTokenizer } from '@huggingface/transformers'
import * as ort from 'onnxruntime-web'
import { afterAll, describe, expect, test } from 'vitest'
import { CountingSource } from '../../test/support/sliced-source'
import { findEmbeddings, readEmbeddingRows } from '../graph/embedding'
import { asSource } from '../graph/source'
import { readModel } from '../graph/read'
import { MemoryStore } from '../library/store'
import { ModelCache } from './cache'
import { Generator, type GenerationPrompt, type GenerationResult } from './generate'
import { GENERATION_DEFAULTS, type GenerationParameters } from './generation/parameters'
import type { LoadedModel } from './load'
import type { PartRole } from './locate'
import { sha256 } from './sha256'
import { ShardedFiles } from './shards'
import { adaptTokenizer } from './tokenizer'

const VOCAB = 160
const EOS = 1
const START = 0

const cache = new ModelCache({
  files: new ShardedFiles({ store: new MemoryStore() }),
  remote_host: env.remoteHost,
  local_path: env.localModelPath,
})
env.useCustomCache = true
env.customCache = cache
const generator = new Generator(cache, 'auto')
afterAll(() => generator.dispose())

const fixture = (name: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(readFileSync(new URL(`../../test/fixtures/onnx/${name}.onnx`, import.meta.url)))

/** Token n reads "wn"; 1 is the end. */
const tokenizer = new PreTrainedTokenizer(
  {
    added_tokens: [
      { id: EOS, content: '</s>', special: true, normalized: false, single_word: false, lstrip: false, rstrip: false },
    ],
    pre_tokenizer: { type: 'Whitespace' },
    normalizer: null,
    post_processor: null,
    decoder: null,
    model: {
      type: 'WordLevel',
      vocab: Object.fromEntries(Array.from({ length: VOCAB }, (_, i) => [i === EOS ? '</s>' : `w${i}`, i])),
      unk_token: 'w0',
    },
  },
  { eos_token: '</s>', clean_up_tokenization_spaces: false },
)

function loaded(
  config: object,
  parts: readonly { readonly role: PartRole; readonly path: string; readonly onnx: Uint8Array }[],
): LoadedModel {
  const [first] = parts
  if (!first) throw new Error('no part')
  const bytes = new TextEncoder().encode(JSON.stringify({ ...config, eos_token_id: EOS }))
  return {
    id: 'test/model',
    kind: parts.length === 2 ? 'seq2seq' : 'causal-lm',
    architecture: '',
    max_positions: null,
    config: new PretrainedConfig({ ...config, eos_token_id: EOS }),
    tokenizer: adaptTokenizer(tokenizer, []),
    pretrained_tokenizer: tokenizer,
    files: new Map([['config.json', bytes]]),
    parts: parts.map((part) => ({ ...part, onnx: asSource(part.onnx), external: new Map() })),
    onnx_path: first.path,
    onnx: asSource(first.onnx),
    external: new Map(),
    decoder_start_token_id: parts.length === 2 ? START : null,
    model_dtype: 'fp32',
    dtype_reason: '',
    model_file_name: null,
    revision: 'local',
    sha256: sha256(first.onnx),
    file_bytes: first.onnx.byteLength,
  }
}

const encoder = fixture('t5_t433_encoder')
const decoder = fixture('t5_t433_decoder_model_merged')
const HALVES = [
  { role: 'encoder', path: 'onnx/encoder_model.onnx', onnx: encoder },
  { role: 'decoder', path: 'onnx/decoder_model_merged.onnx', onnx: decoder },
] as const
const T5 = { model_type: 't5', architectures: ['T5ForConditionalGeneration'], is_encoder_decoder: true, num_heads: 4, d_kv: 8 }
const t5 = loaded({ ...T5, num_layers: 2, num_decoder_layers: 2, d_model: 32 }, HALVES)

/** Rows of a file's embedding table, as a half of a prompt. */
function rowsOf(bytes: Uint8Array, ids: readonly number[]): Float32Array {
  const [embedding] = findEmbeddings(readModel(bytes).graph)
  if (!embedding) throw new Error('no embedding')
  return readEmbeddingRows(embedding, ids)
}

const int64 = (values: readonly number[]): ort.Tensor =>
  new ort.Tensor('int64', BigInt64Array.from(values, BigInt), [1, values.length])

/** Runs a file without a cache: past inputs are empty. */
async function runner(bytes: Uint8Array): Promise<(given: Readonly<Record<string, ort.Tensor>>) => Promise<ort.Tensor>> {
  const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 3 })
  const empty = readModel(bytes).graph.inputs.flatMap(({ name, dims }): [string, ort.Tensor][] => {
    if (!name.startsWith('past_key_values')) return []
    return [
      [
        name,
        new ort.Tensor(
          'float32',
          [],
          dims.map((dim, axis) => (typeof dim === 'number' ? dim : axis === 0 ? 1 : 0)),
        ),
      ],
    ]
  })
  const feeds = { ...Object.fromEntries(empty), use_cache_branch: new ort.Tensor('bool', [false], [1]) }
  return async (given) => {
    const all: Record<string, ort.Tensor> = { ...feeds, ...given }
    const results = await session.run(
      Object.fromEntries(session.inputNames.flatMap((name) => (all[name] ? [[name, all[name]]] : []))),
    )
    const output = results[session.outputNames[0] ?? '']
    if (!output) throw new Error('no output')
    return output
  }
}

/** The next token by the logits of a run. */
function likeliest({ data }: ort.Tensor): number {
  if (!(data instanceof Float32Array)) throw new Error('no floats')
  return data.subarray(-VOCAB).reduce((best, value, i, last) => (value > (last[best] ?? -Infinity) ? i : best), 0)
}

const runEncoder = await runner(encoder)
const runDecoder = await runner(decoder)

/** The tokens after `begin`, each asked of the whole sequence, up to the end token. */
async function byHand(source: readonly number[], begin: readonly number[], count: number): Promise<number[]> {
  const mask = int64(source.map(() => 1))
  const encoder_hidden_states = await runEncoder({ input_ids: int64(source), attention_mask: mask })
  const said: number[] = []
  while (said.length < count && said.at(-1) !== EOS) {
    const input_ids = int64([...begin, ...said])
    said.push(likeliest(await runDecoder({ input_ids, encoder_hidden_states, encoder_attention_mask: mask })))
  }
  return said
}

const words = (ids: readonly number[]): string =>
  ids
    .filter((id) => id !== EOS)
    .map((id) => `w${id}`)
    .join(' ')

interface Asked extends GenerationResult {
  readonly pieces: readonly string[]
}

async function ask(
  model: LoadedModel,
  prompt: GenerationPrompt | null,
  source_ids: readonly number[],
  more: Partial<GenerationParameters> = {},
  room: number | null = null,
  stop?: (piece: string) => boolean,
): Promise<Asked> {
  const pieces: string[] = []
  const abort = new AbortController()
  const parameters = { ...GENERATION_DEFAULTS, max_new_tokens: 6, ...more }
  const onText = (piece: string): void => {
    pieces.push(piece)
    if (stop?.(piece)) abort.abort()
  }
  const result = await generator.generate({ model, prompt, source_ids, parameters, room }, onText, abort.signal)
  expect(pieces.join('')).toBe(result.text)
  return { ...result, pieces }
}

const SOURCE = [37, 35, 128, 93]
const IN_ENCODER = [5, 17, 64]
const IN_DECODER = [44, 8, 150]

const prompt = (id: string, halves: { encoder?: readonly number[]; decoder?: readonly number[] }): GenerationPrompt => ({
  id,
  encoder: halves.encoder ? rowsOf(encoder, halves.encoder) : null,
  decoder: halves.decoder ? rowsOf(decoder, halves.decoder) : null,
  num_virtual_tokens: 3,
  hidden_size: 32,
})

describe('an encoder-decoder', () => {
  test.each([
    ['no prompt', null, [], []],
    ['a prompt in the encoder', prompt('e', { encoder: IN_ENCODER }), IN_ENCODER, []],
    ['a prompt in the decoder', prompt('d', { decoder: IN_DECODER }), [], IN_DECODER],
    ['a prompt in both', prompt('b', { encoder: IN_ENCODER, decoder: IN_DECODER }), IN_ENCODER, IN_DECODER],
  ])('%s says what it says by hand', async (_, one, inEncoder, inDecoder) => {
    const expected = await byHand([...inEncoder, ...SOURCE], [...inDecoder, START], 6)
    const result = await ask(t5, one, SOURCE)
    expect(result.text).toBe(words(expected))
    expect(result).toMatchObject({ tokens: expected.length, input_tokens: SOURCE.length, seed: 73 })
  })

  test('the placements differ, and without its prompt the baked model is the plain one', async () => {
    const placements = await Promise.all([
      byHand(SOURCE, [START], 6),
      byHand([...IN_ENCODER, ...SOURCE], [START], 6),
      byHand(SOURCE, [...IN_DECODER, START], 6),
      byHand([...IN_ENCODER, ...SOURCE], [...IN_DECODER, START], 6),
    ])
    expect(new Set(placements.map(words)).size).toBe(4)
    await ask(t5, prompt('b', { encoder: IN_ENCODER, decoder: IN_DECODER }), SOURCE)
    expect((await ask(t5, null, SOURCE)).text).toBe(words(placements[0] ?? []))
  })

  test('of a class that leaves the beginning of its decoder out, and forces the first token', async () => {
    const settings = { d_model: 32, encoder_layers: 2, decoder_layers: 2, encoder_attention_heads: 4, decoder_attention_heads: 4 }
    const kind = { model_type: 'bart', architectures: ['BartForConditionalGeneration'], is_encoder_decoder: true }
    const bart = loaded({ ...kind, ...settings }, HALVES)
    const one = prompt('bart', { decoder: IN_DECODER })
    expect((await ask(bart, one, SOURCE)).text).toBe(words(await byHand(SOURCE, [...IN_DECODER, START], 6)))

    const forcing = loaded(
      { ...kind, ...settings, forced_bos_token_id: 99, forced_eos_token_id: EOS, min_length: 5, num_beams: 4 },
      HALVES,
    )
    const rest = await byHand(SOURCE, [...IN_DECODER, START, 99], 5)
    const forced = await ask(forcing, one, SOURCE)
    expect(forced.text).toBe(words([99, ...rest]))
    // The model's own wish to end a cut answer is not an end.
    expect(forced.finish_reason).toBe(rest.includes(EOS) ? 'EOS_TOKEN' : 'MAX_TOKENS')
    expect((await ask(forcing, null, SOURCE)).text).toBe(words([99, ...(await byHand(SOURCE, [START, 99], 5))]))
  })
})

describe('a causal model', () => {
  const file = fixture('gpt2_t433_past')
  const gpt2 = loaded(
    { model_type: 'gpt2', architectures: ['GPT2LMHeadModel'], n_layer: 2, n_head: 4, n_embd: 32, vocab_size: VOCAB },
    [{ role: 'model', path: 'onnx/model.onnx', onnx: file }],
  )
  const own: GenerationPrompt = {
    id: 'g',
    encoder: null,
    decoder: rowsOf(file, IN_DECODER),
    num_virtual_tokens: 3,
    hidden_size: 32,
  }

  test('goes on after the prompt; one made for an encoder is refused', async () => {
    const run = await runner(file)
    const said: number[] = []
    while (said.length < 6 && said.at(-1) !== EOS) {
      const ids = [...IN_DECODER, ...SOURCE, ...said]
      const given = { input_ids: int64(ids), attention_mask: int64(ids.map(() => 1)), position_ids: int64([...ids.keys()]) }
      said.push(likeliest(await run(given)))
    }
    expect((await ask(gpt2, own, SOURCE)).text).toBe(words(said))
    await expect(ask(gpt2, { ...own, id: 'x', encoder: own.decoder }, SOURCE)).rejects.toThrow('has none')
  })

  test('reads its weights from where they lie, once, and again after a rest; it does not rest while it is needed', async () => {
    const onnx = new CountingSource(file)
    const sliced: LoadedModel = { ...gpt2, parts: gpt2.parts.map((part) => ({ ...part, onnx })) }
    const plain = await ask(gpt2, own, SOURCE)
    const first = await ask(sliced, own, SOURCE)
    expect(first.text).toBe(plain.text)
    expect(onnx.largest_read).toBeLessThan(file.length / 2)
    const once = onnx.read_bytes
    await ask(sliced, own, SOURCE)
    expect(onnx.read_bytes).toBe(once)
    const running = ask(sliced, own, SOURCE)
    await generator.rest()
    await running
    await ask(sliced, own, SOURCE)
    expect(onnx.read_bytes).toBe(once)
    await generator.rest()
    expect((await ask(sliced, own, SOURCE)).text).toBe(plain.text)
    expect(onnx.read_bytes).toBe(2 * once)
  })

  test('can keep its input; an encoder-decoder has none to keep', async () => {
    const plain = await ask(gpt2, own, SOURCE)
    expect((await ask(gpt2, own, SOURCE, { preserve_input_text: true })).text).toBe(`${words(SOURCE)} ${plain.text}`)
    const apart = await ask(t5, null, SOURCE)
    expect((await ask(t5, null, SOURCE, { preserve_input_text: true })).text).toBe(apart.text)
  })
})

describe('the end of an answer', () => {
  test('by number of tokens: asked for, or left', async () => {
    const asked = await ask(t5, null, SOURCE, { max_new_tokens: 3 })
    expect(asked).toMatchObject({ tokens: 3, finish_reason: 'MAX_TOKENS' })
    expect(await ask(t5, null, SOURCE, {}, 3)).toMatchObject({ text: asked.text, finish_reason: 'TOKEN_LIMIT' })
    expect(await ask(t5, null, SOURCE, { max_new_tokens: 3 }, 3)).toMatchObject({ finish_reason: 'MAX_TOKENS' })
  })

  test('by a stop sequence, in the middle of a word', async () => {
    const { text } = await ask(t5, null, SOURCE)
    const [first = '', second = ''] = text.split(' ')
    const sequence = ` ${second.slice(0, 2)}`
    const result = await ask(t5, null, SOURCE, { stop_sequences: ['none', sequence] })
    expect(result).toMatchObject({ text: first + sequence, tokens: 2, finish_reason: 'STOP_SEQUENCE' })
  })

  test('by time, and by someone who stops it', async () => {
    expect(await ask(t5, null, SOURCE, { max_time: 1e-6 })).toMatchObject({ tokens: 1, finish_reason: 'TIME_LIMIT' })
    const stopped = await ask(t5, null, SOURCE, { max_new_tokens: 500 }, null, () => true)
    expect(stopped.finish_reason).toBe('CANCELLED')
    expect(stopped.tokens).toBeLessThan(500)
  })

  test('by its end token, which a penalty brings nearer and min_new_tokens puts off', async () => {
    const soon = { exponential_decay_length_penalty: { start_index: 1, decay_factor: 10 } }
    const ended = await ask(t5, null, SOURCE, { max_new_tokens: 12, ...soon })
    expect(ended.finish_reason).toBe('EOS_TOKEN')
    expect(ended.tokens).toBeLessThan(12)
    expect(ended.text).not.toContain('</s>')
    const later = await ask(t5, null, SOURCE, { max_new_tokens: 12, min_new_tokens: 10, ...soon })
    expect(later).toMatchObject({ tokens: 11, finish_reason: 'EOS_TOKEN' })
  })
})

describe('sampling', () => {
  const sampled = { decoding_method: 'SAMPLING', temperature: 5, top_k: 0, top_p: 1, max_new_tokens: 8 } as const

  test('goes by the seed', async () => {
    const [first, again, other] = [
      await ask(t5, null, SOURCE, sampled),
      await ask(t5, null, SOURCE, sampled),
      await ask(t5, null, SOURCE, { ...sampled, seed: 5 }),
    ]
    expect(again.text).toBe(first.text)
    expect(other.text).not.toBe(first.text)
    expect(other.seed).toBe(5)
  })

  test('narrowed to one token it is greedy decoding; greedy decoding does not look at it', async () => {
    const { text } = await ask(t5, null, SOURCE, { max_new_tokens: 8 })
    expect((await ask(t5, null, SOURCE, { ...sampled, top_k: 1 })).text).toBe(text)
    expect((await ask(t5, null, SOURCE, { ...sampled, top_p: 1e-6 })).text).toBe(text)
    expect((await ask(t5, null, SOURCE, { ...sampled, decoding_method: 'GREEDY' })).text).toBe(text)
  })
})
