/**
 * The tuning worker's session in Node, through the protocol: real messages over a MessageChannel, real onnxruntime (wasm), the embedded
 * model. Only generate() is missing: transformers.js needs a browser for it (test/browser/worker.test.ts).
 */
import { readFile } from 'node:fs/promises'
import * as v from 'valibot'
import { beforeAll, describe, expect, test } from 'vitest'
import type { KeyValueStore } from '../../src/library/store'
import type { Progress } from '../../src/protocol'
import { failure, ROOT, startWorker } from '../support/worker-session'

const MODEL = 'promptlathe/tiny-causal'

/** The first rows of a sample task. */
const SampleSchema = v.object({ examples: v.array(v.object({ input: v.string(), output: v.string() })) })
let examples: readonly { input: string; output: string }[]
beforeAll(async () => {
  const sample: unknown = JSON.parse(await readFile(new URL('samples/ing-form.json', ROOT), 'utf8'))
  examples = v.parse(SampleSchema, sample).examples.slice(0, 24)
})

const job = (more: object = {}): object => ({
  base_model: MODEL,
  allow_downloads: false,
  device: 'wasm',
  num_epochs: 2,
  batch_size: 4,
  validation: 0.25,
  tuning_config: { num_virtual_tokens: 4 },
  ...more,
})

describe('the session', () => {
  test('opens the embedded model, tunes, keeps, exports; a second worker finds it again', { timeout: 120_000 }, async () => {
    const stores = new Map<string, KeyValueStore>()
    const client = startWorker(stores)
    const model = await client.request('open_model', {
      base_model: MODEL,
      model_dtype: 'auto',
      device: 'wasm',
      allow_downloads: false,
    })
    expect(model).toMatchObject({ id: MODEL, model_dtype: 'fp32', device: 'wasm', architecture: 'LlamaForCausalLM' })

    const preview = await client.request('preview', { job: job(), examples })
    expect(preview.total_steps).toBe(2 * Math.ceil(18 / 4))

    const progress: Progress[] = []
    const tuning = client.request('tune', { job: job(), name: 'first', train: examples, validation: null }, (one) =>
      progress.push(one),
    )
    // Answered while training.
    expect(await client.request('list_prompts', {})).toEqual([])
    expect((await failure(client.request('tune', { job: job(), name: 'x', train: examples, validation: null }))).code).toBe(
      'busy',
    )
    const { prompt, report } = await tuning
    expect(prompt).toMatchObject({ name: 'first', origin: 'tuned', num_virtual_tokens: 4 })
    expect(report).toMatchObject({ device: 'wasm', finished: 'completed' })
    expect(report.steps).toHaveLength(preview.total_steps)
    const types = new Set(progress.map((one) => one.type))
    for (const type of ['tune_started', 'evaluated', 'step', 'epoch']) expect(types).toContain(type)
    expect(report.epochs[1]?.train_loss).toBeLessThan(report.epochs[0]?.train_loss ?? 0)
    expect(await client.request('interrupted_runs', {})).toEqual([])

    const again = startWorker(stores)
    expect(await again.request('list_prompts', {})).toEqual([prompt])
    const adapter = await again.request('export_prompt', { prompt: prompt.id, format: 'peft', task: null })
    expect(adapter.filename).toBe('first-peft.zip')
    const baked = await again.request('export_prompt', { prompt: prompt.id, format: 'baked', task: null })
    const paths = baked.files.map((file) => file.path)
    for (const path of ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'onnx/model.onnx'])
      expect(paths).toContain(path)
    expect(baked.zip.size).toBeGreaterThan(model.file_bytes)
    const imported = await again.request('import_prompt', { name: 'back', base_model: MODEL, files: adapter.files })
    expect(imported).toMatchObject({ origin: 'imported', num_virtual_tokens: 4, job: null })
    await again.request('rename_prompt', { prompt: imported.id, name: 'renamed' })
    await again.request('delete_prompt', { prompt: prompt.id })
    expect((await again.request('list_prompts', {})).map((one) => one.name)).toEqual(['renamed'])
  })

  test('cancel keeps the prompt so far; pause holds', { timeout: 120_000 }, async () => {
    const client = startWorker(new Map())
    let steps = 0
    const seen: Progress[] = []
    const tuning = client.request(
      'tune',
      { job: job({ num_epochs: 50, validation: 0 }), name: 'stopped', train: examples, validation: null },
      (one) => {
        seen.push(one)
        if (one.type === 'step' && ++steps === 3) void client.request('pause', {})
      },
    )
    while (!seen.some((one) => one.type === 'paused' && one.paused)) await new Promise((resolve) => setTimeout(resolve, 5))
    const held = steps
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(steps).toBe(held)
    await client.request('cancel', {})
    const { report } = await tuning
    expect(report.finished).toBe('cancelled')
    expect(report.steps.length).toBeLessThan(20)
    expect((await failure(client.request('pause', {}))).message).toContain('No run is in progress')
  })

  test('cancel reaches a run that has only begun to read its config.json, and leaves nothing behind', async () => {
    const client = startWorker(new Map())
    const tuning = failure(client.request('tune', { job: job(), name: 'early', train: examples, validation: null }))
    await client.request('cancel', {})
    expect((await tuning).code).toBe('cancelled')
    expect(await client.request('interrupted_runs', {})).toEqual([])
    expect(await client.request('list_prompts', {})).toEqual([])
  })

  test('a run that a crash interrupted goes on from its checkpoint', { timeout: 120_000 }, async () => {
    const stores = new Map<string, KeyValueStore>()
    const first = startWorker(stores)
    const long = job({ num_epochs: 8, validation: 0 })
    // Paused, a run leaves a checkpoint; then its worker is gone for good.
    let asked = false
    const tuning = first.request('tune', { job: long, name: 'crashed', train: examples, validation: null }, (one) => {
      if (one.type === 'step' && one.step.step >= 5 && !asked) {
        asked = true
        void first.request('pause', {})
      }
      if (one.type === 'paused') first.terminate()
    })
    expect((await failure(tuning)).code).toBe('cancelled')
    const second = startWorker(stores)
    const [run] = await second.request('interrupted_runs', {})
    expect(run).toMatchObject({ name: 'crashed', base_model: MODEL, total_steps: 48 })
    expect(run?.step).toBeGreaterThanOrEqual(5)
    const { report } = await second.request('resume_run', { run: run?.run ?? '' })
    expect(report.steps.map((one) => one.step)).toEqual(Array.from({ length: 48 }, (_, i) => i + 1))
    expect(await second.request('interrupted_runs', {})).toEqual([])
    expect((await failure(second.request('resume_run', { run: run?.run ?? '' }))).code).toBe('not_found')
  })

  test('says what is wrong: jobs, models, prompts, devices, messages', { timeout: 120_000 }, async () => {
    const client = startWorker(new Map())
    const bad = await failure(
      client.request('tune', { job: { base_model: MODEL, num_epochs: 0, lr: -1 }, name: '', train: examples, validation: null }),
    )
    expect(bad).toMatchObject({ code: 'invalid' })
    expect(bad.problems.map((one) => one.field).sort()).toEqual(['learning_rate', 'num_epochs'])
    expect((await failure(client.request('tune', { job: job(), name: '', train: [], validation: null }))).code).toBe('invalid')
    const open = { base_model: 'org/nothing', model_dtype: 'auto', device: 'wasm', allow_downloads: false }
    expect(await failure(client.request('open_model', open))).toMatchObject({ code: 'not_found' })
    expect(await failure(client.request('open_model', { ...open, allow_downloads: true }))).toMatchObject({ code: 'network' })
    expect(await failure(client.request('open_model', { ...open, base_model: MODEL, device: 'tpu' }))).toMatchObject({
      code: 'invalid',
    })
    expect(await failure(client.request('open_model', { ...open, base_model: MODEL, device: 'webgpu' }))).toMatchObject({
      code: 'internal',
    })
    expect(await failure(client.request('export_prompt', { prompt: 'none', format: 'peft', task: null }))).toMatchObject({
      code: 'not_found',
    })
    // @ts-expect-error not a command
    expect(await failure(client.request('reboot', {}))).toMatchObject({ code: 'invalid' })
    // @ts-expect-error not its payload
    expect((await failure(client.request('delete_prompt', { prompt: 3 }))).message).toContain('prompt')
  })

  test('inspects: what a model is made of, and how exact we are on it', { timeout: 120_000 }, async () => {
    const client = startWorker(new Map())
    const inspect = {
      base_model: MODEL,
      files: null,
      model_dtype: 'fp32',
      device: 'wasm',
      allow_downloads: false,
      reference: null,
    }
    const report = await client.request('inspect', inspect)
    expect(report).toMatchObject({ kind: 'causal-lm', unsupported: [], error: null, self_test: { ok: true } })
    expect(report.parameters).toBeGreaterThan(1e6)
    const quantised = await client.request('inspect', { ...inspect, model_dtype: 'q8' })
    expect(quantised).toMatchObject({ error: null, self_test: { ok: true } })

    const fixture = (name: string): URL => new URL(`../fixtures/onnx/${name}`, import.meta.url)
    const onnx = new Blob([new Uint8Array(await readFile(fixture('gpt2_t433_past.onnx')))])
    await client.request('add_model_files', {
      name: 'local/one',
      files: [
        { path: 'one.onnx', blob: onnx },
        { path: 'bad.onnx', blob: new Blob(['nonsense']) },
      ],
      loose: true,
    })
    const one = { ...inspect, base_model: 'local/one', files: ['one.onnx'] }
    expect(await client.request('inspect', one)).toMatchObject({ error: null, self_test: { ok: true } })
    const broken = await client.request('inspect', { ...one, files: ['bad.onnx'] })
    expect(broken.error).not.toBeNull()
    expect((await failure(client.request('inspect', { ...one, files: ['none.onnx'] }))).code).toBe('not_found')
  })

  test('a q8 file is tuned as it is deployed, or exactly, as the job says', { timeout: 120_000 }, async () => {
    const client = startWorker(new Map())
    const firstLoss = async (simulate_rounding: boolean): Promise<number> => {
      const fields = { model_dtype: 'q8', simulate_rounding, num_epochs: 1, validation: 0, baselines: [] }
      const tuned = await client.request('tune', { job: job(fields), name: 'q8', train: examples.slice(0, 4), validation: null })
      return tuned.report.steps[0]?.loss ?? NaN
    }
    const [rounded, exact] = [await firstLoss(true), await firstLoss(false)]
    expect(rounded).not.toBe(exact)
    // 8 bits of activations move a loss by a few percent, not more.
    expect(Math.abs(rounded - exact)).toBeLessThan(0.1 * exact)
  })

  test('dropped files become a model, a folder in front and flat layouts included', { timeout: 120_000 }, async () => {
    const client = startWorker(new Map())
    const folder = new URL(`models/${MODEL}/`, ROOT)
    const entry = async (path: string, as = path) => ({
      path: `download/${as}`,
      blob: new Blob([new Uint8Array(await readFile(new URL(path, folder)))]),
    })
    const files = [
      await entry('config.json'),
      await entry('tokenizer.json'),
      await entry('tokenizer_config.json'),
      await entry('onnx/model.onnx', 'model.onnx'),
    ]
    await client.request('add_model_files', { name: 'local/dropped', files })
    const model = await client.request('open_model', {
      base_model: 'local/dropped',
      model_dtype: 'auto',
      device: 'wasm',
      allow_downloads: false,
    })
    expect(model).toMatchObject({ revision: 'local', model_dtype: 'fp32' })
    const storage = await client.request('storage', {})
    expect(storage.models).toMatchObject([{ id: 'local/dropped', files: 4 }])
    await client.request('remove_model', { base_model: 'local/dropped' })
    expect((await client.request('storage', {})).models).toEqual([])
    expect((await failure(client.request('add_model_files', { name: '../x', files }))).code).toBe('invalid')
    await client.request('reset_storage', {})
  })
})
