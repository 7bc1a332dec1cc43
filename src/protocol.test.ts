import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { GENERATION_DEFAULTS } from './models/generation/parameters'
import { parseCommand, parseEvent, parseResult, ProtocolError } from './protocol'
import type { Command, Event, Progress, Results } from './protocol'

const parameters = { ...GENERATION_DEFAULTS, decoding_method: 'SAMPLING' as const, stop_sequences: ['.'], max_time: 2 }
const blob = new Blob(['x'])

/** One valid message of each kind that carries something. */
const commands: readonly Command[] = [
  { type: 'probe_devices', request: 1 },
  {
    type: 'open_model',
    request: 2,
    base_model: 'a/b',
    model_dtype: 'auto',
    model_file_name: '',
    device: 'auto',
    allow_downloads: true,
  },
  { type: 'add_model_files', request: 3, name: 'a', files: [{ path: 'onnx/model.onnx', blob }], loose: true },
  { type: 'model_files', request: 31, base_model: 'a/b', model_file_name: 'my', allow_downloads: true },
  {
    type: 'inspect',
    request: 4,
    base_model: 'a',
    files: null,
    model_dtype: 'fp32',
    device: 'wasm',
    allow_downloads: false,
    reference: '{}',
  },
  { type: 'preview', request: 5, job: { anything: ['goes', null] }, examples: [{ input: 'a', output: 'b' }] },
  { type: 'tune', request: 6, job: 3, name: 'n', train: [{ input: 'a', output: 'b', task: 't' }], validation: null },
  { type: 'generate', request: 7, prompt: null, task: null, base_model: 'a', input: '', verbalizer: null, parameters },
  { type: 'stop_generating', request: 8, target: 7 },
  { type: 'import_prompt', request: 9, name: 'n', base_model: 'a', files: [{ path: 'adapter_config.json', blob }] },
  { type: 'export_prompt', request: 10, prompt: 'p', format: 'baked', task: null },
]

const metrics = {
  loss: 1,
  perplexity: Math.E,
  exact_match: 0.5,
  label_accuracy: 0.75,
  macro_f1: 0.7,
  rouge_l: null,
  token_f1: null,
}
const progress: readonly Progress[] = [
  { type: 'model_progress', file: 'f', loaded: 1, total: null, stage: 'download' },
  { type: 'model_progress', file: 'f', loaded: 0, total: null, stage: 'wait' },
  {
    type: 'tune_started',
    run: 'r',
    device: 'wasm',
    device_reason: 'x',
    learning_rate: 0.1,
    total_steps: 3,
    train_rows: 2,
    validation_rows: 1,
    truncated: 0,
    notices: ['n'],
  },
  {
    type: 'evaluated',
    which: 'tuned',
    evaluation: {
      metrics,
      predictions: [{ input: 'a', expected: 'b', predicted: 'c', exact: false, task: 't' }],
      tasks: [{ task: 't', rows: 1, metrics: { ...metrics, label_accuracy: null, macro_f1: null, rouge_l: 0.2, token_f1: 0 } }],
    },
  },
  { type: 'evaluated', which: 'few_shot', evaluation: { metrics, predictions: [], tasks: [] } },
  { type: 'stage', text: 's' },
  { type: 'step', step: { step: 1, epoch: 1, loss: NaN, learning_rate: 0.1, ms: 2 }, memory_bytes: 3 },
  { type: 'epoch', epoch: { epoch: 1, train_loss: 2, validation_loss: null, metrics: null }, best: true, best_metrics: metrics },
  { type: 'paused', paused: true },
  { type: 'token', text: 't' },
]
const events: readonly Event[] = [
  ...progress.map((one) => ({ ...one, request: 4 })),
  { type: 'result', request: 5, result: null },
  { type: 'failed', request: 6, failure: { code: 'busy', message: 'm', hint: 'h', problems: [{ field: 'f', message: 'm' }] } },
  { type: 'notice', request: null, level: 'warning', text: 't' },
]

/** Replaces one leaf or branch of a value, anywhere. */
function damaged(value: unknown, pick: number, by: unknown): unknown {
  const places: (readonly (string | number)[])[] = []
  const walk = (at: unknown, path: readonly (string | number)[]): void => {
    places.push(path)
    if (Array.isArray(at)) at.forEach((one, i) => walk(one, [...path, i]))
    else if (typeof at === 'object' && at !== null && !(at instanceof Blob))
      for (const [key, one] of Object.entries(at)) walk(one, [...path, key])
  }
  walk(value, [])
  const path = places[pick % places.length] ?? []
  const set = (at: unknown, rest: readonly (string | number)[]): unknown => {
    const [key, ...more] = rest
    if (key === undefined) return by
    if (Array.isArray(at)) return at.map((one: unknown, i) => (i === key ? set(one, more) : one))
    return Object.fromEntries(Object.entries(at as object).map(([k, one]) => [k, k === key ? set(one, more) : one]))
  }
  return set(value, path)
}

/** The parse, or the ProtocolError; anything else thrown fails the test. */
function tried<T>(parse: () => T): T | ProtocolError {
  try {
    return parse()
  } catch (error) {
    if (error instanceof ProtocolError) return error
    throw error
  }
}

describe('commands', () => {
  test.each(commands)('$type comes through unchanged', (command) => {
    expect(parseCommand(command)).toEqual(command)
  })

  test('any value gives a command or a ProtocolError', () => {
    fc.assert(
      fc.property(
        fc.anything({ withBigInt: true, withDate: true, withMap: true, withTypedArray: true }),
        (value) => void tried(() => parseCommand(value)),
      ),
    )
    fc.assert(
      fc.property(
        fc.string(),
        fc.anything(),
        (type, rest) => void tried(() => parseCommand({ type, request: 1, ...Object(rest) })),
      ),
    )
  })

  test('a damaged command is refused, or still has the right shape', () => {
    fc.assert(
      fc.property(fc.constantFrom(...commands), fc.nat(), fc.anything(), (command, pick, by) => {
        const parsed = tried(() => parseCommand(damaged(command, pick, by)))
        // What came through comes through again unchanged: nothing unchecked was let in.
        if (!(parsed instanceof ProtocolError)) expect(parseCommand(parsed)).toEqual(parsed)
      }),
    )
  })

  test('errors name the place and keep the request', () => {
    const cases: [object, string, number | null][] = [
      [{ type: 'delete_prompt', request: 4, prompt: 5 }, 'prompt', 4],
      [
        {
          type: 'generate',
          request: 5,
          prompt: null,
          task: null,
          base_model: 'a',
          input: '',
          verbalizer: null,
          parameters: { ...parameters, top_p: 2 },
        },
        'parameters.top_p',
        5,
      ],
      [{ type: 'toString', request: 6 }, 'type', 6],
      [{ type: '__proto__', request: 6 }, 'type', 6],
      [{ type: 'pause', request: 0 }, 'request', null],
      [{ type: 'add_model_files', request: 7, name: 'a', files: [{ path: '../secret', blob }] }, 'files.0.path', 7],
      [{ type: 'add_model_files', request: 7, name: 'a', files: [{ path: 'a//b', blob }] }, 'files.0.path', 7],
      [{ type: 'add_model_files', request: 7, name: 'a', files: [{ path: 'C:\\x', blob }] }, 'files.0.path', 7],
    ]
    for (const [command, path, request] of cases) {
      expect(tried(() => parseCommand(command))).toMatchObject({ name: 'ProtocolError', path, request })
    }
  })
})

describe('events', () => {
  test.each(events)('$type comes through unchanged', (event) => {
    expect(parseEvent(event)).toEqual(event)
  })

  test('any value, and any damage, gives an event or a ProtocolError', () => {
    fc.assert(fc.property(fc.anything(), (value) => void tried(() => parseEvent(value))))
    fc.assert(
      fc.property(
        fc.constantFrom(...events),
        fc.nat(),
        fc.anything(),
        (event, pick, by) => void tried(() => parseEvent(damaged(event, pick, by))),
      ),
    )
  })
})

describe('results', () => {
  const storage: Results['storage'] = {
    persisted: true,
    usage_bytes: 1,
    quota_bytes: null,
    models: [
      {
        id: 'a',
        files: 1,
        bytes: 2,
        unfinished_bytes: 0,
        dropped: false,
        last_used: null,
        lacks: 'has no tokenizer.json',
        parts: [{ path: 'onnx/model.onnx', bytes: 2, model_dtype: 'fp32' }],
      },
    ],
    memory_only: null,
  }

  test('are checked against their own command', () => {
    expect(parseResult('storage', storage)).toEqual(storage)
    expect(() => parseResult('pause', storage)).toThrow(ProtocolError)
    expect(() => parseResult('storage', { ...storage, models: [{ id: 'a', files: -1, bytes: 2 }] })).toThrow(/models\.0\.files/)
    fc.assert(fc.property(fc.anything(), (value) => void tried(() => parseResult('tune', value))))
  })
})
