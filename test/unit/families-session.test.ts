/**
 * Every family of models, the way a user brings one: a dropped folder is opened, tuned, and baked by the worker's session, and plain
 * transformers.js says with the baked folder what was predicted while tuning. The models are tiny and random (test/fixtures/exports), in the
 * style transformers.js needs: with a cache, merged where there is a decoder behind an encoder.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import * as v from 'valibot'
import { afterAll, describe, expect, test } from 'vitest'
import type { ExportedFiles } from '../../src/protocol'
import { continueText, env, openAnswerer } from '../support/transformers'
import { startWorker } from '../support/worker-session'
import { wordTokenizer } from '../support/word-tokenizer'

const EXPORTS = new URL('../fixtures/exports/', import.meta.url)
const IndexSchema = v.array(
  v.object({
    family: v.string(),
    style: v.string(),
    kind: v.picklist(['causal-lm', 'seq2seq']),
    files: v.record(v.string(), v.string()),
  }),
)
const read = (path: string): Uint8Array<ArrayBuffer> => new Uint8Array(readFileSync(new URL(path, EXPORTS)))
const index = v.parse(IndexSchema, JSON.parse(new TextDecoder().decode(read('index.json'))))

/** Their exports here name and shape the cache as HF transformers does; transformers.js wants one value of keys and values (multi-query). */
const OTHER_CACHE = new Set(['falcon', 'gpt_bigcode'])

/** The first export of each family that transformers.js can generate with. */
const models = index.filter(
  ({ family, style, kind }, at) =>
    !OTHER_CACHE.has(family) &&
    runs(kind, style) &&
    index.findIndex((other) => other.family === family && runs(other.kind, other.style)) === at,
)
function runs(kind: string, style: string): boolean {
  return style.startsWith(kind === 'seq2seq' ? 'merged' : 'past')
}

type Model = (typeof models)[number]

function folderOf({ family, kind, files }: Model): Map<string, Uint8Array<ArrayBuffer>> {
  const config = read(`${family}/config.json`)
  const { tokenizer, tokenizer_config } = wordTokenizer(JSON.parse(new TextDecoder().decode(config)), kind)
  const json = (value: object): Uint8Array<ArrayBuffer> => new TextEncoder().encode(JSON.stringify(value))
  const names = { model: 'model', encoder: 'encoder_model', decoder: 'decoder_model_merged' }
  const graphs = Object.entries(names).flatMap(([part, name]) => {
    const path = files[part]
    return path === undefined ? [] : [[`onnx/${name}.onnx`, read(path)] as const]
  })
  return new Map([
    ['config.json', config],
    ['tokenizer.json', json(tokenizer)],
    ['tokenizer_config.json', json(tokenizer_config)],
    ...graphs,
  ])
}

/** Short rows of words the tokenizer has; what they mean is of no matter. */
const rows = (first: number, count: number) =>
  Array.from({ length: count }, (_, i) => ({ input: `w${first + i} w${first + i + 3}`, output: ` w${20 + ((first + i) % 3)}` }))
const train = rows(10, 12)
const validation = rows(30, 3)

describe('families', () => {
  const root = mkdtempSync(join(tmpdir(), 'families-'))
  // The session points the library's global settings at its own cache; the plain library reads folders.
  const plain = { ...env, localModelPath: `${root}/` }
  afterAll(() => rmSync(root, { recursive: true }))

  /** Families whose prompt made the model say something: a random one may just end. */
  const speaking: string[] = []

  async function put(name: string, { files }: ExportedFiles): Promise<void> {
    for (const { path, blob } of files) {
      const file = join(root, name, path)
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, new Uint8Array(await blob.arrayBuffer()))
    }
  }

  async function answers(folder: string, kind: Model['kind']): Promise<string[]> {
    Object.assign(env, plain)
    const said: string[] = []
    if (kind === 'causal-lm') {
      for (const { input } of validation) said.push(await continueText(folder, input, 'fp32', NEW_TOKENS))
      return said
    }
    const model = await openAnswerer(folder, 'fp32')
    for (const { input } of validation) said.push(await model.answer(input, NEW_TOKENS))
    await model.close()
    return said
  }

  test.each(models)('$family: tuned, baked, and run by plain transformers.js', { timeout: 60_000 }, async (model) => {
    const client = startWorker(new Map())
    const base_model = `local/${model.family}`
    const files = [...folderOf(model)].map(([path, bytes]) => ({ path, blob: new Blob([bytes]) }))
    await client.request('add_model_files', { name: base_model, files })
    const job = {
      base_model,
      allow_downloads: false,
      device: 'wasm',
      num_epochs: 2,
      batch_size: 4,
      max_target_length: NEW_TOKENS - 1,
      baselines: [],
      tuning_config: { num_virtual_tokens: 4 },
    }
    const { prompt, report } = await client.request('tune', { job, name: model.family, train, validation })
    expect(report.steps).toHaveLength(6)
    const losses = report.steps.map(({ loss }) => loss)
    expect(losses.every(Number.isFinite)).toBe(true)

    const baked = await client.request('export_prompt', { prompt: prompt.id, format: 'baked', task: null })
    await put(`baked-${model.family}`, baked)
    const predicted = report.tuned?.predictions.map((one) => one.predicted.trim()) ?? []
    if (predicted.some((text) => text !== '')) speaking.push(model.family)
    const said = await answers(`baked-${model.family}`, model.kind)
    // Some of their configs force EOS at the last token, which nothing here does.
    expect(said.map(firstWords)).toEqual(predicted.map(firstWords))
  })

  test('most of them said something', () => {
    expect(speaking.length).toBeGreaterThan(models.length / 2)
  })
})

/** EOS included. */
const NEW_TOKENS = 4

const firstWords = (text: string): string =>
  text
    .trim()
    .split(/\s+/)
    .slice(0, NEW_TOKENS - 1)
    .join(' ')
