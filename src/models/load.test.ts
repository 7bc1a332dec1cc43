/** Loading through transformers.js, in Node, with a server made of functions and the embedded model's real files. */
import { readFile } from 'node:fs/promises'
import { env } from '@huggingface/transformers'
import { beforeEach, describe, expect, test } from 'vitest'
import type { ByteSource } from '../graph/source'
import { MemoryStore } from '../library/store'
import { ModelCache } from './cache'
import { ModelLoader, type LoadProgress } from './load'
import { ModelError } from './model-error'
import { sha256 } from './sha256'
import { ShardedFiles } from './shards'

const FOLDER = new URL('../../public/models/promptlathe/tiny-causal/', import.meta.url)
const read = async (path: string): Promise<Uint8Array<ArrayBuffer>> => new Uint8Array(await readFile(new URL(path, FOLDER)))

const all = (source: ByteSource): Uint8Array => source.read(0, source.size)

/** Answers by URL; what is not here is 404. */
let server: Map<string, () => Response | Promise<Response>>
let requests: string[]
let cache: ModelCache
let loader: ModelLoader

const fetchFile = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
  const url = input instanceof Request ? input.url : String(input)
  requests.push(`${init?.method ?? 'GET'} ${url}`)
  const answer = server.get(url)
  if (!answer) return new Response('Entry not found', { status: 404 })
  const response = await answer()
  if (new Headers(init?.headers).has('range')) {
    const length = (await response.arrayBuffer()).byteLength
    return new Response('x', { status: 206, headers: { 'content-range': `bytes 0-0/${length}` } })
  }
  return response
}

const hub = (path: string, id = 'org/model'): string => `https://huggingface.co/${id}/resolve/main/${path}`

async function serve(place: (path: string) => string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, from] of Object.entries(files)) {
    const bytes = await read(from)
    const headers = { 'content-length': String(bytes.length), 'x-repo-commit': 'c0ffee' }
    server.set(place(path), () => new Response(bytes, { headers }))
  }
}

const SMALL = {
  'config.json': 'config.json',
  'tokenizer.json': 'tokenizer.json',
  'tokenizer_config.json': 'tokenizer_config.json',
}

function fresh(store = new MemoryStore()): void {
  env.localModelPath = '/models/'
  cache = new ModelCache({
    files: new ShardedFiles({ store, shard_bytes: 2 ** 20 }),
    remote_host: env.remoteHost,
    local_path: '/models/',
  })
  loader = new ModelLoader(cache, fetchFile, () => Promise.resolve())
}

beforeEach(() => {
  server = new Map()
  requests = []
  fresh()
})

const online = { model_dtype: 'auto', allow_downloads: true }
const offline = { model_dtype: 'auto', allow_downloads: false }

async function failure(promise: Promise<unknown>): Promise<ModelError> {
  const error: unknown = await promise.then(
    () => null,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(ModelError)
  return error instanceof ModelError ? error : new ModelError('invalid', '', '')
}

describe('a model of the hub', () => {
  test('is downloaded once, with progress, and then found without the network', async () => {
    await serve(hub, { ...SMALL, 'onnx/model.onnx': 'onnx/model.onnx', 'onnx/model_quantized.onnx': 'onnx/model_quantized.onnx' })
    const progress: LoadProgress[] = []
    const model = await loader.load('org/model', { ...online, onProgress: (one) => progress.push(one) })
    const bytes = await read('onnx/model.onnx')
    expect(model).toMatchObject({
      kind: 'causal-lm',
      architecture: 'LlamaForCausalLM',
      model_dtype: 'fp32',
      revision: 'c0ffee',
      onnx_path: 'onnx/model.onnx',
      sha256: sha256(bytes),
      file_bytes: bytes.length,
    })
    expect(sha256(all(model.onnx))).toBe(sha256(bytes))
    const ids = model.tokenizer.encode('hello world', { add_special_tokens: false })
    expect(model.tokenizer.decode(ids, { skip_special_tokens: true })).toBe('hello world')
    const download = progress.filter((one) => one.file === 'onnx/model.onnx' && one.stage === 'download')
    expect(download.at(-1)).toMatchObject({ loaded: bytes.length, total: bytes.length })
    expect(requests.filter((request) => request === `GET ${hub('onnx/model.onnx')}`).length).toBeLessThanOrEqual(2)

    requests = []
    const again = await loader.load('org/model', offline)
    expect(again.sha256).toBe(model.sha256)
    expect(requests).toEqual([])
    expect(await cache.models()).toMatchObject([{ id: 'org/model' }])
  })

  test('in the dtype asked for; a missing one names those there are', async () => {
    await serve((path) => hub(path, 'org/q'), { ...SMALL, 'onnx/model_quantized.onnx': 'onnx/model_quantized.onnx' })
    expect((await loader.load('org/q', { ...online, model_dtype: 'q8' })).model_dtype).toBe('q8')
    expect((await loader.load('org/q', online)).dtype_reason).toContain('q8 (4 MB)')
    const error = await failure(loader.load('org/q', { ...online, model_dtype: 'q4' }))
    expect(error).toMatchObject({ code: 'not_found', message: 'org/q has no q4 file' })
    expect(error.hint).toContain('q8')
  })

  test('with only a merged decoder, as transformers.js 2 left them', async () => {
    const files = { ...SMALL, 'onnx/decoder_model_merged_quantized.onnx': 'onnx/model_quantized.onnx' }
    await serve((path) => hub(path, 'org/merged'), files)
    const model = await loader.load('org/merged', online)
    expect(model).toMatchObject({
      model_file_name: 'decoder_model_merged',
      onnx_path: 'onnx/decoder_model_merged_quantized.onnx',
    })
  })

  test('that may not be downloaded: nothing leaves, and the reason is said', async () => {
    const error = await failure(loader.load('org/model2', offline))
    expect(error).toMatchObject({ code: 'not_found' })
    expect(error.message).toContain('downloads are off')
    expect(requests).toEqual([])
  })

  test.each([
    ['missing', 404, {}, 'not_found', /was not found/],
    ['private', 401, {}, 'not_found', /does not show it/],
    ['gated', 403, { 'x-error-code': 'GatedRepo' }, 'not_found', /gated/],
    ['busy', 429, {}, 'network', /too many requests/],
    ['broken', 503, {}, 'network', /HTTP 503/],
    ['a page', 200, { 'content-type': 'text/html; charset=utf-8' }, 'not_found', /web page/],
  ])('%s', async (name, status, headers, code, message) => {
    const id = `org/${name.replace(' ', '-')}`
    server.set(hub('config.json', id), () => new Response('<html>', { status, headers }))
    const error = await failure(loader.load(id, online))
    expect(error.code).toBe(code)
    expect(error.message).toMatch(message)
    expect(error.hint).not.toBe('')
  })

  test('without a network', async () => {
    server.set(hub('config.json', 'org/away'), () => Promise.reject(new TypeError('fetch failed')))
    expect((await failure(loader.load('org/away', online))).code).toBe('network')
  })

  test('cut short on the way: said, not kept, and whole the next time', async () => {
    const place = (path: string): string => hub(path, 'org/short')
    await serve(place, { ...SMALL, 'onnx/model.onnx': 'onnx/model.onnx' })
    const whole = server.get(place('onnx/model.onnx'))
    const bytes = await read('onnx/model.onnx')
    server.set(
      place('onnx/model.onnx'),
      () => new Response(bytes.slice(0, 3e6), { headers: { 'content-length': String(bytes.length) } }),
    )
    const error = await failure(loader.load('org/short', { ...online, model_dtype: 'fp32' }))
    expect(error).toMatchObject({ code: 'network' })
    expect(error.message).toContain('broke off')
    if (whole) server.set(place('onnx/model.onnx'), whole)
    expect((await loader.load('org/short', { ...online, model_dtype: 'fp32' })).onnx.size).toBe(bytes.length)
  })

  test('stopped by the user: the reason comes back, nothing half is kept', async () => {
    const store = new MemoryStore()
    fresh(store)
    const place = (path: string): string => hub(path, 'org/stopped')
    await serve(place, { ...SMALL, 'onnx/model.onnx': 'onnx/model.onnx' })
    const abort = new AbortController()
    const onProgress = (one: LoadProgress): void => {
      if (one.file === 'onnx/model.onnx' && one.stage === 'download') abort.abort(new Error('enough'))
    }
    await expect(
      loader.load('org/stopped', { ...online, model_dtype: 'fp32', onProgress, signal: abort.signal }),
    ).rejects.toThrow('enough')
    expect((await store.keys()).filter((key) => key.includes('.onnx'))).toEqual([])
    const manifests = (await store.keys()).filter((key) => key.startsWith('manifest:')).length
    expect((await store.keys()).filter((key) => key.startsWith('shard:'))).toHaveLength(manifests)
  })
})

describe('an encoder-decoder', () => {
  const FIXTURES = '../../../../test/fixtures'
  const ENCODER = `${FIXTURES}/onnx/t5_t433_encoder.onnx`
  const DECODER = `${FIXTURES}/onnx/t5_t433_decoder_model_merged.onnx`
  const FILES = { ...SMALL, 'config.json': `${FIXTURES}/peft/t5/config.json` }

  test('is two files of one dtype, with one hash over both', async () => {
    const place = (path: string): string => hub(path, 'org/t5')
    await serve(place, { ...FILES, 'onnx/encoder_model.onnx': ENCODER, 'onnx/decoder_model_merged.onnx': DECODER })
    // A quantised half alone is no model.
    await serve(place, { 'onnx/encoder_model_quantized.onnx': ENCODER })
    const model = await loader.load('org/t5', online)
    const [encoder, decoder] = [await read(ENCODER), await read(DECODER)]
    expect(model).toMatchObject({
      kind: 'seq2seq',
      architecture: 'T5ForConditionalGeneration',
      max_positions: null,
      decoder_start_token_id: 0,
      model_dtype: 'fp32',
      sha256: sha256(new TextEncoder().encode(sha256(encoder) + sha256(decoder))),
      file_bytes: encoder.length + decoder.length,
      onnx_path: 'onnx/encoder_model.onnx',
    })
    expect(model.parts.map(({ role, path, onnx }) => [role, path, sha256(all(onnx))])).toEqual([
      ['encoder', 'onnx/encoder_model.onnx', sha256(encoder)],
      ['decoder', 'onnx/decoder_model_merged.onnx', sha256(decoder)],
    ])
    expect((await failure(loader.load('org/t5', { ...online, model_dtype: 'q8' }))).message).toBe('org/t5 has no q8 file')
  })

  test('without its decoder, or without a token to start from', async () => {
    const place = (path: string): string => hub(path, 'org/half')
    await serve(place, { ...FILES, 'onnx/encoder_model.onnx': ENCODER })
    const error = await failure(loader.load('org/half', online))
    expect(error.hint).toContain('decoder_model_merged')
    const config = {
      model_type: 'bart',
      architectures: ['BartForConditionalGeneration'],
      is_encoder_decoder: true,
      eos_token_id: 2,
    }
    const blob = async (path: string): Promise<Blob> => new Blob([await read(path)])
    const files = new Map([
      ['config.json', new Blob([JSON.stringify({ ...config, max_position_embeddings: 1024 })])],
      ['tokenizer.json', await blob('tokenizer.json')],
      ['tokenizer_config.json', new Blob(['{"tokenizer_class":"PreTrainedTokenizerFast"}'])],
      ['onnx/encoder_model.onnx', await blob(ENCODER)],
      ['onnx/decoder_model_merged.onnx', await blob(DECODER)],
      ['onnx/decoder_model_merged.onnx_data', new Blob([Uint8Array.of(1, 2, 3)])],
    ])
    cache.setVirtual('local/bart', files)
    expect((await failure(loader.load('local/bart', offline))).message).toContain('decoder_start_token_id')
    files.set('generation_config.json', new Blob(['{"decoder_start_token_id":2}']))
    const model = await loader.load('local/bart', offline)
    expect(model).toMatchObject({ max_positions: 1024, decoder_start_token_id: 2 })
    expect(model.parts.map((part) => [...part.external.keys()])).toEqual([[], ['decoder_model_merged.onnx_data']])
  })
})

describe('other models', () => {
  test('an embedded one comes from our own origin, and is not stored again', async () => {
    const place = (path: string): string => `/models/promptlathe/tiny-causal/${path}`
    await serve(place, { ...SMALL, 'onnx/model.onnx': 'onnx/model.onnx', 'generation_config.json': 'generation_config.json' })
    const model = await loader.load('promptlathe/tiny-causal', online)
    expect(model).toMatchObject({ revision: 'embedded', model_dtype: 'fp32' })
    expect([...model.files.keys()]).toEqual(['config.json', 'generation_config.json', 'tokenizer.json', 'tokenizer_config.json'])
    expect(requests.every((request) => request.includes(' /models/promptlathe/tiny-causal/'))).toBe(true)
    expect(await cache.models()).toEqual([])
  })

  test('dropped files are a model of their own, external data included', async () => {
    const blob = async (path: string): Promise<Blob> => new Blob([await read(path)])
    cache.setVirtual(
      'local/mine',
      new Map([
        ['config.json', await blob('config.json')],
        ['tokenizer.json', await blob('tokenizer.json')],
        ['tokenizer_config.json', await blob('tokenizer_config.json')],
        ['onnx/model.onnx', await blob('onnx/model.onnx')],
        ['onnx/model.onnx.data', new Blob([Uint8Array.of(1, 2, 3)])],
        ['onnx/model_q4.onnx_data', new Blob([Uint8Array.of(4)])],
      ]),
    )
    const model = await loader.load('local/mine', offline)
    expect(model.revision).toBe('local')
    expect([...model.external].map(([name, data]) => [name, all(data)])).toEqual([['model.onnx.data', Uint8Array.of(1, 2, 3)]])
    expect(requests).toEqual([])
  })

  test('a folder without its tokenizer, a wrong kind, a wrong id', async () => {
    const config = (json: object): ReadonlyMap<string, Blob> => new Map([['config.json', new Blob([JSON.stringify(json)])]])
    cache.setVirtual('local/bare', config({ model_type: 'llama', architectures: ['LlamaForCausalLM'] }))
    expect((await failure(loader.load('local/bare', offline))).message).toContain('tokenizer')
    cache.setVirtual(
      'local/t5',
      config({ model_type: 't5', architectures: ['T5ForConditionalGeneration'], is_encoder_decoder: true }),
    )
    expect((await failure(loader.load('local/t5', offline))).message).toContain('tokenizer')
    for (const [model_type, architecture] of [
      ['whisper', 'WhisperForConditionalGeneration'],
      ['vision-encoder-decoder', 'VisionEncoderDecoderModel'],
      ['bart', 'BartForSequenceClassification'],
    ]) {
      cache.setVirtual(
        'local/other',
        config({ model_type, architectures: [architecture], is_encoder_decoder: true, decoder: { model_type: 'gpt2' } }),
      )
      const error = await failure(loader.load('local/other', offline))
      expect(error).toMatchObject({ code: 'unsupported' })
      expect(error.message).toContain(architecture)
    }
    cache.setVirtual('local/bert', config({ model_type: 'bert', architectures: ['BertForSequenceClassification'] }))
    expect((await failure(loader.load('local/bert', offline))).message).toContain('not a language model')
    for (const id of ['', '../../etc', 'https://x.org/a', 'a/b/c', 'a--b']) {
      expect((await failure(loader.load(id, online))).code).toBe('invalid')
    }
  })
})
