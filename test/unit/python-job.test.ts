import fc from 'fast-check'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FormatError } from '../../src/formats/format-error'
import { readPeftAdapter } from '../../src/formats/peft-read'
import type { MultitaskPrompt } from '../../src/formats/prompt-tensors'
import { exportPythonJob, type PythonJobInput } from '../../src/formats/python-job'
import { readSafetensors } from '../../src/formats/safetensors'
import { checkJob } from '../../src/job/check-job'
import { parseJobFile } from '../../src/job/job-file'
import type { Job } from '../../src/job/parameters'
import type { Example } from '../../src/job/records'
import { builderFor, templateOf, type SequenceLimits } from '../../src/tuning/sequences'
import type { Tokenizer } from '../../src/tuning/tokenizer'
import { charTokenizer } from '../support/char-tokenizer'
import { pythonWith, runPython } from '../support/python'

function job(fields: Record<string, unknown> = {}): Job {
  const checked = checkJob({ base_model: 'org/model', ...fields })
  if (!checked.ok) throw new Error(JSON.stringify(checked.problems))
  return checked.job
}
const rows = (count: number, task?: (i: number) => string): Example[] =>
  Array.from({ length: count }, (_, i) => ({
    input: `the film was ${i % 2 ? 'great' : 'dull'} ${['one', 'two', 'three', 'four'][i % 4] ?? ''}`,
    output: i % 2 ? 'good' : 'bad',
    ...(task ? { task: task(i) } : {}),
  }))
const input = (fields: Record<string, unknown> = {}, more: Partial<PythonJobInput> = {}): PythonJobInput => ({
  job: job(fields),
  name: 'Good or bad?',
  kind: 'causal-lm',
  train: rows(6),
  validation: rows(2),
  resolved_learning_rate: 0.02,
  max_positions: 48,
  source: null,
  on_hub: true,
  ...more,
})
const written = (made: PythonJobInput) =>
  new Map(exportPythonJob(made).files.map(({ path, bytes }) => [path, new TextDecoder().decode(bytes)]))
const json = (text: string | undefined): unknown => JSON.parse(text ?? '')

const multitaskSource: MultitaskPrompt = {
  tuning_type: 'MULTITASK_PROMPT_TUNING',
  kind: 'seq2seq',
  num_virtual_tokens: 3,
  hidden_size: 16,
  output_model_types: ['ENCODER', 'DECODER'],
  prompt_embeddings: Float32Array.from({ length: 6 * 16 }, (_, i) => Math.sin(i)),
  num_tasks: 2,
  num_ranks: 2,
  prefix_task_cols: Float32Array.from({ length: 2 * 6 * 2 }, (_, i) => 0.7 + Math.sin(i * 3) / 10),
  prefix_task_rows: Float32Array.from({ length: 2 * 2 * 16 }, (_, i) => 0.7 + Math.cos(i * 5) / 10),
  task_names: ['a', 'b'],
}

describe('exportPythonJob', () => {
  it('writes a folder whose job file is a job file of ours, with the rows as they were split', () => {
    const made = input({ verbalizer: 'Say: {{input}} ->', num_epochs: 3 })
    const files = written(made)
    expect([...files.keys()]).toEqual([
      'README.md',
      'train.py',
      'prompts.py',
      'sequences.py',
      'requirements.txt',
      'job.json',
      'resolved.json',
      'train.jsonl',
      'validation.jsonl',
      'caikit_train_request.json',
    ])
    expect(parseJobFile(json(files.get('job.json')))).toMatchObject({
      ok: true,
      file: {
        name: 'Good or bad?',
        // A job file's validation is the file here, so the share is the default again.
        job: { ...made.job, validation: 0.2 },
        train: { kind: 'path', path: 'train.jsonl' },
        validation: { kind: 'path', path: 'validation.jsonl' },
      },
    })
    expect(files.get('train.jsonl')?.trim().split('\n').map(json)).toEqual(made.train)
    expect(json(files.get('resolved.json'))).toEqual({
      kind: 'causal-lm',
      learning_rate: 0.02,
      max_positions: 48,
      tuning_config: { output_model_types: ['DECODER'], num_tasks: 1 },
    })
    for (const path of ['train.py', 'prompts.py', 'sequences.py', 'requirements.txt'])
      expect(files.get(path)).toBe(readFileSync(`src/formats/python/${path}`, 'utf8'))
  })

  it('has no validation file without validation rows, and keeps tasks and odd characters', () => {
    const files = written(input({}, { validation: [], train: [{ input: 'a\ud800\u2028\n', output: '😀', task: 'x' }] }))
    expect(files.has('validation.jsonl')).toBe(false)
    expect(json(files.get('job.json'))).toMatchObject({ validation: 0 })
    expect(files.get('train.jsonl')?.split('\n')).toHaveLength(2)
    expect(json(files.get('train.jsonl'))).toEqual({ input: 'a\ufffd\u2028\n', output: '😀', task: 'x' })
  })

  it('resolves the learning rate only where it is "auto"', () => {
    const rate = (fields: object, resolved: number | null) =>
      json(written(input({ ...fields }, { resolved_learning_rate: resolved })).get('resolved.json'))
    expect(rate({ learning_rate: 0.5 }, 0.02)).toMatchObject({ learning_rate: 0.5 })
    expect(rate({}, null)).toMatchObject({ learning_rate: null })
  })

  it('names what is missing', () => {
    const refuse = (made: PythonJobInput, message: string) =>
      expect(() => exportPythonJob(made)).toThrow(new FormatError(message))
    refuse(input({}, { train: [] }), 'there are no training rows')
    const source = { prompt_tuning_init_method: 'AVERAGE_SOURCE', prompt_tuning_init_source_model: 'mine' }
    const fields = { tuning_type: 'MULTITASK_PROMPT_TUNING', tuning_config: source }
    refuse(input(fields), 'prompt_tuning_init_method AVERAGE_SOURCE needs its source prompt')
    const encoder = { tuning_config: { output_model_types: ['ENCODER'] } }
    refuse(input(encoder), 'a causal model has no encoder to put a prompt in front of')
    expect(exportPythonJob(input({}, { on_hub: false })).notices).toEqual([expect.stringContaining('--base-model FOLDER')])
  })
})

describe('the caikit train request', () => {
  const request = (made: PythonJobInput) => json(written(made).get('caikit_train_request.json'))
  const differences = (made: PythonJobInput) => (written(made).get('README.md') ?? '').split('## caikit')[1] ?? ''

  it('has the fields of caikit-nlp', () => {
    const text = { prompt_tuning_init_method: 'TEXT', prompt_tuning_init_text: 'good or bad', num_virtual_tokens: 8 }
    expect(request(input({ tuning_config: text, accumulate_steps: 4 }))).toEqual({
      model_name: 'Good-or-bad',
      parameters: {
        base_model: 'org/model',
        train_stream: { jsondata: { data: rows(6) } },
        tuning_config: { ...text, output_model_types: ['DECODER'] },
        tuning_type: 'PROMPT_TUNING',
        num_epochs: 20,
        learning_rate: 0.02,
        verbalizer: '{{input}}',
        batch_size: 8,
        max_source_length: 256,
        max_target_length: 128,
        accumulate_steps: 4,
        torch_dtype: 'float32',
        silence_progress_bars: false,
        seed: 73,
      },
    })
  })

  it('leaves many rows in their file, and tells upstream its own names', () => {
    const fields = {
      tuning_type: 'MULTITASK_PROMPT_TUNING',
      tuning_config: { prompt_tuning_init_method: 'AVERAGE_SOURCE', prompt_tuning_init_source_model: 'mine' },
    }
    const made = input(fields, { kind: 'seq2seq', train: rows(1001), source: multitaskSource })
    expect(request(made)).toMatchObject({
      parameters: {
        train_stream: { file: { filename: 'train.jsonl' } },
        tuning_config: {
          prompt_tuning_init_method: 'AVERAGE_SOURCE_TASKS',
          prompt_tuning_init_source_model: 'source_prompt.safetensors',
          output_model_types: ['ENCODER'],
        },
      },
    })
    const source = exportPythonJob(made).files.find(({ path }) => path === 'source_prompt.safetensors')
    expect([...readSafetensors(source?.bytes ?? new Uint8Array(0)).tensors.keys()].sort()).toEqual([
      'prefix_task_cols',
      'prefix_task_rows',
      'prompt_embeddings',
    ])
  })

  it('says what caikit-nlp does otherwise, and nothing that does not matter here', () => {
    const like = { preset: 'caikit' }
    expect(differences(input(like, { validation: [] }))).not.toMatch(/^- /m)
    const said = differences(
      input(
        {
          schedule: 'cosine',
          optimizer: 'adafactor',
          weight_decay: 0,
          max_grad_norm: 1,
          early_stopping_patience: 3,
          accumulate_steps: 2,
          base_model: 'org/mod èle',
          tuning_type: 'MULTITASK_PROMPT_TUNING',
          tuning_config: {
            prompt_tuning_init_method: 'CLASS_LABELS',
            num_tasks: 2,
            num_ranks: 2,
            output_model_types: ['DECODER'],
          },
        },
        { kind: 'seq2seq', resolved_learning_rate: null },
      ),
    )
    for (const word of [
      'learning_rate',
      'val_stream',
      'early_stopping_patience',
      'CLASS_LABELS',
      'encoder only',
      'num_tasks',
      'num_ranks',
      'optimizer',
      'weight_decay',
      'linear without warm-up',
      'max_grad_norm',
      'accumulated batches',
      'refuses the characters',
    ])
      expect(said).toContain(word)
  })
})

const python3 = pythonWith()
describe.skipIf(python3 === null)(`the Python files${python3 === null ? ' (no python3 here)' : ''}`, () => {
  it('compile', () => {
    const program = 'import sys; [compile(open(path).read(), path, "exec") for path in sys.argv[1:]]'
    const paths = ['train.py', 'prompts.py', 'sequences.py'].map((name) => `src/formats/python/${name}`)
    runPython(python3 ?? '', ['-c', program, ...paths])
  })

  it('build the sequences of src/tuning/sequences.ts', () => {
    const text = fc.oneof(
      fc.string({ maxLength: 60 }),
      fc.string({ unit: 'grapheme', maxLength: 30 }),
      fc.constantFrom('', '{{input}}', '$& $1', '{{output}}'),
    )
    const arbitrary = fc.record({
      kind: fc.constantFrom('causal-lm' as const, 'seq2seq' as const),
      example: fc.record({ input: text, output: text }),
      verbalizer: fc.constantFrom(
        '{{input}}',
        'Say {{input}} ->',
        '{{input}}{{input}}',
        '{{{input}}} {{ input }} {{x}}',
        'é😀{{input}}',
      ),
      max_source_length: fc.integer({ min: 1, max: 40 }),
      max_target_length: fc.integer({ min: 1, max: 20 }),
      encoder_tokens: fc.constantFrom(0, 3),
      decoder_tokens: fc.constantFrom(0, 3, 8),
      max_positions: fc.option(fc.integer({ min: 1, max: 50 })),
      start: fc.option(fc.constant(7)),
      preset: fc.option(fc.constant('caikit' as const)),
      bos: fc.boolean(),
      eos: fc.boolean(),
    })
    const samples = fc.sample(arbitrary, { numRuns: 3000, seed: 73 })
    const cases = samples.map(({ kind, start, example, verbalizer, preset, bos, eos, ...limits }) => ({
      example,
      verbalizer,
      preset,
      bos,
      eos,
      limits: { kind, ...limits, decoder_start_token_id: start },
    }))
    const ours = samples.map((sample) => {
      const plain = charTokenizer(sample.bos)
      const tokenizer: Tokenizer = {
        ...plain,
        decoder_start_token_id: sample.start,
        encode: (said, options) => [...plain.encode(said, options), ...(sample.eos && options.add_special_tokens ? [1] : [])],
      }
      const { kind, max_source_length, max_target_length, max_positions, encoder_tokens, decoder_tokens } = sample
      const virtual_tokens = { encoder: encoder_tokens, decoder: decoder_tokens }
      const limits: SequenceLimits = { kind, max_source_length, max_target_length, max_positions, virtual_tokens }
      try {
        return { ...builderFor(sample, kind)(sample.example, templateOf(sample.verbalizer), limits, tokenizer, 0) }
      } catch {
        return null
      }
    })
    const program = ['test/python/sequences_cases.py', 'src/formats/python']
    const theirs = v.parse(
      v.array(v.record(v.string(), v.unknown())),
      JSON.parse(runPython(python3 ?? '', program, JSON.stringify(cases))),
    )
    expect(theirs).toHaveLength(ours.length)
    theirs.forEach((result, i) => expect('error' in result ? null : result, JSON.stringify(cases[i])).toEqual(ours[i]))
    // Both kinds of outcome are there, and cuts.
    expect(ours.filter((made) => made === null).length).toBeGreaterThan(100)
    expect(ours.filter((made) => made?.truncated_source).length).toBeGreaterThan(100)
  })
})

const peft = pythonWith('torch', 'transformers', 'peft', 'accelerate')
const LONG = 240_000
describe.skipIf(peft === null)(
  `train.py${peft === null ? ' (no python3 with torch, transformers, peft and accelerate here)' : ''}`,
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'python-job-'))
    beforeAll(() => void runPython(peft ?? '', ['test/python/tiny_models.py', join(folder, 'models')]), LONG)
    afterAll(() => rmSync(folder, { recursive: true, force: true }))
    const step = v.object({ step: v.number(), epoch: v.number(), loss: v.number(), learning_rate: v.number() })
    const evaluation = v.object({
      exact_match: v.number(),
      by_task: v.optional(v.record(v.string(), v.number())),
      predictions: v.array(v.object({ expected: v.string(), predicted: v.string(), exact: v.boolean() })),
    })
    const ReportSchema = v.object({
      learning_rate: v.number(),
      steps: v.array(step),
      epochs: v.array(v.object({ validation_loss: v.nullable(v.number()) })),
      baseline: v.nullable(evaluation),
      tuned: v.nullable(evaluation),
      best_epoch: v.number(),
    })

    const CASES: [string, PythonJobInput][] = [
      [
        'causal, PROMPT_TUNING from TEXT',
        input(
          {
            tuning_config: { num_virtual_tokens: 4, prompt_tuning_init_method: 'TEXT', prompt_tuning_init_text: 'the film was' },
          },
          { train: rows(10), resolved_learning_rate: null },
        ),
      ],
      [
        'causal, MULTITASK_PROMPT_TUNING of two tasks',
        input(
          { tuning_type: 'MULTITASK_PROMPT_TUNING', tuning_config: { num_virtual_tokens: 4, num_tasks: 2, num_ranks: 2 } },
          { train: rows(10, (i) => (i % 3 ? 'a' : 'b')), validation: rows(4, (i) => (i % 3 ? 'a' : 'b')) },
        ),
      ],
      [
        'seq2seq, PROMPT_TUNING in the DECODER from CLASS_LABELS, Adafactor',
        input(
          {
            optimizer: 'adafactor',
            max_grad_norm: 1,
            tuning_config: { num_virtual_tokens: 4, prompt_tuning_init_method: 'CLASS_LABELS', output_model_types: ['DECODER'] },
          },
          { kind: 'seq2seq', max_positions: null, train: rows(10) },
        ),
      ],
      [
        'seq2seq, MULTITASK_PROMPT_TUNING in both from AVERAGE_SOURCE',
        input(
          {
            tuning_type: 'MULTITASK_PROMPT_TUNING',
            tuning_config: {
              num_virtual_tokens: 3,
              num_ranks: 2,
              prompt_tuning_init_method: 'AVERAGE_SOURCE',
              prompt_tuning_init_source_model: 'mine',
              output_model_types: ['ENCODER', 'DECODER'],
            },
          },
          { kind: 'seq2seq', max_positions: null, train: rows(10), source: multitaskSource },
        ),
      ],
    ]

    it.each(CASES)(
      '%s: learns, and its adapter is read here',
      (name, made) => {
        const training = {
          num_epochs: 6,
          batch_size: 4,
          accumulate_steps: 2,
          learning_rate: made.resolved_learning_rate === null ? 'auto' : 0.1,
        }
        const run = { ...made, job: { ...made.job, ...training } as Job }
        const place = join(folder, name.replace(/\W+/g, '-'))
        mkdirSync(place)
        for (const { path, bytes } of exportPythonJob(run).files) writeFileSync(join(place, path), bytes)
        const out = join(place, 'out')
        const args = [join(place, 'train.py'), '--out', out, '--base-model', join(folder, 'models', run.kind)]
        const said = runPython(peft ?? '', ['-W', 'ignore', ...args])
        expect(said).toContain('held out: exact match')

        const report = v.parse(ReportSchema, JSON.parse(readFileSync(join(out, 'report.json'), 'utf8')))
        // 10 rows in batches of 4, two at a time: two steps an epoch, the second of one short batch.
        expect(report.steps).toHaveLength(12)
        const losses = report.steps.map(({ loss }) => loss)
        const early = (losses[0] ?? 0) + (losses[1] ?? 0)
        const late = (losses[10] ?? 0) + (losses[11] ?? 0)
        expect(late).toBeLessThan(early)
        expect(report.steps.at(-1)?.learning_rate).toBeCloseTo(report.learning_rate / 12, 10)
        expect(report.tuned?.predictions).toHaveLength(run.validation.length)
        expect(report.best_epoch).toBe(
          1 +
            report.epochs.reduce(
              (best, { validation_loss }, i) => ((validation_loss ?? 0) < (report.epochs[best]?.validation_loss ?? 0) ? i : best),
              0,
            ),
        )
        if (run.job.tuning_config.num_tasks > 1) expect(Object.keys(report.tuned?.by_task ?? {})).toEqual(['a', 'b'])

        const files = ['adapter_config.json', 'adapter_model.safetensors'].map(
          (file) => [file, new Uint8Array(readFileSync(join(out, 'prompt', file)))] as const,
        )
        const { prompt, config } = readPeftAdapter(new Map(files), { kind: run.kind, hidden_size: 16 })
        expect(prompt).toMatchObject({
          tuning_type: run.job.tuning_type,
          num_virtual_tokens: run.job.tuning_config.num_virtual_tokens,
        })
        expect(config.base_model_name_or_path).toBe('org/model')
        if (prompt.tuning_type === 'MULTITASK_PROMPT_TUNING')
          expect([prompt.num_tasks, prompt.num_ranks]).toEqual([run.job.tuning_config.num_tasks, run.job.tuning_config.num_ranks])
      },
      LONG,
    )
  },
)
