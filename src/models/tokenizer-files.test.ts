/**
 * tokenizer.json and tokenizer_config.json as strangers may bring them: the embedded model's own, damaged, through the loader that the worker
 * opens models with. Each is loaded or refused by name, soon, in words a page can show.
 */
import { readFileSync } from 'node:fs'
import { env } from '@huggingface/transformers'
import fc from 'fast-check'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { MemoryStore } from '../library/store'
import { ModelCache } from './cache'
import { ModelLoader } from './load'
import { ModelError } from './model-error'
import { ShardedFiles } from './shards'

type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

const FOLDER = 'public/models/promptlathe/tiny-causal'
const read = (path: string): Buffer => readFileSync(`${FOLDER}/${path}`)
const TOKENIZER = JSON.parse(small(read('tokenizer.json').toString())) as Json
const CONFIG = JSON.parse(read('tokenizer_config.json').toString()) as Json
/** A longer text than any bound of time below allows for something slower than linear. */
const TEXT = 'Hello wörld, <|endoftext|> 12 times!\n'.repeat(50)
const SECONDS = 5

/** The same tokenizer with bytes and 60 merges, so that a file of it is read in a millisecond. */
function small(json: string): string {
  const whole = JSON.parse(json) as { model: { vocab: Record<string, number>; merges: unknown[] } }
  const vocab = Object.fromEntries(Object.entries(whole.model.vocab).filter(([, id]) => id < 257 + 60))
  return JSON.stringify({ ...whole, model: { ...whole.model, vocab, merges: whole.model.merges.slice(0, 60) } })
}

// transformers.js writes there what it makes of odd classes.
beforeAll(() => void vi.spyOn(console, 'warn').mockImplementation(() => undefined))

env.localModelPath = '/models/'
const cache = new ModelCache({
  files: new ShardedFiles({ store: new MemoryStore() }),
  remote_host: env.remoteHost,
  local_path: '/models/',
})
const loader = new ModelLoader(cache, () => Promise.reject(new TypeError('no network')))

/** What became of opening a model with these files and using its tokenizer: the ModelError's words, or 'works'. */
async function outcome(tokenizer: string | Uint8Array, config: string | Uint8Array): Promise<string> {
  const start = performance.now()
  const files = { 'config.json': read('config.json'), 'tokenizer.json': tokenizer, 'tokenizer_config.json': config, 'onnx/model.onnx': read('onnx/model_quantized.onnx').subarray(0, 64) } // prettier-ignore
  cache.setVirtual('local/m', new Map(Object.entries(files).map(([path, content]) => [path, new Blob([new Uint8Array(Buffer.from(content))])]))) // prettier-ignore
  let said = 'works'
  try {
    const model = await loader.load('local/m', { model_dtype: 'auto', allow_downloads: false })
    const ids = model.tokenizer.encode(TEXT, { add_special_tokens: true })
    expect(ids.every((id) => Number.isSafeInteger(id) && id >= 0)).toBe(true)
    expect(typeof model.tokenizer.decode(ids, { skip_special_tokens: true })).toBe('string')
  } catch (error) {
    if (!(error instanceof ModelError)) throw error
    expect(error.hint).not.toBe('')
    said = error.message
  }
  expect(performance.now() - start).toBeLessThan(SECONDS * 1000)
  // Fit for the page: who, what, of reasonable length, nothing that can't be shown.
  expect(said).toMatch(/^(works|local\/m|the model)/)
  expect(said.length).toBeLessThan(800)
  expect(said).not.toMatch(/\p{Cc}/u)
  return said
}

const text = (value: Json): string => JSON.stringify(value)

/** Paths of everything in there; of long lists and vocabularies the first entries. */
function places(value: Json, at: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [at]
  const below = Object.entries(value)
    .slice(0, 20)
    .flatMap(([key, inner]) => places(inner, [...at, key]))
  return [at, ...below]
}

/** A copy with what lies at the path changed; `undefined` takes it away. */
function changed(value: Json, [key, ...rest]: readonly string[], to: Json | undefined): Json {
  if (key === undefined) return to ?? null
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).flatMap(([name, inner]): [string, Json][] =>
    name !== key ? [[name, inner]] : rest.length > 0 ? [[name, changed(inner, rest, to)]] : to === undefined ? [] : [[name, to]],
  )
  return Array.isArray(value) ? entries.map(([, inner]) => inner) : Object.fromEntries(entries)
}

const strange: fc.Arbitrary<Json | undefined> = fc.oneof(
  fc.constantFrom<Json | undefined>(undefined, null, 0, -1, 1e21, 0.5, '', 'x', '\0\u202e', true, [], {}, [null], [[]], {
    type: 'X',
  }),
  fc.constantFrom<Json>('ByteLevel', 'BPE', 'Unigram', 'WordPiece', 'T5Tokenizer', { Regex: '[' }, 'a'.repeat(1000), ['a', 'b']),
  fc.constantFrom<Json>({ type: 'Sequence', pretokenizers: [] }, { type: 'TemplateProcessing' }, { type: 'Split', pattern: {} }, { type: 'Precompiled', precompiled_charsmap: 'AA' }), // prettier-ignore
  fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value)) as Json),
)

describe('a damaged tokenizer', () => {
  test('the undamaged one works', async () => {
    expect(await outcome(text(TOKENIZER), text(CONFIG))).toBe('works')
  })

  test('with anything in place of anything: it works, or is refused by name', { timeout: 120_000 }, async () => {
    const outcomes = new Map<string, number>()
    const edits = (of: Json) => fc.array(fc.tuple(fc.constantFrom(...places(of)), strange), { maxLength: 2 })
    await fc.assert(
      fc.asyncProperty(edits(TOKENIZER), edits(CONFIG), async (inTokenizer, inConfig) => {
        const apply = (of: Json, list: typeof inConfig): string =>
          text(list.reduce((value, [place, to]) => changed(value, place, to), of))
        const said = (await outcome(apply(TOKENIZER, inTokenizer), apply(CONFIG, inConfig))).replace(/\(.*/s, '')
        outcomes.set(said, (outcomes.get(said) ?? 0) + 1)
      }),
      { numRuns: 300 },
    )
    // It would find nothing if all damage were refused at the door, or none.
    expect(outcomes.get('works')).toBeGreaterThan(10)
    expect([...outcomes].find(([said]) => said.includes('damaged, or of a kind'))?.[1]).toBeGreaterThan(10)
  })

  test('cut off anywhere: not valid JSON, or empty, and it says which files', { timeout: 60_000 }, async () => {
    const whole = Buffer.from(text(TOKENIZER))
    const config = Buffer.from(text(CONFIG))
    for (let end = 0; end < whole.length; end += 101)
      expect(await outcome(whole.subarray(0, end), config)).toMatch(/tokenizer\.json.*(not valid JSON|empty)/)
    for (let end = 0; end < config.length; end++)
      expect(await outcome(whole, config.subarray(0, end))).toMatch(/tokenizer_config\.json.*(not valid JSON|empty)/)
  })

  test('with bytes turned: as ever', { timeout: 60_000 }, async () => {
    const whole = Buffer.from(text(TOKENIZER))
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }),
        async (flips) => {
          const bytes = Buffer.from(whole)
          for (const [at, to] of flips) bytes[at] = to
          await outcome(bytes, text(CONFIG))
        },
      ),
      { numRuns: 200 },
    )
  })

  test('nested a hundred thousand deep: refused', async () => {
    const deep = `${'['.repeat(1e5)}${']'.repeat(1e5)}`
    const nested = text(TOKENIZER).replace('"normalizer":null', `"normalizer":${deep}`)
    expect(await outcome(nested, text(CONFIG))).toMatch(/local\/m/)
  })

  test('with what is no id in its vocabulary: the text it fails on is named', async () => {
    const said = await outcome(text(changed(TOKENIZER, ['model', 'vocab', 'H'], 'none')), text(CONFIG))
    expect(said).toContain('the model\'s tokenizer fails on "Hello w')
    expect(said).toContain('gives no token ids for some of it')
  })
})
