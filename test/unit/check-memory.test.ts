/** What `npm run tune -- --check` says of memory: the page's sentence for the same job, and why where there is none. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync, cpSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { memoryLines } from '../../cli/check-memory'
import { readWork } from '../../cli/read-job'
import { startWorker } from '../support/worker-session'

const MODELS = join(import.meta.dirname, '..', '..', 'public', 'models')
const folder = mkdtempSync(join(tmpdir(), 'promptlathe-check-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const train = Array.from({ length: 12 }, (_, i) => ({
  input: `number ${i} of some words to read`,
  output: i % 2 ? 'odd' : 'even',
}))

function linesOf(job: object): Promise<readonly string[]> {
  const path = join(folder, 'job.json')
  writeFileSync(path, JSON.stringify({ base_model: 'promptlathe/tiny-causal', device: 'wasm', train, ...job }))
  return memoryLines(readWork(path, undefined))
}

describe('--check', () => {
  test.each(['promptlathe/tiny-causal', 'promptlathe/tiny-seq2seq'])(
    '%s: the sentence the page shows for the same job',
    { timeout: 120_000 },
    async (base_model) => {
      const said = await linesOf({ base_model, batch_size: 4, model_dtype: 'q8' })
      const client = startWorker(new Map())
      await client.request('open_model', { base_model, model_dtype: 'q8', device: 'wasm', allow_downloads: false })
      const job = { base_model, batch_size: 4, model_dtype: 'q8', device: 'wasm', allow_downloads: false }
      const { memory } = await client.request('preview', { job, examples: train })
      expect(memory?.summary).toMatch(
        /^Training fits: it needs about \d+ MiB of 3\.8 GiB on wasm: .* at batch_size 4 and \d+ tokens\.$/,
      )
      expect(said).toEqual([`memory: ${memory?.summary}`])
    },
  )

  test('on a device nobody has looked at yet, it says so', async () => {
    expect((await linesOf({ device: 'webgpu' }))[0]).toContain('(this device does not say what it has) on webgpu')
    expect((await linesOf({ device: 'auto' })).at(-1)).toContain('if the job finds no GPU')
  })

  test('a model of the hub: where to learn it; nothing is fetched', async () => {
    expect(await linesOf({ base_model: 'Xenova/distilgpt2' })).toEqual([
      'memory: not known before Xenova/distilgpt2 is on this machine; `npm run inspect -- Xenova/distilgpt2` fetches it and says',
    ])
  })

  test('a folder: read as it lies there; one that would fail says why', async () => {
    const model = join(folder, 'my model')
    mkdirSync(join(model, 'deep'), { recursive: true })
    for (const name of ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'onnx'])
      cpSync(join(MODELS, 'promptlathe/tiny-causal', name), join(model, name), { recursive: true })
    const [here] = await linesOf({ base_model: './my model' })
    expect(here).toBe((await linesOf({}))[0])
    writeFileSync(join(model, 'onnx/model.onnx'), Buffer.from([8, 8, 0x3a, 0x7f]))
    expect(await linesOf({ base_model: './my model', model_dtype: 'fp32' })).toEqual([
      expect.stringMatching(/^memory: not estimated, for the job would fail: model, byte \d+: 127 bytes are announced/),
    ])
    rmSync(join(model, 'tokenizer.json'))
    expect((await linesOf({ base_model: './my model' }))[0]).toMatch(/^memory: not estimated, .*tokenizer/)
  })
})
