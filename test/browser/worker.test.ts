/**
 * The real tuning worker in Chromium, through the protocol, on the embedded model: tune, try, export, reload, find it again; and not one
 * request to anybody else.
 */
import { readFileSync } from 'node:fs'
import type { Browser, Page } from 'playwright-core'
import * as v from 'valibot'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { GENERATION_DEFAULTS } from '../../src/models/generation/parameters'
import { parseResult } from '../../src/protocol'
import type { CommandName, Commands, Failure, GenerationParameters, Progress, Results } from '../../src/protocol'
import { launchChromium, servePage, withPage, type ServedPage } from './run-page'
import type {} from './worker-page'

const MODEL = 'promptlathe/tiny-causal'
const FILES = [
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'onnx/model.onnx',
  'onnx/model_quantized.onnx',
]
const SampleSchema = v.object({
  job: v.object({ verbalizer: v.optional(v.string()) }),
  examples: v.array(v.object({ input: v.string(), output: v.string() })),
})

let browser: Browser
let served: ServedPage
beforeAll(async () => {
  const files = FILES.map((path) => `models/${MODEL}/${path}`)
  const more = new Map(files.map((path) => [`/${path}`, new Uint8Array(readFileSync(`public/${path}`))]))
  browser = await launchChromium()
  served = await servePage(new URL('worker-page.ts', import.meta.url).pathname, more)
})
afterAll(async () => {
  await browser.close()
  await served.close()
})

interface Answer<Name extends CommandName> {
  readonly result: Results[Name] | null
  readonly failure: Failure | null
  readonly progress: readonly Progress[]
}

async function ask<Name extends CommandName>(page: Page, type: Name, payload: Commands[Name]): Promise<Answer<Name>> {
  // As text: Playwright's types for arguments give up on a generic one.
  const asked = await page.evaluate(async (json) => {
    const command = JSON.parse(json) as { type: CommandName; payload: Commands[CommandName] }
    return window.ask(command.type, command.payload)
  }, JSON.stringify({ type, payload }))
  return { ...asked, result: asked.failure ? null : parseResult(type, asked.result) }
}

async function result<Name extends CommandName>(page: Page, type: Name, payload: Commands[Name]): Promise<Results[Name]> {
  const asked = await ask(page, type, payload)
  if (asked.result === null && asked.failure) throw new Error(JSON.stringify(asked.failure))
  return asked.result as Results[Name]
}

const sample = v.parse(SampleSchema, JSON.parse(readFileSync('public/samples/opinions.json', 'utf8')))
const examples = sample.examples.slice(0, 60)
const job = {
  base_model: MODEL,
  allow_downloads: false,
  device: 'wasm',
  batch_size: 4,
  tuning_config: { num_virtual_tokens: 8 },
  ...sample.job,
  num_epochs: 10,
}
const greedy: GenerationParameters = { ...GENERATION_DEFAULTS, max_new_tokens: 12, seed: 1 }

test('tune, try, export, reload, find again', { timeout: 240_000 }, async () => {
  await withPage(browser, served, async (page) => {
    const foreign: string[] = []
    page.on('request', (request) => {
      const { protocol, origin } = new URL(request.url())
      if (protocol !== 'blob:' && protocol !== 'data:' && origin !== new URL(served.url).origin) foreign.push(request.url())
    })
    await page.reload()

    const model = await result(page, 'open_model', {
      base_model: MODEL,
      model_dtype: 'auto',
      device: 'wasm',
      allow_downloads: false,
    })
    expect(model).toMatchObject({ model_dtype: 'fp32', device: 'wasm', hidden_size: 192 })
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(true)
    expect(model.device_reason).toMatch(/threads?/)

    const tuned = await ask(page, 'tune', { job, name: 'opinions', train: examples, validation: null })
    expect(tuned.failure).toBeNull()
    const { prompt, report } = tuned.result ?? { prompt: null, report: null }
    expect(report?.finished).toBe('completed')
    expect(report?.epochs.at(-1)?.validation_loss ?? Infinity).toBeLessThan(report?.baseline?.metrics.loss ?? 0)
    expect(tuned.progress.filter((one) => one.type === 'step')).toHaveLength(report?.steps.length ?? -1)

    const input = report?.tuned?.predictions[0]?.input ?? ''
    const generate = { task: null, base_model: MODEL, input, verbalizer: job.verbalizer ?? null, parameters: greedy }
    // At the same time, as the page asks.
    const [base, own] = await Promise.all([
      ask(page, 'generate', { ...generate, prompt: null }),
      ask(page, 'generate', { ...generate, prompt: prompt?.id ?? '' }),
    ])
    expect([base.failure, own.failure]).toEqual([null, null])
    expect(own.result?.text).not.toBe(base.result?.text)
    const predicted = report?.tuned?.predictions[0]?.predicted ?? ''
    // The evaluation decodes greedily through our engine; generate() is transformers.js on the baked file.
    expect(own.result?.text.trim()).toBe(predicted.trim())
    for (const answer of [base, own]) {
      const streamed = answer.progress.map((one) => (one.type === 'token' ? one.text : '')).join('')
      expect(streamed).toBe(answer.result?.text)
      expect(streamed).not.toMatch(/<\|/)
    }

    const exported = (format: 'peft' | 'baked') =>
      page.evaluate((payload) => window.exportedFiles(payload), { prompt: prompt?.id ?? '', format, task: null })
    const adapter = await exported('peft')
    expect(adapter.map((file) => file.path)).toEqual(['adapter_config.json', 'adapter_model.safetensors'])
    const baked = await exported('baked')
    expect(baked.find((file) => file.path === 'onnx/model.onnx')?.bytes).toBeGreaterThan(model.file_bytes)

    await page.reload()
    const listed = await result(page, 'list_prompts', {})
    expect(listed).toEqual([prompt])
    const again = await ask(page, 'generate', { ...generate, prompt: prompt?.id ?? '' })
    expect(again.result?.text).toBe(own.result?.text)
    expect(await page.evaluate(() => window.notices)).toEqual([])
    expect(foreign).toEqual([])
  })
})

test('a run belongs to its tab: others can neither list, discard nor start one meanwhile', async () => {
  await withPage(browser, served, async (page) => {
    const running = ask(page, 'tune', { job: { ...job, num_epochs: 1000 }, name: 'here', train: examples, validation: null })
    await page.waitForFunction(() => window.latest('step') !== null)
    const other = await page.context().newPage()
    await other.goto(served.url)
    expect(await result(other, 'interrupted_runs', {})).toEqual([])
    const started = await page.evaluate(() => window.latest('tune_started'))
    const run = started?.type === 'tune_started' ? started.run : ''
    expect((await ask(other, 'discard_run', { run })).failure?.code).toBe('busy')
    expect((await ask(other, 'tune', { job, name: 'there', train: examples, validation: null })).failure?.code).toBe('busy')
    await result(page, 'cancel', {})
    expect((await running).result?.report.finished).toBe('cancelled')
    expect(await result(other, 'interrupted_runs', {})).toEqual([])
  })
})

test('sampling is seeded; generating stops when asked, also while training', { timeout: 240_000 }, async () => {
  await withPage(browser, served, async (page) => {
    const sampled = { decoding_method: 'SAMPLING' as const, temperature: 1.2, top_k: 40, top_p: 0.9 }
    const long: GenerationParameters = { ...greedy, ...sampled, max_new_tokens: 200 }
    const generate = { prompt: null, task: null, base_model: MODEL, input: 'the film', verbalizer: null, parameters: long }
    const [first, same, other] = [
      await result(page, 'generate', generate),
      await result(page, 'generate', generate),
      await result(page, 'generate', { ...generate, parameters: { ...long, seed: 2 } }),
    ]
    expect(same.text).toBe(first.text)
    expect(other.text).not.toBe(first.text)

    const endless = { ...generate, parameters: { ...greedy, max_new_tokens: 100 } }
    const asked = await page.evaluate((payload) => window.askAndStop(payload, 3), endless)
    const stopped = parseResult('generate', asked.result)
    expect(stopped.finish_reason).toBe('CANCELLED')
    expect(stopped.tokens).toBeLessThan(60)

    const tuning = ask(page, 'tune', {
      job: { ...job, num_epochs: 2, validation: 0 },
      name: 'busy',
      train: examples,
      validation: null,
    })
    const during = await ask(page, 'generate', { ...generate, parameters: greedy })
    expect(during.failure).toBeNull()
    expect((await tuning).failure).toBeNull()
  })
})

test(
  'a model of the hub: downloaded through transformers.js into IndexedDB, there after a reload without the network',
  { timeout: 240_000 },
  async () => {
    await withPage(browser, served, async (page) => {
      const asked: string[] = []
      // The hub, played here: its addresses, its headers, the embedded model's files.
      await page.context().route('https://huggingface.co/**', (route) => {
        const path = new URL(route.request().url()).pathname
        asked.push(path)
        const headers = {
          'access-control-allow-origin': '*',
          'access-control-expose-headers': 'x-repo-commit',
          'x-repo-commit': 'b'.repeat(40),
        }
        const file = FILES.find((one) => path === `/org/small/resolve/main/${one}`)
        if (!file) return route.fulfill({ status: 404, headers, body: 'Entry not found' })
        return route.fulfill({ headers, body: readFileSync(`public/models/${MODEL}/${file}`) })
      })
      const open = { base_model: 'org/small', model_dtype: 'q8', device: 'wasm', allow_downloads: true }
      const first = await ask(page, 'open_model', open)
      expect(first.failure).toBeNull()
      expect(first.result).toMatchObject({ id: 'org/small', revision: 'b'.repeat(40), model_dtype: 'q8' })
      const downloads = first.progress.filter((one) => one.type === 'model_progress' && one.stage === 'download')
      expect(downloads.some((one) => one.type === 'model_progress' && one.file === 'onnx/model_quantized.onnx')).toBe(true)
      expect(asked).toContain('/org/small/resolve/main/onnx/model_quantized.onnx')
      expect((await result(page, 'storage', {})).models).toMatchObject([{ id: 'org/small' }])
      // Shards lie on the disk, and are read from there by slices.
      expect(new Set(await page.evaluate(shardKinds))).toEqual(new Set(['Blob']))

      await page.reload()
      asked.length = 0
      const again = await result(page, 'open_model', { ...open, allow_downloads: false })
      expect(again).toMatchObject({ file_sha256: first.result?.file_sha256, revision: first.result?.revision })
      expect(asked).toEqual([])
      await result(page, 'remove_model', { base_model: 'org/small' })
      expect((await result(page, 'storage', {})).models).toEqual([])
      expect((await ask(page, 'open_model', { ...open, allow_downloads: false })).failure).toMatchObject({ code: 'not_found' })
    })
  },
)

/** What the shards of stored files are. */
async function shardKinds(): Promise<string[]> {
  const done = <T>(request: IDBRequest<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result)
      request.onerror = () => reject(request.error ?? new Error('failed'))
    })
  const database = await done(indexedDB.open('promptlathe-models'))
  const store = database.transaction('kv').objectStore('kv')
  const kinds: string[] = []
  for (const key of await done(store.getAllKeys())) {
    if (typeof key !== 'string' || !key.startsWith('shard:')) continue
    const shard: unknown = await done(store.get(key))
    kinds.push(shard instanceof Blob ? 'Blob' : typeof shard)
  }
  database.close()
  return kinds
}

test(
  'the GPU process dies while training: the run goes on from its checkpoint on a new device',
  { timeout: 240_000 },
  async () => {
    await withPage(browser, served, async (page) => {
      const small = { ...job, device: 'webgpu', num_epochs: 2, validation: 0 }
      const tuning = ask(page, 'tune', { job: small, name: 'gpu', train: examples.slice(0, 16), validation: null })
      const cdp = await browser.newBrowserCDPSession()
      await page.waitForFunction(() => window.latest('step') !== null, null, { timeout: 200_000 })
      await cdp.send('Browser.crashGpuProcess').catch(() => undefined)
      const tuned = await tuning
      expect(tuned.failure).toBeNull()
      expect(tuned.result?.report).toMatchObject({ device: 'webgpu', finished: 'completed' })
      expect(tuned.result?.report.steps.map((one) => one.step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
      expect(await page.evaluate(() => window.notices)).toEqual([expect.stringContaining('device was lost')])
    })
  },
)
