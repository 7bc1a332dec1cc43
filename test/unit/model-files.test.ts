/** What the worker says of a model before and instead of opening it, against a hub made of functions; and what it keeps of one. */
import { readFile } from 'node:fs/promises'
import { beforeEach, describe, expect, test } from 'vitest'
import type { KeyValueStore } from '../../src/library/store'
import type { TunerClient } from '../../src/client'
import type { Failure } from '../../src/protocol'
import { storedPath } from '../../src/models/cache'
import { FileLocks } from '../../src/models/file-locks'
import { LockManagers } from '../support/lock-manager'
import { failure, ROOT, startWorker } from '../support/worker-session'

const HUB = 'https://huggingface.co'
const FILES = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'onnx/model.onnx', 'onnx/model_quantized.onnx'] as const
const bytesOf = async (path: string): Promise<Uint8Array<ArrayBuffer>> =>
  new Uint8Array(await readFile(new URL(`models/promptlathe/tiny-causal/${path}`, ROOT)))

type Answer = (init: RequestInit | undefined) => Response | Promise<Response>
let answers: Map<string, Answer>
let asked: string[]
let stores: Map<string, KeyValueStore>
let client: TunerClient

const hub: typeof fetch = async (input, init) => {
  const url = String(input instanceof Request ? input.url : input)
  asked.push(url)
  const answer = answers.get(url)
  if (!answer) return new Response('', { status: 404 })
  const response = await answer(init)
  if (!new Headers(init?.headers).has('range')) return response
  await response.body?.cancel()
  return new Response('x', {
    status: 206,
    headers: { 'content-range': `bytes 0-0/${response.headers.get('content-length') ?? 0}` },
  })
}

/** A repository with these files of the embedded model (new path -> its path), and what the API says of it besides. */
async function serve(id: string, files: Readonly<Record<string, string>>, facts: object = {}): Promise<void> {
  const siblings: { rfilename: string; size: number }[] = []
  for (const [path, from] of Object.entries(files)) {
    const bytes = await bytesOf(from)
    siblings.push({ rfilename: path, size: bytes.byteLength })
    const headers = { 'content-length': String(bytes.byteLength), 'x-repo-commit': 'c0ffee' }
    answers.set(`${HUB}/${id}/resolve/main/${path}`, () => new Response(bytes, { headers }))
  }
  answers.set(`${HUB}/api/models/${id}?blobs=true`, () => Response.json({ id, gated: false, tags: [], siblings, ...facts }))
}

const all = Object.fromEntries(FILES.map((path) => [path, path]))
const without = (...paths: string[]): Record<string, string> =>
  Object.fromEntries(Object.entries(all).filter(([path]) => !paths.includes(path)))
const look = (base_model: string, allow_downloads = true) => client.request('model_files', { base_model, allow_downloads })
const open = (base_model: string, rest: { model_dtype?: string; model_file_name?: string; allow_downloads?: boolean } = {}) =>
  client.request('open_model', { base_model, model_dtype: 'auto', device: 'cpu', allow_downloads: true, ...rest })

beforeEach(() => {
  answers = new Map()
  asked = []
  stores = new Map()
  client = startWorker(stores, hub)
})

describe('before a download', () => {
  test('files by dtype with sizes, licence and what auto takes; no weights are fetched for it', async () => {
    await serve('org/model', all, { tags: ['license:mit'] })
    const files = await look('org/model')
    const size = async (path: string): Promise<number> => (await bytesOf(path)).byteLength
    expect(files).toMatchObject({
      id: 'org/model',
      kind: 'causal-lm',
      architecture: 'LlamaForCausalLM',
      licence: 'mit',
      auto: 'fp32',
    })
    expect(files.choices).toEqual([
      { model_dtype: 'fp32', files: [{ path: 'onnx/model.onnx', bytes: await size('onnx/model.onnx'), stored: false }] },
      {
        model_dtype: 'q8',
        files: [{ path: 'onnx/model_quantized.onnx', bytes: await size('onnx/model_quantized.onnx'), stored: false }],
      },
    ])
    expect(files.small.map(({ path }) => path)).toEqual(['config.json', 'tokenizer.json', 'tokenizer_config.json'])
    expect(asked.filter((url) => url.includes('/onnx/'))).toEqual([])
  })

  test('what is here already is marked, and found again with downloads off', async () => {
    await serve('org/model', all)
    await open('org/model', { model_dtype: 'q8' })
    const stored = (await look('org/model')).choices.map(({ model_dtype, files }) => [model_dtype, files[0]?.stored])
    expect(stored).toEqual([
      ['fp32', false],
      ['q8', true],
    ])
    asked = []
    expect((await look('org/model', false)).choices.map(({ model_dtype }) => model_dtype)).toEqual(['q8'])
    expect(asked).toEqual([])
  })

  test('a renamed one says its new name', async () => {
    await serve('old/name', all, { id: 'new/name' })
    expect((await look('old/name')).id).toBe('new/name')
  })

  test('a file of an unusual name, when it is given', async () => {
    await serve('org/named', {
      ...without('onnx/model.onnx', 'onnx/model_quantized.onnx'),
      'onnx/my_quantized.onnx': 'onnx/model_quantized.onnx',
    })
    expect((await failure(look('org/named'))).message).toContain('has no ONNX model file')
    const files = await client.request('model_files', { base_model: 'org/named', model_file_name: 'my', allow_downloads: true })
    expect(files.choices.map(({ model_dtype, files: [file] }) => [model_dtype, file?.path])).toEqual([
      ['q8', 'onnx/my_quantized.onnx'],
    ])
    expect(await open('org/named', { model_file_name: 'my' })).toMatchObject({ id: 'org/named', model_dtype: 'q8' })
  })
})

describe('a repository that is no such model: both looking and opening say which, and why', () => {
  const PYTORCH = { ...without('onnx/model.onnx', 'onnx/model_quantized.onnx'), 'model.safetensors': 'config.json' }
  test.each([
    [
      'only PyTorch weights',
      PYTORCH,
      {},
      /^org\/m has no ONNX files in onnx\/ on the hub, only PyTorch weights$/,
      /convert-to-onnx/,
    ],
    ['no tokenizer', without('tokenizer.json'), {}, /^org\/m has no tokenizer\.json on the hub$/, /tokenizer/],
    ['no config.json', without('config.json'), {}, /^org\/m has no config\.json on the hub$/, /Pick another/],
    ['gated', without('config.json'), { gated: 'manual' }, /^org\/m: this model is gated/, /accept .* drop the folder/],
  ])('%s', async (_, files, facts, message, hint) => {
    await serve('org/m', files, facts)
    for (const failed of [await failure(look('org/m')), await failure(open('org/m'))]) {
      expect(failed.code).toBe('not_found')
      expect(failed.message).toMatch(message)
      expect(failed.hint).toMatch(hint)
    }
  })

  test.each([
    ['no such model', 401, { 'x-error-code': 'RepoNotFound' }, 'not_found', /^org\/m was not found on the hub \(HTTP 401\)/],
    ['not shown', 403, {}, 'not_found', /^org\/m.*does not show it/],
    ['busy', 429, {}, 'network', /^org\/m.*too many requests/],
    ['broken', 502, {}, 'network', /^org\/m.*HTTP 502/],
  ])('%s', async (_, status, headers, code, message) => {
    const refuse = (): Response => new Response('', { status, headers })
    answers.set(`${HUB}/api/models/org/m?blobs=true`, refuse)
    answers.set(`${HUB}/org/m/resolve/main/config.json`, refuse)
    for (const failed of [await failure(look('org/m')), await failure(open('org/m'))]) {
      expect(failed.code).toBe(code)
      expect(failed.message).toMatch(message)
      expect(failed.hint).not.toBe('')
    }
  })

  test('offline, and with downloads off: nothing is asked in the second case', async () => {
    answers.set(`${HUB}/api/models/org/m?blobs=true`, () => Promise.reject(new TypeError('Failed to fetch')))
    expect(await failure(look('org/m'))).toMatchObject({ code: 'network' })
    asked = []
    expect((await failure(look('org/m', false))).message).toContain('downloads are off')
    expect((await failure(open('org/m', { allow_downloads: false }))).message).toContain('downloads are off')
    expect(asked).toEqual([])
  })
})

describe('what is kept', () => {
  test('an opening is given up also while a size is asked for', async () => {
    await serve('org/model', all)
    const hanging = new Promise<void>((began) =>
      answers.set(`${HUB}/org/model/resolve/main/onnx/model.onnx`, (init) => {
        began()
        return new Promise((_, reject) => init?.signal?.addEventListener('abort', () => reject(init.signal?.reason as Error)))
      }),
    )
    const opening = failure(open('org/model'))
    await hanging
    await client.request('cancel_opening', {})
    expect((await opening).code).toBe('cancelled')
  })

  test('a cancelled download says so, keeps what was whole, and goes on behind it', async () => {
    await serve('org/model', all)
    const url = `${HUB}/org/model/resolve/main/onnx/model.onnx`
    const whole = answers.get(url)
    // Arrives in part and then hangs, as a slow line does.
    answers.set(url, (init) => {
      const body = new ReadableStream<Uint8Array>({
        start(controller) {
          controller.enqueue(new Uint8Array(1e5).fill(8))
          init?.signal?.addEventListener('abort', () => controller.error(init.signal?.reason))
        },
      })
      return new Response(body, { headers: { 'content-length': '16000000' } })
    })
    const opening = client.request(
      'open_model',
      { base_model: 'org/model', model_dtype: 'fp32', device: 'cpu', allow_downloads: true },
      (progress) => {
        if (progress.type === 'model_progress' && progress.file === 'onnx/model.onnx') void client.request('cancel_opening', {})
      },
    )
    const failed = await failure(opening)
    expect(failed).toMatchObject({ code: 'cancelled' })
    expect(failed.hint).toContain('goes on where it stopped')
    const { models } = await client.request('storage', {})
    expect(models).toMatchObject([{ id: 'org/model', lacks: 'has no ONNX files in onnx/ in this browser', last_used: null }])
    if (whole) answers.set(url, whole)
    asked = []
    await open('org/model', { model_dtype: 'fp32' })
    expect(asked.filter((one) => one.endsWith('/tokenizer.json'))).toEqual([])
  })

  test('the storage view: files with size and dtype, when it was used, and that it is complete', async () => {
    await serve('org/model', all)
    await open('org/model', { model_dtype: 'q8' })
    const { models } = await client.request('storage', {})
    expect(models).toHaveLength(1)
    expect(models[0]).toMatchObject({ id: 'org/model', dropped: false, lacks: null, files: 4 })
    expect(models[0]?.parts.find(({ model_dtype }) => model_dtype !== null)).toMatchObject({
      path: 'onnx/model_quantized.onnx',
      model_dtype: 'q8',
    })
    expect(Date.now() - Date.parse(models[0]?.last_used ?? '')).toBeLessThan(60_000)
    await client.request('remove_model', { base_model: 'org/model' })
    expect((await client.request('storage', {})).models).toEqual([])
  })

  test(
    'a model can not be removed while a run uses it, from its opening to its end; another can',
    { timeout: 120_000 },
    async () => {
      await serve('org/model', all)
      await serve('org/other', all)
      await open('org/other', { model_dtype: 'q8' })
      const job = { base_model: 'org/model', model_dtype: 'q8', device: 'wasm', num_epochs: 500, batch_size: 1, validation: 0 }
      const examples = [{ input: 'one', output: 'two' }]
      const removing: Promise<Failure>[] = []
      const remove = (): unknown => removing.push(failure(client.request('remove_model', { base_model: 'org/model' })))
      let stepped = (): void => undefined
      const steps = new Promise<void>((resolve) => (stepped = resolve))
      const run = { job: { ...job, baselines: [] }, name: 'run', train: examples, validation: null }
      const tuning = client.request('tune', run, ({ type }) => {
        if (type === 'model_progress' && removing.length === 0) remove()
        if (type === 'step') stepped()
      })
      await steps
      remove()
      expect(removing).toHaveLength(2)
      for (const refused of await Promise.all(removing)) {
        expect(refused).toMatchObject({ code: 'busy', message: 'org/model is in use: a run is tuning on it.' })
        expect(refused.hint).toContain('cancel it')
      }
      await client.request('remove_model', { base_model: 'org/other' })
      const { models } = await client.request('storage', {})
      expect(models).toMatchObject([{ id: 'org/model', lacks: null }])
      await client.request('cancel', {})
      expect((await tuning).report.finished).toBe('cancelled')
      await client.request('remove_model', { base_model: 'org/model' })
      expect((await client.request('storage', {})).models).toEqual([])
    },
  )

  test('a file that another tab downloads: opening waits and says so, cancelling ends it, removing is refused', async () => {
    await serve('org/model', all)
    const managers = new LockManagers()
    // Two sessions in one process would share transformers.js' settings: the other tab is only its lock (test/e2e has two real ones).
    const path = 'onnx/model_quantized.onnx'
    let goOn = (): void => undefined
    const gone = new Promise<void>((resolve) => (goOn = resolve))
    const other = new FileLocks(managers.tab()).exclusively(
      storedPath({ id: 'org/model', revision: 'main', path }),
      {},
      () => gone,
    )
    client = startWorker(stores, hub, managers.tab())
    const request = { base_model: 'org/model', model_dtype: 'q8', device: 'wasm', allow_downloads: true } as const
    const waits: string[] = []
    const opening = client.request('open_model', request, (progress) => {
      if (progress.type !== 'model_progress' || progress.stage !== 'wait') return
      waits.push(progress.file)
      void client.request('cancel_opening', {})
    })
    expect((await failure(opening)).code).toBe('cancelled')
    expect(waits).toEqual([path])
    const again = client.request('open_model', request)
    await expect.poll(() => managers.waited).toHaveLength(2)
    goOn()
    await other
    expect(await again).toMatchObject({ model_dtype: 'q8' })
    const removing = new FileLocks(managers.tab()).exclusively(storedPath({ id: 'org/model', revision: 'main', path }), {}, () =>
      failure(client.request('remove_model', { base_model: 'org/model' })),
    )
    expect((await removing).message).toBe(
      `${path} of org/model is being downloaded, in another tab perhaps; its other files were removed.`,
    )
    expect((await client.request('storage', {})).models[0]?.parts.map((part) => part.path)).toEqual([path])
  })
})

describe('a folder', () => {
  const add = async (name: string, files: Readonly<Record<string, string>>) =>
    client.request('add_model_files', {
      name,
      files: await Promise.all(
        Object.entries(files).map(async ([path, from]) => ({ path, blob: new Blob([await bytesOf(from)]) })),
      ),
    })

  test('nested, with ONNX beside config.json under an unusual name: it opens', async () => {
    await add('local/odd', {
      'deep/er/config.json': 'config.json',
      'deep/er/tokenizer.json': 'tokenizer.json',
      'deep/er/tokenizer_config.json': 'tokenizer_config.json',
      'deep/er/my-gpt_quantized.onnx': 'onnx/model_quantized.onnx',
    })
    expect(await open('local/odd', { allow_downloads: false })).toMatchObject({ model_dtype: 'q8', revision: 'local' })
    expect(asked).toEqual([])
  })

  test('two names: it asks which, and model_file_name says it', async () => {
    await add('local/two', {
      ...without('onnx/model.onnx', 'onnx/model_quantized.onnx'),
      'onnx/a.onnx': 'onnx/model.onnx',
      'onnx/b_quantized.onnx': 'onnx/model_quantized.onnx',
    })
    expect((await failure(open('local/two'))).message).toBe('local/two has several models in onnx/: a, b')
    expect(await open('local/two', { model_file_name: 'b' })).toMatchObject({ model_dtype: 'q8' })
  })

  test('what it lacks is said at once, by name', async () => {
    expect((await failure(add('local/x', without('tokenizer_config.json')))).message).toBe(
      'local/x has no tokenizer_config.json in the folder',
    )
    expect((await failure(add('local/x', { 'model.onnx': 'onnx/model.onnx' }))).message).toBe(
      'local/x has model.onnx, but no config.json',
    )
  })
})
