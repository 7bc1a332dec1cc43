/** The hub's API: addresses, what its answers are read as, and every way it may refuse. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hubInfo, parseInfo, parseSearch, searchAddress, searchHub } from './hub'
import { ModelError } from './model-error'

const ENTRY = {
  _id: '64',
  id: 'Xenova/distilgpt2',
  downloads: 1234,
  likes: 5,
  gated: false,
  lastModified: '2025-07-01T10:00:00.000Z',
  pipeline_tag: 'text-generation',
  tags: ['transformers.js', 'onnx', 'gpt2', 'license:apache-2.0'],
}

const answering =
  (answer: () => Response | Promise<Response>): typeof fetch =>
  async () =>
    answer()

async function failure(promise: Promise<unknown>): Promise<ModelError> {
  const error: unknown = await promise.then(
    () => null,
    (reason: unknown) => reason,
  )
  if (!(error instanceof ModelError)) throw new Error(`expected a ModelError, got ${String(error)}`)
  return error
}

describe('a search', () => {
  test('asks for models of transformers.js, by kind, on the host of the models', () => {
    const address = new URL(searchAddress('  tiny & small  ', 'causal-lm'))
    expect(address.origin).toBe('https://huggingface.co')
    expect(address.searchParams.get('search')).toBe('tiny & small')
    expect(address.searchParams.getAll('filter')).toEqual(['transformers.js'])
    expect(address.searchParams.get('pipeline_tag')).toBe('text-generation')
    expect(address.searchParams.get('limit')).toBe('20')
    expect(new URL(searchAddress('x', 'seq2seq')).searchParams.getAll('filter')).toEqual([
      'transformers.js',
      'text2text-generation',
    ])
  })

  test('gives what a person chooses by; entries that are no text models or make no sense are left out', () => {
    const answer = [
      ENTRY,
      { ...ENTRY, id: 'meta/gated', gated: 'manual', tags: ['text-generation'], pipeline_tag: undefined, downloads: -1 },
      { ...ENTRY, id: 'Xenova/opus-mt-en-de', pipeline_tag: 'translation', tags: ['text2text-generation'] },
      { ...ENTRY, id: 'Xenova/whisper', pipeline_tag: 'automatic-speech-recognition', tags: [] },
      { ...ENTRY, id: '<img src=x onerror=alert(1)>' },
      { downloads: 3 },
      null,
    ]
    expect(parseSearch(answer, null)).toEqual([
      {
        id: 'Xenova/distilgpt2',
        kind: 'causal-lm',
        downloads: 1234,
        likes: 5,
        licence: 'apache-2.0',
        gated: false,
        last_modified: '2025-07-01T10:00:00.000Z',
      },
      expect.objectContaining({ id: 'meta/gated', gated: true, licence: null, downloads: 0 }),
      expect.objectContaining({ id: 'Xenova/opus-mt-en-de', kind: 'seq2seq' }),
    ])
    expect(parseSearch(answer, 'seq2seq').map(({ id }) => id)).toEqual(['Xenova/opus-mt-en-de'])
  })

  test('reads any JSON at all, or says that it cannot', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        for (const read of [() => parseSearch(value, null), () => parseInfo(value)]) {
          try {
            read()
          } catch (error) {
            expect(error).toBeInstanceOf(ModelError)
          }
        }
      }),
    )
    expect(() => parseSearch({ error: 'x' }, null)).toThrow(/could not be understood/)
  })

  test.each([
    ['offline', () => Promise.reject(new TypeError('Failed to fetch')), 'network', /connection failed/],
    ['429', () => new Response('', { status: 429, headers: { 'retry-after': '30' } }), 'network', /too many requests/],
    ['503', () => new Response('', { status: 503 }), 'network', /HTTP 503/],
    ['a page', () => new Response('<!doctype html>'), 'network', /could not be understood/],
  ] as const)('%s is said', async (_, answer, code, message) => {
    const error = await failure(searchHub('gpt', null, { fetch: answering(answer) }))
    expect(error).toMatchObject({ code })
    expect(error.message).toMatch(message)
    expect(error.hint).not.toBe('')
  })

  test('how long to wait is said where the hub says it', async () => {
    const busy = () => new Response('', { status: 429, headers: { 'retry-after': '30' } })
    expect((await failure(searchHub('gpt', null, { fetch: answering(busy) }))).hint).toContain('30 seconds')
  })

  test('given up, it ends with the reason', async () => {
    const abort = new AbortController()
    const hanging: typeof fetch = (_, init) =>
      new Promise((_resolve, reject) => init?.signal?.addEventListener('abort', () => reject(new DOMException('', 'AbortError'))))
    const search = searchHub('gpt', null, { fetch: hanging, signal: abort.signal })
    abort.abort(new Error('enough'))
    await expect(search).rejects.toThrow('enough')
  })
})

describe('one model', () => {
  test('its files with sizes, licence, and its new name when it was renamed', async () => {
    const siblings = [
      { rfilename: 'config.json', size: 700 },
      { rfilename: 'onnx/model.onnx', size: 5e8 },
      { rfilename: 'README.md' },
    ]
    const info = await hubInfo('old/name', {
      fetch: answering(() => Response.json({ ...ENTRY, id: 'new/name', tags: [], cardData: { license: 'mit' }, siblings })),
    })
    expect(info).toMatchObject({ id: 'new/name', gated: false, licence: 'mit' })
    expect([...info.files]).toEqual([
      ['config.json', 700],
      ['onnx/model.onnx', 5e8],
      ['README.md', null],
    ])
  })

  test.each([
    ['there is none', 401, { 'x-error-code': 'RepoNotFound' }, 'not_found', /not found on the hub.*private/],
    ['there is none, said plainly', 404, {}, 'not_found', /not found on the hub/],
    ['gated', 403, { 'x-error-code': 'GatedRepo' }, 'not_found', /gated/],
    ['taken off', 403, { 'x-error-code': 'DisabledRepo' }, 'not_found', /taken off/],
    ['no reason', 403, {}, 'not_found', /does not show it/],
    ['broken', 500, {}, 'network', /HTTP 500/],
  ])('%s', async (_, status, headers, code, message) => {
    const error = await failure(hubInfo('some/model', { fetch: answering(() => new Response('', { status, headers })) }))
    expect(error).toMatchObject({ code })
    expect(error.message).toMatch(message)
    expect(error.message).toContain('some/model')
    expect(error.hint).not.toBe('')
  })
})
