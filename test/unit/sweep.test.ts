/** The sweep behind the defaults (bench/sweep): which settings it tries, what it says of them, and models that are the same in other coordinates. */
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { learningRateTable } from '../../bench/sweep/learning-rate-table'
import { levelsFor, sweepTask } from '../../bench/sweep/one-task'
import { rebased, repetition, rotation, scaling } from '../../bench/sweep/rebase'
import { RunRecords, type RunRecord } from '../../bench/sweep/records'
import { CHOOSING_SEEDS, FRESH_SEEDS, standardError, verdictOf } from '../../bench/sweep/scores'
import { keyOf, LEVELS, oneAtATime, schemaDefaults, secondRound, type Setting } from '../../bench/sweep/settings'
import { markdown } from '../../bench/sweep/table'
import { readModel } from '../../src/graph/read'
import { concatBytes, writeModel } from '../../src/graph/write'
import { AUTO_RATIO } from '../../src/tuning/learning-rate'
import { Random } from '../../src/tuning/random'
import { runOnnx } from '../support/onnxruntime'

const STANDARD: Setting = { ...schemaDefaults(), ratio: 0.25 }

const record = (setting: Setting, seed: number, exact_match: number, loss = 1): RunRecord => ({
  task: 'past-tense',
  data: 'd',
  model: 'm',
  model_sha256: 's',
  embedding_std: 0.1,
  hidden_size: 8,
  setting,
  seed,
  learning_rate: 0.1 * setting.ratio,
  held_out: 30,
  steps: 100,
  exact_match,
  label_accuracy: null,
  rouge_l: null,
  loss,
  best_epoch: 3,
  seconds: 1,
})

describe('settings', () => {
  test('the first round varies one factor at a time, each setting once', () => {
    const settings = oneAtATime(STANDARD, LEVELS)
    expect(settings[0]).toEqual(STANDARD)
    expect(new Set(settings.map(keyOf)).size).toBe(settings.length)
    for (const setting of settings.slice(1)) {
      const changed = Object.keys(setting).filter((key) => Reflect.get(setting, key) !== Reflect.get(STANDARD, key))
      expect(changed).toHaveLength(1)
    }
  })

  test('the second round puts the changes that helped together, and tries learning rates beside', () => {
    const gains = new Map([
      [keyOf({ ...STANDARD, ratio: 0.5 }), 0.6],
      [keyOf({ ...STANDARD, num_epochs: 40 }), 0.7],
      [keyOf({ ...STANDARD, num_virtual_tokens: 4 }), 0.4],
    ])
    const settings = secondRound(STANDARD, LEVELS, (setting) => gains.get(keyOf(setting)) ?? 0.5)
    expect(settings).toEqual(
      [0.5, 0.25, 1].map((ratio) => ({ ...STANDARD, ratio, num_epochs: 40 })).filter(({ ratio }) => ratio !== 0.25),
    )
  })

  test('no second round where nothing helped', () => {
    expect(secondRound(STANDARD, LEVELS, () => 0.5)).toEqual([])
  })
})

describe('a task', () => {
  test('finds two changes that are good together, and scores them where they were not chosen', async () => {
    const better = ({ ratio, num_epochs }: Setting): number => 0.5 + (ratio === 0.5 ? 0.1 : 0) + (num_epochs === 40 ? 0.2 : 0)
    const fresh: readonly number[] = FRESH_SEEDS.slice(0, 3)
    const options = { levels: LEVELS, choosing: CHOOSING_SEEDS.slice(0, 2), fresh }
    const runs = await sweepTask(STANDARD, options, (setting, seed) => Promise.resolve(record(setting, seed, better(setting))))
    expect(new Set(runs.map(({ setting, seed }) => `${keyOf(setting)} ${seed}`)).size).toBe(runs.length)
    const verdict = verdictOf(runs, STANDARD)
    expect(verdict).toMatchObject({ best: { ...STANDARD, ratio: 0.5, num_epochs: 40 }, seeds: 3 })
    expect(verdict?.gap).toBeCloseTo(0.3, 9)
    expect(runs.filter(({ seed }) => fresh.includes(seed))).toHaveLength(6)
  })

  test('starts from words only where there are some, and from a prompt only from that', () => {
    const task = { suggested_epochs: 12, instruction: '', source: null }
    expect(levelsFor(task, LEVELS)).toMatchObject({ init: ['RANDOM', 'SAMPLE_VOCAB'], num_epochs: [5, 10, 12, 20, 40] })
    expect(levelsFor({ ...task, instruction: 'Say it.' }, LEVELS).init).toContain('TEXT')
    expect(levelsFor({ ...task, source: { title: 'Other', method: 'AVERAGE_SOURCE' } }, LEVELS).init).toBeUndefined()
  })
})

describe('verdict', () => {
  const other = { ...STANDARD, num_epochs: 40 }

  test('the best is chosen on its seeds and scored on fresh ones', () => {
    const runs = [
      ...CHOOSING_SEEDS.flatMap((seed) => [record(STANDARD, seed, 0.5), record(other, seed, 0.9)]),
      ...FRESH_SEEDS.slice(0, 2).flatMap((seed, i) => [record(STANDARD, seed, 0.5), record(other, seed, 0.52 + 0.04 * i)]),
    ]
    const verdict = verdictOf(runs, STANDARD)
    expect(verdict).toMatchObject({ best: other, seeds: 2, held_out: 30 })
    expect(verdict?.gap).toBeCloseTo(0.04, 9)
    expect(verdict?.gap_error).toBeCloseTo(0.02, 9)
  })

  test('of equal exact match the lower loss is better; a row outweighs any loss', () => {
    const runs = (exact: number, loss: number) => [
      ...[...CHOOSING_SEEDS, ...FRESH_SEEDS].flatMap((seed) => [
        record(STANDARD, seed, 0.5, 1),
        record(other, seed, exact, loss),
      ]),
    ]
    expect(verdictOf(runs(0.5, 0.9), STANDARD)?.best).toEqual(other)
    expect(verdictOf(runs(0.5, 1.1), STANDARD)?.best).toEqual(STANDARD)
    expect(verdictOf(runs(0.51, 19), STANDARD)?.best).toEqual(other)
  })

  test('without fresh seeds there is none', () => {
    expect(verdictOf([record(STANDARD, CHOOSING_SEEDS[0], 1)], STANDARD)).toBeNull()
  })

  test('standard error', () => {
    expect(standardError([1])).toBeNull()
    expect(standardError([1, 2, 3, 4])).toBeCloseTo(0.6455, 4)
  })
})

describe('tables', () => {
  const other = { ...STANDARD, num_epochs: 40 }
  const result = (gains: readonly number[]) => {
    const runs = [
      ...CHOOSING_SEEDS.flatMap((seed) => [record(STANDARD, seed, 0.5), record(other, seed, 0.9)]),
      ...gains.flatMap((gain, i) => [record(STANDARD, 173 + i, 0.5), record(other, 173 + i, 0.5 + gain)]),
    ]
    return { name: 'past-tense', title: 'Past tense', model: 'm', standard: STANDARD, records: runs }
  }

  test.each([
    [[0.02, 0.04], '| epochs 40 | 53.0 % | +3.0 ± 1.0 | yes |'],
    [[0, 0.2, 0.1], '| epochs 40 | 60.0 % | +10.0 ± 5.8 | not shown |'],
    [[0.1, 0.1], '| epochs 40 | 60.0 % | +10.0 ± 0.0 | **no** |'],
  ])('gains %j on fresh seeds', (gains, cells) => {
    const text = markdown([result(gains)], 'a machine')
    expect(text).toContain(cells)
    expect(text).toContain('| 40 | +40.0 | 1 | +40.0 | +40.0 |')
  })

  test('learning rates: the lowest loss of a model, and how far auto is from the best', () => {
    const runs = [0.125, AUTO_RATIO, 1].flatMap((ratio, i) =>
      [73, 74].map((seed) => record({ ...STANDARD, ratio }, seed, 0.5 + 0.1 * i, 1 + Math.abs(i - 2))),
    )
    const older = { ...record({ ...STANDARD, ratio: 0.125 }, 73, 0, 9), model_sha256: 'older' }
    const text = learningRateTable([older, ...runs])
    expect(text).toContain('| m | 8 | 0.1 | 20 | 2 | 50 / 3.00 | 60 / 2.00 | 70 / **1.00** | 1 | 10 / 1.00 |')
  })
})

describe('records', () => {
  const folder = mkdtempSync(join(tmpdir(), 'promptlathe-test-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  test('are there in the next process; another model, setting or seed is another run', () => {
    const path = join(folder, 'sweep.jsonl')
    const first = record(STANDARD, 73, 0.5)
    new RunRecords(path).add(first)
    const again = new RunRecords(path)
    expect(again.find(first)).toEqual(first)
    for (const change of [{ model_sha256: 't' }, { seed: 74 }, { data: 'e' }, { setting: { ...STANDARD, batch_size: 4 } }])
      expect(again.find({ ...first, ...change })).toBeUndefined()
    again.add(record(STANDARD, 74, 0.6))
    expect(again.prune(({ seed }) => seed === 74)).toBe(1)
    expect(new RunRecords(path).all().map(({ seed }) => seed)).toEqual([74])
  })
})

describe('the file of records', () => {
  const folder = mkdtempSync(join(tmpdir(), 'promptlathe-test-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  test('what another process added is seen, half a line of a killed one dropped, a line that is no run named', () => {
    const path = join(folder, 'sweep.jsonl')
    const [ours, theirs] = [new RunRecords(path), new RunRecords(path)]
    ours.add(record(STANDARD, 73, 0.5))
    theirs.add(record(STANDARD, 74, 0.6))
    expect(ours.all().map(({ seed }) => seed)).toEqual([73, 74])
    appendFileSync(path, '{"task":"cut o')
    const later = new RunRecords(path)
    later.add(record(STANDARD, 75, 0.7))
    expect(ours.all().map(({ seed }) => seed)).toEqual([73, 74, 75])
    appendFileSync(path, '{"task":"no run"}\n')
    expect(() => new RunRecords(path)).toThrow(/line 4 is no run/)
  })
})

describe('the same model in other coordinates', () => {
  const file = new Uint8Array(readFileSync(new URL('../fixtures/onnx/llama_t441_past.onnx', import.meta.url)))
  const model = readModel(file)
  const hidden = 32
  const random = new Random(1, 'rotation')
  const ids = [3, 14, 15, 92, 65, 35]

  test.each([
    ['8 x', scaling(hidden, 8)],
    ['1/8 x', scaling(hidden, 1 / 8)],
    ['rotated', rotation(hidden, () => random.normal())],
    ['twice as wide', repetition(hidden, 2)],
  ])('%s: the same logits', async (_, basis) => {
    const expected = (await runOnnx(file, ids, ['logits'])).get('logits')
    const changed = rebased(model, basis)
    const logits = (await runOnnx(concatBytes(writeModel(changed)), ids, ['logits'])).get('logits')
    if (!expected || !logits) throw new Error('no logits')
    const largest = Math.max(...expected.data.map(Math.abs))
    logits.data.forEach((x, i) => expect(Math.abs(x - (expected.data[i] ?? NaN))).toBeLessThan(1e-5 * largest))
    expect([...changed.graph.initializers.values()]).not.toEqual([...model.graph.initializers.values()])
  })

  test('a model that is not of the kind is refused by the node that says so', () => {
    const gpt2 = readModel(new Uint8Array(readFileSync(new URL('../fixtures/onnx/gpt2_t433_past.onnx', import.meta.url))))
    expect(() => rebased(gpt2, scaling(hidden, 2))).toThrow(/Add|reads the residual stream/)
  })
})
