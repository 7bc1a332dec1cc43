import { Tokenizer } from '@huggingface/tokenizers'
import { unzipSync } from 'fflate'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { bakeModelFolder, type BakedPrompt } from '../../src/formats/baked'
import { bakeTokenizer, bakeTokenizerConfig } from '../../src/formats/baked-tokenizer'
import { zipFiles } from '../../src/formats/zip'
import { findEmbeddings, readEmbeddingRows } from '../../src/graph/embedding'
import { readModel } from '../../src/graph/read'
import { concatBytes } from '../../src/graph/write'
import { AutoTokenizer, continueText, env } from '../support/transformers'

const BASE = 'public/models/promptlathe/tiny-causal'
const json = (bytes: Uint8Array | undefined): unknown => JSON.parse(new TextDecoder().decode(bytes))
const bytesOf = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))
const folder = mkdtempSync(join(tmpdir(), 'baked-'))
afterAll(() => rmSync(folder, { recursive: true }))

const PATHS = ['config.json', 'generation_config.json', 'tokenizer.json', 'tokenizer_config.json']
const baseFiles = (graph: string) =>
  new Map([...PATHS, graph].map((path) => [path, new Uint8Array(readFileSync(join(BASE, path)))]))

/** A prompt that says the given text: its tokens' own embedding rows. */
function promptSaying(ids: readonly number[], graph: Uint8Array): BakedPrompt {
  const [embedding] = findEmbeddings(readModel(graph).graph)
  if (!embedding) throw new Error('no embedding')
  return {
    encoder_rows: null,
    decoder_rows: readEmbeddingRows(embedding, ids),
    num_virtual_tokens: ids.length,
    hidden_size: embedding.hidden_size,
    name: 'A test',
    base_model: 'promptlathe/tiny-causal',
    verbalizer: 'Say {{input}}:\nnow',
  }
}

function fresh(files: ReadonlyMap<string, Uint8Array>, graph: string, ids: readonly number[]) {
  const baked = bakeModelFolder(files, promptSaying(ids, files.get(graph) ?? new Uint8Array(0)))
  return { ...baked, unzipped: unzipSync(concatBytes(zipFiles(baked.files))) }
}

describe('bakeModelFolder', () => {
  it.each([
    ['fp32', 'onnx/model.onnx'],
    ['q8', 'onnx/model_quantized.onnx'],
  ] as const)('%s: unzipped, plain transformers.js runs it with the prompt in front of every text', async (dtype, graph) => {
    env.localModelPath = `${process.cwd()}/public/models/`
    const base = await AutoTokenizer.from_pretrained('promptlathe/tiny-causal')
    const [prefix, text] = ['The history of', ' the city is']
    const prefixIds = base.encode(prefix, { add_special_tokens: false })
    expect([...prefixIds, ...base.encode(text)]).toEqual(base.encode(prefix + text))
    const expected = await continueText('promptlathe/tiny-causal', prefix + text, dtype, 12)
    const unprompted = await continueText('promptlathe/tiny-causal', text, dtype, 12)
    expect(unprompted).not.toBe(expected)

    const { unzipped, first_token_id } = fresh(baseFiles(graph), graph, prefixIds)
    for (const [path, bytes] of Object.entries(unzipped)) {
      const target = join(folder, dtype, path)
      mkdirSync(dirname(target), { recursive: true })
      writeFileSync(target, bytes)
    }
    env.localModelPath = `${folder}/`
    const soft = prefixIds.map((_, index) => first_token_id + index)
    const tokenizer = await AutoTokenizer.from_pretrained(dtype)
    expect(tokenizer.encode(text)).toEqual([...soft, ...base.encode(text)])
    expect(tokenizer.encode(`a<|sp_1|>b`, { add_special_tokens: false })).toContain(first_token_id + 1)
    expect(tokenizer.decode(tokenizer.encode(text), { skip_special_tokens: true })).toBe(text)
    expect(await continueText(dtype, text, dtype, 12)).toBe(expected)
  })

  it('leaves other files alone and writes a README that says how', () => {
    const files = baseFiles('onnx/model_quantized.onnx')
    files.set('onnx/model.onnx_data', Uint8Array.of(1, 2, 3))
    const { unzipped, first_token_id } = fresh(files, 'onnx/model_quantized.onnx', [5, 6])
    for (const path of ['config.json', 'generation_config.json', 'onnx/model.onnx_data'])
      expect(unzipped[path]).toEqual(files.get(path))
    expect(json(unzipped['tokenizer_config.json'])).toMatchObject({ add_bos_token: true, model_max_length: 512 })
    const readme = new TextDecoder().decode(unzipped['README.md'])
    expect(readme).toContain(`token ids ${first_token_id} to ${first_token_id + 1}`)
    expect(readme).toContain(`dtype: 'q8'`)
    expect(readme).toContain('    Say {{input}}:\n    now')
    expect(readme).toContain('"Say your input:\\nnow"')
  })

  it('names what is missing or does not fit', () => {
    const graph = 'onnx/model_quantized.onnx'
    const files = baseFiles(graph)
    const prompt = promptSaying([1], files.get(graph) ?? new Uint8Array(0))
    const without = (path: string) => new Map([...files].filter(([key]) => key !== path))
    expect(() => bakeModelFolder(without('tokenizer.json'), prompt)).toThrow('tokenizer.json is missing')
    expect(() => bakeModelFolder(without(graph), prompt)).toThrow('no ONNX graph of a decoder among config.json')
    const narrow = { ...prompt, hidden_size: 4, decoder_rows: new Float32Array(4) }
    expect(() => bakeModelFolder(files, narrow)).toThrow(`${graph}: the prompt is 4 wide`)
    const forEncoder = { ...prompt, encoder_rows: prompt.decoder_rows, decoder_rows: null }
    expect(() => bakeModelFolder(files, forEncoder)).toThrow('no ONNX graph of an encoder among config.json')
    expect(() => bakeModelFolder(files, { ...prompt, decoder_rows: null })).toThrow('no rows for any part')
    const named = { encoders: [], decoders: ['onnx/gone.onnx'] }
    expect(() => bakeModelFolder(files, prompt, named)).toThrow('onnx/gone.onnx is missing')
    const damaged = new Map([...files, ['tokenizer.json', new TextEncoder().encode('<html>')] as const])
    expect(() => bakeModelFolder(damaged, prompt)).toThrow('tokenizer.json is not JSON')
  })
})

describe('bakeTokenizer', () => {
  const wordLevel = {
    added_tokens: [{ id: 2, content: '<s>', special: true, normalized: false, single_word: false, lstrip: false, rstrip: false }],
    pre_tokenizer: { type: 'Whitespace' },
    decoder: null,
    normalizer: null,
    model: { type: 'WordLevel', vocab: { hello: 0, world: 1, '<s>': 2 }, unk_token: '<s>' },
  }
  const piece = (id: string) => ({ SpecialToken: { id, type_id: 0 } })
  const A = { Sequence: { id: 'A', type_id: 0 } }
  const template = { type: 'TemplateProcessing', single: [piece('<s>'), A], pair: [piece('<s>'), A], special_tokens: {} }
  const byteLevel = { type: 'ByteLevel', add_prefix_space: true, trim_offsets: false, use_regex: true }
  const encode = (tokenizer: object, first: number) => {
    const baked = json(bakeTokenizer(bytesOf(tokenizer), 2, first))
    if (typeof baked !== 'object' || baked === null) throw new Error('no tokenizer')
    return new Tokenizer(baked, {}).encode('hello world').ids
  }

  it('puts the virtual tokens before whatever else is added', () => {
    expect(encode(wordLevel, 3)).toEqual([3, 4, 0, 1])
    expect(encode({ ...wordLevel, post_processor: template }, 3)).toEqual([3, 4, 2, 0, 1])
    expect(encode({ ...wordLevel, post_processor: byteLevel }, 3)).toEqual([3, 4, 0, 1])
    const chain = { type: 'Sequence', processors: [byteLevel, template] }
    expect(encode({ ...wordLevel, post_processor: chain }, 3)).toEqual([3, 4, 2, 0, 1])
  })

  it('names the ids a padded table leaves between', () => {
    expect(encode(wordLevel, 6)).toEqual([6, 7, 0, 1])
    const baked = json(bakeTokenizer(bytesOf(wordLevel), 1, 5))
    expect(baked).toMatchObject({ added_tokens: [2, 3, 4, 5].map((id) => ({ id })) })
  })

  it('only names them for a prompt that no text gets', () => {
    const baked = json(bakeTokenizer(bytesOf({ ...wordLevel, post_processor: template }), 2, 3, false))
    expect(baked).toMatchObject({ post_processor: template, added_tokens: [{ id: 2 }, { id: 3, special: true }, { id: 4 }] })
    const config = { chat_template: '{{ messages }}', added_tokens_decoder: {} }
    expect(json(bakeTokenizerConfig(bytesOf(config), 1, 9, false))).toEqual({
      chat_template: '{{ messages }}',
      added_tokens_decoder: { 9: expect.objectContaining({ content: '<|sp_0|>' }) as unknown },
    })
  })

  it('refuses ids and names that are taken', () => {
    expect(() => bakeTokenizer(bytesOf(wordLevel), 1, 2)).toThrow('"<s>" has id 2, but the embedding table ends at 1')
    expect(() => bakeTokenizer(bakeTokenizer(bytesOf(wordLevel), 1, 3), 1, 3)).toThrow('"<|sp_0|>" is taken')
    expect(() => bakeTokenizer(bytesOf({}), 1, 3)).toThrow('tokenizer.json, model')
    const named = (vocab: object) => bytesOf({ model: { type: 'WordLevel', vocab } })
    expect(() => bakeTokenizer(named({ a: '1' }), 1, 3)).toThrow('"a" has id "1"')
    const unigram = {
      model: {
        type: 'Unigram',
        vocab: [
          ['a', 0],
          ['b', -1],
        ],
      },
    }
    expect(() => bakeTokenizer(bytesOf(unigram), 1, 1)).toThrow('"b" has id 1')
  })

  it('keeps every word, those that JavaScript objects have too', () => {
    const vocab = '{"constructor":0,"prototype":1,"__proto__":2,"toString":3}'
    const bytes = new TextEncoder().encode(`{"model":{"type":"WordLevel","vocab":${vocab}}}`)
    const baked = new TextDecoder().decode(bakeTokenizer(bytes, 1, 4)).replace(/\s/g, '')
    expect(baked).toContain(vocab)
  })

  it('begins chat templates with the virtual tokens', () => {
    const config = { chat_template: '{{ messages }}', added_tokens_decoder: { 0: { content: 'x' } } }
    expect(json(bakeTokenizerConfig(bytesOf(config), 2, 9))).toMatchObject({
      chat_template: '<|sp_0|><|sp_1|>{{ messages }}',
      added_tokens_decoder: { 0: { content: 'x' }, 9: { content: '<|sp_0|>' }, 10: { content: '<|sp_1|>' } },
    })
    const named = { chat_template: [{ name: 'default', template: 'x' }] }
    expect(json(bakeTokenizerConfig(bytesOf(named), 1, 9))).toMatchObject({ chat_template: [{ template: '<|sp_0|>x' }] })
  })
})
