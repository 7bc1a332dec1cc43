/** The command line as a user calls it: `npm run tune`, `npm run generate` and `npm run inspect`, by their exit codes, what they print and what they write. */
import { execFile } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ensureBuilt, listFiles, ROOT } from '../../cli/serve'
import { readPeftAdapter } from '../../src/formats/peft-read'
import type { OnnxModel } from '../../src/graph/ir'
import { readModel } from '../../src/graph/read'
import { concatBytes, writeModel } from '../../src/graph/write'
import { inPrecision, PRECISIONS } from '../support/quantize'

const LONG = 200_000
const folder = mkdtempSync(join(tmpdir(), 'promptlathe-cli-'))
const here = (path: string): string => join(folder, path)

beforeAll(() => ensureBuilt((line) => console.log(line)), LONG)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

interface Ran {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** `npm run SCRIPT -- ARGS`, with a browser profile of the test's own. */
function npmRun(script: 'tune' | 'generate' | 'inspect', ...args: readonly string[]): Promise<Ran> {
  const env = { ...process.env, XDG_CACHE_HOME: here('cache') }
  return new Promise((resolve) => {
    execFile('npm', ['run', '--silent', script, '--', ...args], { cwd: ROOT, env }, (error, stdout, stderr) =>
      resolve({ status: error === null ? 0 : Number(error.code), stdout, stderr }),
    )
  })
}

const JOB = {
  base_model: 'promptlathe/tiny-causal',
  device: 'wasm',
  num_epochs: 2,
  batch_size: 4,
  validation: 0.25,
  seed: 7,
  verbalizer: '{{input}} ->',
  tuning_config: { num_virtual_tokens: 3 },
}
const RECORDS = [
  ...['good', 'fine', 'great', 'lovely', 'bright', 'kind', 'warm', 'calm'].map((word) => ({
    input: `a ${word} day`,
    output: ' yes',
  })),
  ...['bad', 'poor', 'awful', 'ugly', 'dull', 'mean', 'cold', 'grim'].map((word) => ({ input: `a ${word} day`, output: ' no' })),
]

function writeJob(name: string, job: object): string {
  writeFileSync(here(name), JSON.stringify(job))
  return here(name)
}

const rate = v.pipe(v.number(), v.minValue(0), v.maxValue(1))
const positive = v.pipe(v.number(), v.finite(), v.gtValue(0))
const whole = v.pipe(v.number(), v.integer(), v.minValue(0))
const Metrics = v.object({ loss: positive, exact_match: rate, label_accuracy: v.nullable(rate) })
const Evaluation = v.object({
  metrics: Metrics,
  predictions: v.array(v.object({ input: v.string(), expected: v.string(), predicted: v.string(), exact: v.boolean() })),
})
/** Line 9 of the issue, field for field. */
const Report = v.object({
  device: v.string(),
  seed: whole,
  steps: v.array(v.object({ step: whole, epoch: whole, loss: positive, learning_rate: v.number(), ms: positive })),
  epochs: v.array(v.object({ train_loss: positive, validation_loss: positive, metrics: Metrics })),
  baseline: Evaluation,
  tuned: Evaluation,
  counters: v.object({
    dispatches: v.pipe(v.number(), v.minValue(0)),
    submits: v.pipe(v.number(), v.minValue(0)),
    buffers_created: v.pipe(v.number(), v.minValue(0)),
    live_tensors: whole,
  }),
  peak_memory_bytes: whole,
  seconds: positive,
})

const adapterFiles = (out: string): Map<string, Uint8Array> =>
  new Map(listFiles(join(out, 'prompt')).map((path) => [path, new Uint8Array(readFileSync(join(out, 'prompt', path)))]))

describe('npm run tune', () => {
  test(
    'writes prompt, report and model; the same job again gives the same prompt, byte for byte',
    { timeout: LONG },
    async () => {
      const job = writeJob('job.json', { ...JOB, train: RECORDS })
      const first = await npmRun('tune', job, '--out', here('first'), '--bake')
      expect(first, first.stderr).toMatchObject({ status: 0 })
      expect(first.stdout).toContain('written to')
      expect(readdirSync(here('first')).sort()).toEqual(['model', 'prompt', 'report.json'])
      const model = listFiles(here('first/model'))
      for (const path of ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'onnx/model.onnx'])
        expect(model).toContain(path)

      const report = v.parse(Report, JSON.parse(readFileSync(here('first/report.json'), 'utf8')))
      // 12 rows of 16 in batches of 4, twice.
      expect(report.steps.map(({ step, epoch }) => [step, epoch])).toEqual([1, 2, 3, 4, 5, 6].map((n) => [n, n <= 3 ? 1 : 2]))
      expect(report).toMatchObject({ device: 'wasm', seed: 7 })
      expect(report.epochs).toHaveLength(2)
      expect(report.epochs[1]?.train_loss).toBeLessThan(report.epochs[0]?.train_loss ?? 0)
      expect([report.baseline, report.tuned].map(({ predictions }) => predictions.length)).toEqual([4, 4])
      expect(report.tuned.metrics.loss).toBeLessThan(report.baseline.metrics.loss)
      const right = report.tuned.predictions.filter(({ exact }) => exact).length
      expect(report.tuned.metrics.exact_match).toBe(right / 4)
      for (const { expected, predicted, exact } of report.tuned.predictions)
        expect(exact).toBe(expected.trim() === predicted.trim())
      expect(report.peak_memory_bytes).toBeGreaterThan(1e6)

      const adapter = readPeftAdapter(adapterFiles(here('first')), { kind: 'causal-lm', hidden_size: 192 })
      expect(adapter).toMatchObject({ prompt: { num_virtual_tokens: 3 }, base_model: 'promptlathe/tiny-causal' })

      const second = await npmRun('tune', job, '--out', here('second'))
      expect(second, second.stderr).toMatchObject({ status: 0 })
      expect(readdirSync(here('second')).sort()).toEqual(['prompt', 'report.json'])
      expect(adapterFiles(here('second'))).toEqual(adapterFiles(here('first')))
    },
  )

  test('--check names every problem as field: message', { timeout: LONG }, async () => {
    const job = writeJob('wrong.json', {
      ...JOB,
      num_epochs: 0,
      batch_sise: 4,
      device: 'tpu',
      tuning_config: { num_virtual_tokens: -1 },
      train: RECORDS,
    })
    const { status, stderr, stdout } = await npmRun('tune', job, '--check')
    expect(status).toBe(2)
    expect(stdout).toBe('')
    const fields = stderr
      .trim()
      .split('\n')
      .map((line) => /^([\w.]+): \S/.exec(line)?.[1])
    expect(fields.sort()).toEqual(['batch_sise', 'device', 'num_epochs', 'tuning_config.num_virtual_tokens'])
  })

  test('takes a .csv beside the job file; a missing one is a problem of the field train', { timeout: LONG }, async () => {
    writeFileSync(
      here('rows.csv'),
      ['input,output', ...RECORDS.map(({ input, output }) => `${input},${output.trim()}`)].join('\n'),
    )
    const good = await npmRun('tune', writeJob('csv.json', { ...JOB, num_epochs: 1, train: 'rows.csv' }), '--out', here('csv'))
    expect(good, good.stderr).toMatchObject({ status: 0 })
    const report = v.parse(Report, JSON.parse(readFileSync(here('csv/report.json'), 'utf8')))
    expect(report.steps).toHaveLength(3)

    const missing = await npmRun('tune', writeJob('missing.json', { ...JOB, train: 'nowhere.csv' }), '--out', here('missing'))
    expect(missing.status).toBe(2)
    expect(missing.stderr).toMatch(/^train: "nowhere\.csv" does not exist$/m)
    expect(readdirSync(folder)).not.toContain('missing')
  })
})

const Answer = v.strictObject({
  text: v.string(),
  tokens: whole,
  input_tokens: whole,
  finish_reason: v.string(),
  seed: whole,
  ms: positive,
})
const answerOf = ({ stdout }: Ran) => v.parse(Answer, JSON.parse(stdout))

describe('npm run generate', () => {
  test('answers with what npm run tune wrote, as it measured it', { timeout: LONG }, async () => {
    const out = here('to-try')
    const tuned = await npmRun('tune', writeJob('to-try.json', { ...JOB, train: RECORDS }), '--out', out)
    expect(tuned, tuned.stderr).toMatchObject({ status: 0 })
    const [row] = v.parse(Report, JSON.parse(readFileSync(join(out, 'report.json'), 'utf8'))).tuned.predictions
    const asked = ['--input', row?.input ?? '', '--max-new-tokens', '12']

    const plain = await npmRun('generate', '--prompt', out, ...asked)
    expect(plain, plain.stderr).toMatchObject({ status: 0 })
    expect(plain.stdout.trim()).toMatch(/\S/)
    // The template comes from the report: without it the model reads another text, and is measured on none.
    expect(plain.stdout.trim().startsWith(row?.predicted.trim() ?? '?')).toBe(true)
    expect(plain.stderr).toMatch(/^(EOS_TOKEN|MAX_TOKENS): \d+ tokens in [\d.]+ s after \d+ of input$/m)

    const json = answerOf(await npmRun('generate', '--prompt', join(out, 'prompt'), ...asked, '--json'))
    expect(json.text.trim()).toBe(plain.stdout.trim())
    const [first = ''] = json.text.trim()
    const stopped = answerOf(await npmRun('generate', '--prompt', out, ...asked, '--json', `--stop_sequences=${first}`))
    expect(stopped).toMatchObject({ finish_reason: 'STOP_SEQUENCE', text: json.text.slice(0, json.text.indexOf(first) + 1) })
  })

  test('the untuned embedded encoder-decoder', { timeout: LONG }, async () => {
    const ran = await npmRun('generate', '--base-model', 'promptlathe/tiny-seq2seq', '--input', 'Plural:\nbaby', '--json')
    expect(ran, ran.stderr).toMatchObject({ status: 0 })
    expect(answerOf(ran)).toMatchObject({ finish_reason: 'EOS_TOKEN', seed: 73 })
    expect(answerOf(ran).text).toMatch(/\w/)
  })

  test('what is wrong is said at once, by name', { timeout: LONG }, async () => {
    const wrong = ['--top_p', '2', '--max-new-tokens=1', '--min-new-tokens=4', '--tempreture=1']
    const { status, stdout, stderr } = await npmRun('generate', '--prompt', here('nowhere'), ...wrong)
    expect([status, stdout]).toEqual([2, ''])
    const fields = stderr.split('\n').flatMap((line) => /^(--)?([\w.]+): \S/.exec(line)?.[2] ?? [])
    expect(fields.sort()).toEqual(['max_new_tokens', 'tempreture', 'top_p'])
    const missing = await npmRun('generate', '--prompt', here('nowhere'), '--input', 'x')
    expect(missing.status).toBe(2)
    expect(missing.stderr).toMatch(/^prompt: ".*nowhere": no adapter_config\.json/m)
  })
})

const Inspection = v.object({
  model: v.string(),
  summary: v.string(),
  kind: v.string(),
  ops: v.record(v.string(), whole),
  unsupported: v.array(v.unknown()),
  fused: v.pipe(v.string(), v.regex(/^\d+\/\d+$/)),
  parameters: whole,
  self_test: v.nullable(v.object({ max_abs_diff: v.number(), tolerance: v.number(), ok: v.boolean() })),
  reference: v.nullable(v.object({ logits_max_abs_diff: v.number(), gradient_max_rel_diff: v.number(), ok: v.boolean() })),
  error: v.nullable(v.string()),
})
const inspections = (stdout: string) =>
  stdout
    .trim()
    .split('\n')
    .map((line) => v.parse(Inspection, JSON.parse(line)))

describe('npm run inspect', () => {
  test('a model folder: what it is made of, and that onnxruntime agrees', { timeout: LONG }, async () => {
    const model = 'public/models/promptlathe/tiny-causal'
    const { status, stdout, stderr } = await npmRun('inspect', model, '--device', 'wasm')
    expect(status, stdout + stderr).toBe(0)
    const [line, ...more] = inspections(stdout)
    expect(more).toEqual([])
    expect(line).toMatchObject({ model, kind: 'causal-lm', unsupported: [], self_test: { ok: true }, error: null })
    expect(line?.parameters).toBeGreaterThan(1e6)
  })

  test('a file against torch, and a broken file by what is wrong and where', { timeout: LONG }, async () => {
    const reference = ['--reference', 'test/fixtures/onnx/gpt2_t433.reference.json', '--device', 'wasm']
    const good = await npmRun('inspect', 'test/fixtures/onnx/reference-models/gpt2_t433_past.onnx', ...reference)
    expect(good.status, good.stdout + good.stderr).toBe(0)
    const [line] = inspections(good.stdout)
    expect(line).toMatchObject({ self_test: { ok: true }, reference: { ok: true } })
    expect(line?.reference?.logits_max_abs_diff).toBeLessThan(1e-4)
    expect(line?.reference?.gradient_max_rel_diff).toBeLessThan(1e-4)

    // The same file cut short, and one that is whole: both are reported, and one that can't be tuned is enough to fail.
    const whole = readFileSync(join(ROOT, 'test/fixtures/onnx/llama_t441_past.onnx'))
    writeFileSync(here('broken.onnx'), whole.subarray(0, Math.floor(whole.length / 2)))
    copyFileSync(join(ROOT, 'test/fixtures/onnx/llama_t441_past.onnx'), here('whole.onnx'))
    const bad = await npmRun('inspect', here('broken.onnx'), here('whole.onnx'), '--device', 'wasm')
    expect(bad.status).toBe(1)
    const [broken, sound] = inspections(bad.stdout)
    expect(broken?.error).toMatch(/byte \d+/)
    expect(sound).toMatchObject({ error: null, self_test: { ok: true } })
  })

  test('a folder of exports: a line each, encoder and decoder as one model', { timeout: LONG }, async () => {
    const { status, stdout, stderr } = await npmRun('inspect', 'test/fixtures/onnx', '--device', 'wasm')
    const lines = inspections(stdout)
    expect(status, stdout + stderr).toBe(0)
    const models = lines.map(({ model }) => model.replace('test/fixtures/onnx/', ''))
    // The browser's build of onnxruntime has no wasm kernel for its embedding lookup.
    expect(models).toContain('genai_llama_q4_gbq.onnx')
    expect(models).toContain('t5_t433_encoder.onnx + t5_t433_decoder_model_merged.onnx')
    expect(models).toContain('reference-models/t5_t433_encoder.onnx + t5_t433_dec_nopast.onnx')
    expect(new Set(models).size).toBe(13)
    for (const { kind, model, summary, self_test } of lines) {
      expect(kind).toBe(model.includes(' + ') ? 'seq2seq' : 'causal-lm')
      expect(summary).toMatch(/^\S.*: (causal-lm|seq2seq), [\d.]+k parameters, can be tuned; /)
      expect(self_test?.ok).toBe(true)
    }
  })

  test(
    'graphs built in code, in every precision; one with an op nobody knows is refused by its name',
    { timeout: LONG },
    async () => {
      const model = readModel(new Uint8Array(readFileSync(join(ROOT, 'test/fixtures/onnx/llama_sdpa_past.onnx'))))
      mkdirSync(here('built'))
      const write = (name: string, file: OnnxModel) => {
        writeFileSync(here(join('built', name)), concatBytes(writeModel(file)))
      }
      for (const precision of PRECISIONS) write(`${precision.replaceAll(' ', '_')}.onnx`, inPrecision(model, precision).file)
      const all = await npmRun('inspect', here('built'), '--device', 'wasm')
      expect(all.status, all.stdout + all.stderr).toBe(0)
      expect(inspections(all.stdout)).toHaveLength(PRECISIONS.length)

      const nodes = model.graph.nodes.map((node) => (node.op_type === 'Sigmoid' ? { ...node, domain: 'ai.foreign' } : node))
      write('foreign.onnx', { ...model, opsets: new Map([...model.opsets, ['ai.foreign', 1]]), graph: { ...model.graph, nodes } })
      const one = await npmRun('inspect', here(join('built', 'foreign.onnx')), '--device', 'wasm')
      expect(one.status).toBe(1)
      expect(inspections(one.stdout)[0]?.summary).toMatch(/refused: .*of the domain 'ai\.foreign' \(Sigmoid at node/)
    },
  )
})
