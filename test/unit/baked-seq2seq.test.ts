import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import * as ort from 'onnxruntime-web'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bakeModelFolder, type BakedPrompt } from '../../src/formats/baked'
import { cutSeq2Seq, ENCODER_STATES, type CutGraph } from '../../src/graph/cut'
import { findEmbeddings, readEmbeddingRows } from '../../src/graph/embedding'
import { readModel } from '../../src/graph/read'
import { concatBytes, writeModel } from '../../src/graph/write'
import { runOnnx, type RunResult } from '../support/onnxruntime'
import { openAnswerer, AutoModelForSeq2SeqLM, AutoTokenizer, env, Tensor } from '../support/transformers'

const ENCODER = 'onnx/encoder_model.onnx'
const DECODER = 'onnx/decoder_model_merged.onnx'
const WIDTH = 32
const VOCAB = 160
const START = 0
const onnx = (name: string) => new Uint8Array(readFileSync(`test/fixtures/onnx/t5_t433_${name}.onnx`))
const bytesOf = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))

/** T5's way with special tokens: </s> at the end, by a template. */
const TOKENIZER = {
  version: '1.0',
  truncation: null,
  padding: null,
  added_tokens: [
    { id: 0, content: '<pad>', special: true, normalized: false, single_word: false, lstrip: false, rstrip: false },
    { id: 1, content: '</s>', special: true, normalized: false, single_word: false, lstrip: false, rstrip: false },
  ],
  normalizer: null,
  pre_tokenizer: { type: 'WhitespaceSplit' },
  post_processor: {
    type: 'TemplateProcessing',
    single: [{ Sequence: { id: 'A', type_id: 0 } }, { SpecialToken: { id: '</s>', type_id: 0 } }],
    pair: [],
    special_tokens: { '</s>': { id: '</s>', ids: [1], tokens: ['</s>'] } },
  },
  decoder: null,
  model: {
    type: 'WordLevel',
    unk_token: '<pad>',
    vocab: Object.fromEntries(Array.from({ length: VOCAB }, (_, id) => [id === 0 ? '<pad>' : id === 1 ? '</s>' : `w${id}`, id])),
  },
}
const CONFIG = {
  architectures: ['T5ForConditionalGeneration'],
  model_type: 't5',
  is_encoder_decoder: true,
  d_model: WIDTH,
  d_kv: 8,
  num_heads: 4,
  num_layers: 2,
  num_decoder_layers: 2,
  decoder_start_token_id: START,
  eos_token_id: 1,
  pad_token_id: 0,
  vocab_size: VOCAB,
}
const baseFiles = (config: object = CONFIG) =>
  new Map<string, Uint8Array>([
    ['config.json', bytesOf(config)],
    ['generation_config.json', bytesOf({ decoder_start_token_id: START, eos_token_id: 1, pad_token_id: 0 })],
    ['tokenizer.json', bytesOf(TOKENIZER)],
    [
      'tokenizer_config.json',
      bytesOf({ tokenizer_class: 'T5Tokenizer', eos_token: '</s>', pad_token: '<pad>', model_max_length: 64 }),
    ],
    [ENCODER, onnx('encoder')],
    [DECODER, onnx('decoder_model_merged')],
  ])

const tableRows = (graph: Uint8Array, ids: readonly number[]) => {
  const [embedding] = findEmbeddings(readModel(graph).graph)
  if (!embedding) throw new Error('no embedding')
  return readEmbeddingRows(embedding, ids)
}
const prompt = (encoder_rows: Float32Array | null, decoder_rows: Float32Array | null): BakedPrompt => ({
  name: 'A test',
  base_model: 'org/t5',
  verbalizer: null,
  num_virtual_tokens: (encoder_rows ?? decoder_rows ?? new Float32Array(0)).length / WIDTH,
  hidden_size: WIDTH,
  encoder_rows,
  decoder_rows,
})
/** Numbers no table has, as large as a tuned prompt's. */
const tuned = (seed: number) => Float32Array.from({ length: 3 * WIDTH }, (_, i) => Math.sin(seed + i * 0.7) * 1.5)
const bake = (made: BakedPrompt, files = baseFiles()) => {
  const { files: chunked, first_token_id } = bakeModelFolder(files, made)
  return { first_token_id, files: new Map(chunked.map(({ path, chunks }) => [path, concatBytes([...chunks])])) }
}
const fileOf = (files: ReadonlyMap<string, Uint8Array>, path: string) => files.get(path) ?? new Uint8Array(0)
const worst = (a: Float32Array, b: Float32Array) =>
  a.length === b.length ? a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] ?? NaN))), 0) : Infinity

const int64 = (values: readonly number[]) => new ort.Tensor('int64', BigInt64Array.from(values, BigInt), [1, values.length])

/** A cut graph run by onnxruntime on embeddings given as they are: what a soft prompt means. */
async function runCut(
  cut: CutGraph,
  embeddings: Float32Array,
  given: Readonly<Record<string, ort.Tensor>>,
): Promise<Float32Array> {
  const length = embeddings.length / WIDTH
  const inputs = cut.graph.inputs.filter(({ name }) => name !== cut.inputs_embeds)
  const embeds = { name: cut.inputs_embeds, dtype: 'float32' as const, dims: ['b', 's', WIDTH] }
  const output = { name: cut.output, dtype: 'float32' as const, dims: ['b', 's', 'o'] }
  const graph = { ...cut.graph, inputs: [...inputs, embeds], outputs: [output] }
  const bytes = concatBytes(writeModel({ ir_version: 8, producer_name: 'test', opsets: cut.opsets, graph }))
  const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 3 })
  const feeds: Record<string, ort.Tensor> = { [cut.inputs_embeds]: new ort.Tensor('float32', embeddings, [1, length, WIDTH]) }
  for (const { name, dims, dtype } of inputs) {
    const tensor = given[name]
    if (tensor) feeds[name] = tensor
    else if (name === 'input_ids') feeds[name] = int64(Array.from({ length }, () => 0))
    else
      feeds[name] = new ort.Tensor(
        dtype === 'float32' ? 'float32' : 'int64',
        dtype === 'float32' ? new Float32Array(0) : new BigInt64Array(0),
        dims.map((dim, axis) => (typeof dim === 'number' ? dim : axis === 0 ? 1 : 0)),
      )
  }
  const result = (await session.run(feeds, [cut.output]))[cut.output]
  await session.release()
  const data: unknown = result?.data
  if (!(data instanceof Float32Array)) throw new Error('no floats')
  return data
}

describe('the graphs of an encoder-decoder, a prompt in both parts', () => {
  const [E, D] = [tuned(1), tuned(2)]
  const [text, target] = [
    [9, 4, 31, 1],
    [START, 7, 22],
  ]
  const cut = cutSeq2Seq(readModel(onnx('encoder')), readModel(onnx('decoder_model_merged')))
  const { files, first_token_id } = bake(prompt(E, D))
  const soft = [0, 1, 2].map((i) => first_token_id + i)
  const one = (results: ReadonlyMap<string, RunResult>, name: string) =>
    results.get(name) ?? { data: new Float32Array(0), dims: [] }
  const runEncoder = async (file: Uint8Array, ids: readonly number[]) =>
    one(await runOnnx(file, ids, ['last_hidden_state']), 'last_hidden_state')
  const runDecoder = async (file: Uint8Array, ids: readonly number[], states: RunResult) => {
    const mask = Array.from({ length: states.dims[1] ?? 0 }, () => 1)
    const given = {
      encoder_hidden_states: new ort.Tensor('float32', states.data, [...states.dims]),
      encoder_attention_mask: int64(mask),
    }
    return one(await runOnnx(file, ids, ['logits'], given), 'logits')
  }

  it('soft ids give the states and logits that the embeddings give, fed as they are', async () => {
    const states = await runEncoder(fileOf(files, ENCODER), [...soft, ...text])
    const mask = int64([...soft, ...text].map(() => 1))
    const embeds = Float32Array.of(...E, ...tableRows(onnx('encoder'), text))
    const reference = await runCut(cut.encoder, embeds, { attention_mask: mask })
    // The same kernels; new nodes may move where onnxruntime fuses.
    expect(worst(states.data, reference)).toBeLessThan(1e-5)

    const logits = await runDecoder(fileOf(files, DECODER), [...soft, ...target], states)
    const decoderEmbeds = Float32Array.of(...D, ...tableRows(onnx('decoder_model_merged'), target))
    const fed = { [ENCODER_STATES]: new ort.Tensor('float32', states.data, [...states.dims]), encoder_attention_mask: mask }
    expect(worst(logits.data, await runCut(cut.decoder, decoderEmbeds, fed))).toBeLessThan(1e-5)
    // And the prompt says something.
    const without = await runDecoder(fileOf(files, DECODER), target, states)
    expect(worst(logits.data.subarray(3 * VOCAB), without.data)).toBeGreaterThan(0.01)
  })

  it('plain ids give what they gave, bit for bit', async () => {
    const states = await runEncoder(onnx('encoder'), text)
    expect(await runEncoder(fileOf(files, ENCODER), text)).toEqual(states)
    const logits = await runDecoder(onnx('decoder_model_merged'), target, states)
    expect(await runDecoder(fileOf(files, DECODER), target, states)).toEqual(logits)
  })

  it('a prompt for one part leaves the other file alone', () => {
    const base = baseFiles()
    const encoderOnly = bake(prompt(E, null)).files
    expect(fileOf(encoderOnly, DECODER)).toEqual(fileOf(base, DECODER))
    expect(fileOf(encoderOnly, ENCODER)).toEqual(fileOf(files, ENCODER))
    const decoderOnly = bake(prompt(null, D)).files
    expect(fileOf(decoderOnly, ENCODER)).toEqual(fileOf(base, ENCODER))
    expect(fileOf(decoderOnly, DECODER)).toEqual(fileOf(files, DECODER))
  })
})

describe('plain transformers.js', () => {
  const folder = mkdtempSync(join(tmpdir(), 'baked-seq2seq-'))
  beforeAll(() => (env.localModelPath = `${folder}/`))
  afterAll(() => rmSync(folder, { recursive: true }))
  function put(name: string, files: ReadonlyMap<string, Uint8Array>) {
    for (const [path, bytes] of files) {
      mkdirSync(dirname(join(folder, name, path)), { recursive: true })
      writeFileSync(join(folder, name, path), bytes)
    }
    return name
  }
  const TEXT = 'w9 w4 w31'
  const IDS = [9, 4, 31, 1]
  const saying = [60, 61, 62]

  /** Greedy ids of the base model for encoder and decoder ids given by hand. */
  async function expected(config: object, encoder: readonly number[], decoder: readonly number[]): Promise<string> {
    const name = put('base', baseFiles(config))
    const model = await AutoModelForSeq2SeqLM.from_pretrained(name, { dtype: 'fp32', device: 'auto' })
    model.forward_params.push('decoder_input_ids')
    const tensor = (ids: readonly number[]) => new Tensor('int64', BigInt64Array.from(ids, BigInt), [1, ids.length])
    const output: unknown = await model.generate({
      input_ids: tensor(encoder),
      attention_mask: tensor(encoder.map(() => 1)),
      decoder_input_ids: tensor(decoder),
      max_new_tokens: 6,
      do_sample: false,
    })
    await model.dispose()
    if (!(output instanceof Tensor)) throw new Error('no tensor')
    const tokenizer = await AutoTokenizer.from_pretrained(name)
    return tokenizer.decode(output.tolist().flat().map(Number).slice(decoder.length), { skip_special_tokens: true })
  }

  it.each(['encoder', 'decoder', 'both'] as const)('runs a model with a prompt in %s as its README says', async (part) => {
    const rows = tableRows(onnx('encoder'), saying)
    const [inEncoder, inDecoder] = [part !== 'decoder', part !== 'encoder']
    const { files, first_token_id } = bake(prompt(inEncoder ? rows : null, inDecoder ? rows : null))
    const name = put(`baked-${part}`, files)
    const soft = saying.map((_, i) => first_token_id + i)
    const tokenizer = await AutoTokenizer.from_pretrained(name)
    expect(tokenizer.encode(TEXT)).toEqual(inEncoder ? [...soft, ...IDS] : IDS)
    expect(tokenizer.decode([...soft, 9], { skip_special_tokens: true })).toBe('w9')

    const decoder_input_ids = inDecoder ? { decoder_input_ids: [...soft, START] } : {}
    const model = await openAnswerer(name, 'fp32')
    const said = await model.answer(TEXT, 6, decoder_input_ids)
    await model.close()
    const wanted = await expected(CONFIG, inEncoder ? [...saying, ...IDS] : IDS, inDecoder ? [...saying, START] : [START])
    const unprompted = await expected(CONFIG, IDS, [START])
    expect(wanted).not.toBe(unprompted)
    expect(said).toBe(wanted)

    const readme = new TextDecoder().decode(files.get('README.md'))
    expect(readme).toContain(`pipeline('text2text-generation', 'name-of-this-folder', { dtype: 'fp32' })`)
    expect(readme.includes(`const decoder_input_ids = [...soft, ${START}]`)).toBe(inDecoder)
    expect(readme.includes('tokenizer puts them in front of every text')).toBe(inEncoder)
    expect(readme).not.toContain('forward_params')
  })

  it('drops decoder_input_ids of models that are not called t5, unless told as the README says', async () => {
    const config = { ...CONFIG, model_type: 'mt5', architectures: ['MT5ForConditionalGeneration'] }
    const { files, first_token_id } = bake(prompt(null, tableRows(onnx('encoder'), saying)), baseFiles(config))
    expect(new TextDecoder().decode(files.get('README.md'))).toContain("generate.model.forward_params.push('decoder_input_ids')")
    const model = await AutoModelForSeq2SeqLM.from_pretrained(put('baked-mt5', files), { dtype: 'fp32', device: 'auto' })
    const soft = saying.map((_, i) => first_token_id + i)
    const firstIds = async () => {
      const input_ids = new Tensor('int64', BigInt64Array.from(IDS, BigInt), [1, IDS.length])
      const attention_mask = new Tensor('int64', new BigInt64Array(IDS.length).fill(1n), [1, IDS.length])
      const output: unknown = await model.generate({
        input_ids,
        attention_mask,
        decoder_input_ids: [...soft, START],
        max_new_tokens: 1,
      })
      return output instanceof Tensor ? output.tolist().flat().map(Number).slice(0, 4) : []
    }
    expect(await firstIds()).not.toEqual([...soft, START])
    model.forward_params.push('decoder_input_ids')
    expect(await firstIds()).toEqual([...soft, START])
    await model.dispose()
  })
})
