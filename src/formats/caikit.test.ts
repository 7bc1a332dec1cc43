import { describe, expect, it } from 'vitest'
import { pythonWith, runPython } from '../../test/support/python'
import { readTorchPrompt, writeCaikitModule, type CaikitModule } from './caikit'
import { FormatError } from './format-error'
import { writePeftAdapter, type WrittenFiles } from './peft'
import { flattenPrompt, type MultitaskPrompt, type PromptTensors, type SingleTaskPrompt } from './prompt-tensors'
import { readTorchTensor, writeTorchTensor } from './torch-file'
import { trainingLogs } from './training-logs'

const module: CaikitModule = {
  base_model: 'org/tiny.model',
  base_model_config: {
    _name_or_path: '/home/me/secret',
    architectures: ['GPT2LMHeadModel'],
    layer_norm_epsilon: 1e-5,
    task_specific_params: { 'text-generation': { do_sample: true } },
  },
  eos_token: '</s>',
  verbalizer: 'Tweet: {{input}}\nLabel: ',
  created: '2025-03-01T10:20:30.5Z',
  saved: '2025-03-01T10:25:00.123Z',
  tracking_id: '11111111-2222-4333-8444-555555555555',
  steps: [
    { step: 1, epoch: 1, loss: 6.85 },
    { step: 2, epoch: 1, loss: 1e-7 },
    { step: 3, epoch: 2, loss: NaN },
  ],
  epoch_ends: ['2025-03-01T10:21:00.000Z', '2025-03-01T10:22:00.000Z'],
  local: null,
}
const causal: SingleTaskPrompt = {
  tuning_type: 'PROMPT_TUNING',
  kind: 'causal-lm',
  num_virtual_tokens: 2,
  hidden_size: 3,
  output_model_types: ['DECODER'],
  prompt_embeddings: Float32Array.of(1, 2, 3, 4, 5, 6),
}
const seq2seq: SingleTaskPrompt = {
  ...causal,
  kind: 'seq2seq',
  num_virtual_tokens: 1,
  output_model_types: ['ENCODER', 'DECODER'],
}
const multitask: MultitaskPrompt = {
  ...causal,
  tuning_type: 'MULTITASK_PROMPT_TUNING',
  num_tasks: 2,
  num_ranks: 1,
  prefix_task_cols: Float32Array.of(1, 2, 3, 4),
  prefix_task_rows: Float32Array.of(1, 2, 3, 4, 5, 6),
  task_names: ['sst2', 'mnli'],
}

const asMap = ({ files }: WrittenFiles) => new Map(files.map(({ path, bytes }) => [path, bytes]))
const textOf = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes)

describe('writeCaikitModule', () => {
  it('has every field of a saved module', () => {
    const files = asMap(writeCaikitModule(causal, module))
    expect([...files.keys()]).toEqual(['config.yml', 'decoder.pt', 'training_logs.jsonl'])
    expect(textOf(files.get('config.yml'))).toBe(`DECODER: "decoder.pt"
ENCODER: ""
base_model_config:
  architectures: ["GPT2LMHeadModel"]
  layer_norm_epsilon: 0.00001
  task_specific_params:
    "text-generation":
      do_sample: true
base_model_name: "tiny.model"
caikit_nlp_version: "0.0.0"
created: "2025-03-01 10:20:30.500000"
eos_token: "</s>"
has_base_model: false
module_class: "caikit_nlp.modules.text_generation.peft_prompt_tuning.PeftPromptTuning"
module_id: "6655831b-960a-4dc5-8df4-867026e2cd41"
name: "Peft generation"
output_model_types: "[\\"DECODER\\"]"
saved: "2025-03-01 10:25:00.123000"
task_type: "CAUSAL_LM"
tracking_id: "11111111-2222-4333-8444-555555555555"
trained_torch_dtype: "float32"
training_logs: "training_logs.jsonl"
tuning_type: "PROMPT_TUNING"
verbalizer: "Tweet: {{input}}\\nLabel: "
version: "0.1.0"
`)
    expect(readTorchTensor(files.get('decoder.pt') ?? new Uint8Array(0), 'decoder.pt')).toEqual({
      shape: [2, 3],
      data: causal.prompt_embeddings,
    })
  })

  it('has the training log even without steps', () => {
    const files = asMap(writeCaikitModule(causal, { ...module, steps: [], epoch_ends: [] }))
    expect(files.get('training_logs.jsonl')).toEqual(new Uint8Array(0))
  })

  it('gives each part of an encoder-decoder model its own rows', () => {
    const { files, notices } = writeCaikitModule(seq2seq, module)
    const written = asMap({ files, notices })
    const config = textOf(written.get('config.yml'))
    expect(config).toContain('ENCODER: "encoder.pt"\n')
    expect(config).toContain('DECODER: "decoder.pt"\n')
    expect(config).toContain('task_type: "SEQ_2_SEQ_LM"\n')
    expect(config).toContain('output_model_types: "[\\"ENCODER\\", \\"DECODER\\"]"\n')
    for (const [name, rows] of [
      ['encoder.pt', [1, 2, 3]],
      ['decoder.pt', [4, 5, 6]],
    ] as const)
      expect([...readTorchTensor(written.get(name) ?? new Uint8Array(0), name).data]).toEqual(rows)
    expect(notices.join('\n')).toMatch(/causal models only[^]*even number of rows only; this one has 1 /)
  })

  it('writes the flattened prompt of the task asked for', () => {
    for (const task of [0, 1]) {
      const { files, notices } = writeCaikitModule(multitask, module, task)
      const bytes = asMap({ files, notices }).get('decoder.pt') ?? new Uint8Array(0)
      expect(readTorchTensor(bytes, 'f').data).toEqual(flattenPrompt(multitask, task).prompt_embeddings)
      expect(notices.join('\n')).toContain(`the prompt of task "${multitask.task_names[task]}" only`)
    }
    expect(textOf(asMap(writeCaikitModule(multitask, module)).get('config.yml'))).toContain(
      'tuning_type: "MULTITASK_PROMPT_TUNING"',
    )
  })

  it("puts tokenizer and adapter inside for caikit's local backend", () => {
    const about = { base_model: 'org/tiny.model', revision: null, prompt_tuning_init_method: 'RANDOM' }
    const adapter = writePeftAdapter(causal, {
      ...about,
      prompt_tuning_init_text: null,
      num_layers: null,
      num_attention_heads: null,
    })
    const tokenizer = new Map([['tokenizer.json', new Uint8Array([1])]])
    const { files, notices } = writeCaikitModule(causal, { ...module, local: { adapter: adapter.files, tokenizer } })
    expect(files.map(({ path }) => path)).toEqual([
      'config.yml',
      'decoder.pt',
      'tiny.model/adapter_config.json',
      'tiny.model/adapter_model.safetensors',
      'tiny.model/tokenizer.json',
      'training_logs.jsonl',
    ])
    const config = textOf(files[0]?.bytes)
    expect(config).toContain('full_model_path: "tiny.model"\nhas_base_model: true\n')
    expect(config).toContain('tokenizer_path: "tiny.model"\n')
    expect(notices).toEqual([])
  })

  it.each([
    ['../../etc', 'etc'],
    ['..', 'model'],
    ['a b/c:d', 'c-d'],
    ['C:\\models\\gpt', 'gpt'],
  ])('a model called %j is %s in a path', (base_model, name) => {
    expect(textOf(asMap(writeCaikitModule(causal, { ...module, base_model })).get('config.yml'))).toContain(
      `base_model_name: "${name}"\n`,
    )
  })

  it('refuses what does not add up', () => {
    const refuse = (prompt: PromptTensors, change: Partial<CaikitModule>, message: string, task = 0) =>
      expect(() => writeCaikitModule(prompt, { ...module, ...change }, task)).toThrow(new FormatError(message))
    refuse({ ...causal, hidden_size: 4 }, {}, 'prompt_embeddings: 6 numbers for 2 x 4')
    refuse(causal, { created: 'today' }, '"today" is no ISO 8601 time in UTC')
    refuse(multitask, {}, 'task 2: the prompt has tasks 0 to 1', 2)
    const beyond = { ...multitask, prefix_task_rows: multitask.prefix_task_rows.map(() => 3e38) }
    refuse(beyond, {}, 'decoder.pt, tensor[0, 1] is Infinity')
  })

  const python = pythonWith('yaml')
  it.skipIf(python === null)(`config.yml means this to PyYAML${python === null ? ' (no python3 with yaml here)' : ''}`, () => {
    const config = textOf(asMap(writeCaikitModule(causal, module)).get('config.yml'))
    const read: unknown = JSON.parse(
      runPython(python ?? '', ['-c', 'import json,sys,yaml; print(json.dumps(yaml.safe_load(sys.stdin)))'], config),
    )
    expect(read).toMatchObject({
      verbalizer: module.verbalizer,
      ENCODER: '',
      has_base_model: false,
      created: '2025-03-01 10:20:30.500000',
      base_model_config: { layer_norm_epsilon: 1e-5, architectures: ['GPT2LMHeadModel'] },
    })
    expect(JSON.stringify(read)).not.toContain('secret')
  })
})

describe('trainingLogs', () => {
  it('writes a line for every step as upstream does', () => {
    expect(trainingLogs(module.steps, module.epoch_ends)).toBe(
      `{"name": "loss", "data": {"epoch": 0, "step": 1, "value": 6.85, "timestamp": "2025-03-01T10:21:00.000Z"}}
{"name": "loss", "data": {"epoch": 0, "step": 2, "value": 1e-7, "timestamp": "2025-03-01T10:21:00.000Z"}}
{"name": "loss", "data": {"epoch": 1, "step": 3, "value": null, "timestamp": "2025-03-01T10:22:00.000Z"}}
`,
    )
  })

  it('has a time for the steps of an epoch that was cut off, where there is one', () => {
    const step = { step: 9, epoch: 3, loss: 1 }
    const times = (ends: readonly string[]) => JSON.parse(trainingLogs([step], ends)) as unknown
    expect(times(['a', 'b'])).toMatchObject({ data: { epoch: 2, timestamp: 'b' } })
    expect(times([])).toMatchObject({ data: { timestamp: null } })
  })
})

describe('readTorchPrompt', () => {
  const causalModel = { kind: 'causal-lm', hidden_size: 3 } as const
  const seq2seqModel = { kind: 'seq2seq', hidden_size: 3 } as const
  const pt = (rows = 1, columns = 3) => writeTorchTensor('x', [rows, columns], new Float32Array(rows * columns).fill(rows))
  const refuse = (files: Record<string, Uint8Array>, expected: typeof causalModel | typeof seq2seqModel, message: string) =>
    expect(() => readTorchPrompt(new Map(Object.entries(files)), expected)).toThrow(new FormatError(message))

  it('gives back what a module folder holds', () => {
    expect(readTorchPrompt(asMap(writeCaikitModule(causal, module)), causalModel)).toEqual(causal)
    expect(readTorchPrompt(asMap(writeCaikitModule(seq2seq, module)), seq2seqModel)).toEqual(seq2seq)
    const encoder = { ...seq2seq, num_virtual_tokens: 2, output_model_types: ['ENCODER'] as const }
    expect(readTorchPrompt(asMap(writeCaikitModule(encoder, module)), seq2seqModel)).toEqual(encoder)
  })

  it('takes one file of any name for a causal model', () => {
    expect(readTorchPrompt(new Map([['my/prompt.pt', pt(4)]]), causalModel)).toMatchObject({
      num_virtual_tokens: 4,
      output_model_types: ['DECODER'],
    })
  })

  it('names what does not fit', () => {
    refuse({}, causalModel, 'encoder.pt or decoder.pt is missing')
    refuse({ 'a.pt': pt(), 'decoder.pt': pt() }, causalModel, 'a.pt: only encoder.pt and decoder.pt are known here')
    refuse({ 'a.pt': pt() }, seq2seqModel, 'a.pt: only encoder.pt and decoder.pt are known here')
    refuse({ 'encoder.pt': pt() }, causalModel, 'encoder.pt: a causal model has no encoder')
    refuse({ 'a/decoder.pt': pt(), 'b/decoder.pt': pt() }, causalModel, 'decoder.pt is there twice')
    refuse({ 'decoder.pt': pt(1, 4) }, causalModel, "decoder.pt: rows are 4 wide, but the model's embeddings are 3")
    refuse(
      { 'encoder.pt': pt(1), 'decoder.pt': pt(2) },
      seq2seqModel,
      'decoder.pt has 2 rows, encoder.pt has 1: they must be equal',
    )
    refuse({ 'decoder.pt': new Uint8Array(9) }, causalModel, 'decoder.pt is no zip archive, or is cut short')
  })
})
