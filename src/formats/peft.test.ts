import fc from 'fast-check'
import { readFileSync } from 'node:fs'
import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { FormatError } from './format-error'
import { writePeftAdapter, type AdapterAbout, type WrittenFiles } from './peft'
import { readPeftAdapter } from './peft-read'
import { flattenPrompt, type MultitaskPrompt, type PromptTensors, type SingleTaskPrompt } from './prompt-tensors'
import { readSafetensors, writeSafetensors } from './safetensors'

const CONFIG = 'adapter_config.json'
const TENSORS = 'adapter_model.safetensors'
const text = (value: string) => new TextEncoder().encode(value)
const fixture = (path: string) => new Uint8Array(readFileSync(`test/fixtures/peft/${path}`))
const filesOf = (folder: string) => new Map([CONFIG, TENSORS].map((name) => [`${folder}/${name}`, fixture(`${folder}/${name}`)]))
const asMap = ({ files }: WrittenFiles) => new Map(files.map(({ path, bytes }) => [path, bytes]))

const about: AdapterAbout = {
  base_model: 'org/modèle',
  revision: 'main',
  prompt_tuning_init_method: 'TEXT',
  prompt_tuning_init_text: 'Répondez 😀\u007f',
  num_layers: null,
  num_attention_heads: null,
}
const single: SingleTaskPrompt = {
  tuning_type: 'PROMPT_TUNING',
  kind: 'causal-lm',
  num_virtual_tokens: 2,
  hidden_size: 3,
  output_model_types: ['DECODER'],
  prompt_embeddings: Float32Array.of(1, 2, 3, 4, 5, 6),
}
const both: SingleTaskPrompt = {
  ...single,
  kind: 'seq2seq',
  num_virtual_tokens: 1,
  output_model_types: ['ENCODER', 'DECODER'],
}
const multitask: MultitaskPrompt = {
  ...single,
  tuning_type: 'MULTITASK_PROMPT_TUNING',
  num_tasks: 3,
  num_ranks: 2,
  prefix_task_cols: Float32Array.from({ length: 12 }, (_, i) => i - 5.5),
  prefix_task_rows: Float32Array.from({ length: 18 }, (_, i) => (i % 7) / 8),
  task_names: ['sst2', 'mnli', 'qnli'],
}

const GoldenSchema = v.record(v.string(), v.record(v.string(), v.unknown()))
/** A tensor after PEFT's last step, as golden.json has it. */
function golden(run: string, tensor: 'prompt8' | 'cols8' | 'rows8'): number[] {
  const all = v.parse(GoldenSchema, JSON.parse(readFileSync('test/fixtures/peft/golden.json', 'utf8')))
  const value = all[run]?.[tensor]
  return v.parse(v.array(v.number()), Array.isArray(value) ? value.flat(3) : null).map(Math.fround)
}

describe('writePeftAdapter', () => {
  it.each(['gpt2_pt', 'llama_pt', 't5_pt', 'gpt2_mpt', 'llama_mpt', 't5_mpt'])(
    '%s: read, and written again byte for byte as PEFT did',
    (folder) => {
      const { config, prompt, base_model, revision, notices } = readPeftAdapter(filesOf(folder), { hidden_size: 16 })
      const seq2seq = folder.startsWith('t5')
      expect(prompt).toMatchObject({
        kind: seq2seq ? 'seq2seq' : 'causal-lm',
        num_virtual_tokens: 3,
        hidden_size: 16,
        output_model_types: [seq2seq ? 'ENCODER' : 'DECODER'],
      })
      expect([base_model, notices]).toEqual([`golden2/${folder.replace(/_m?pt/, '')}`, []])
      const { files } = writePeftAdapter(prompt, {
        base_model: base_model ?? '',
        revision,
        prompt_tuning_init_method: config.prompt_tuning_init,
        prompt_tuning_init_text: config.prompt_tuning_init_text,
        num_layers: config.num_layers,
        num_attention_heads: config.num_attention_heads,
      })
      for (const { path, bytes } of files)
        expect(new TextDecoder('latin1').decode(bytes)).toBe(readFileSync(`test/fixtures/peft/${folder}/${path}`, 'latin1'))
      expect([...prompt.prompt_embeddings]).toEqual(golden(folder, 'prompt8'))
      if (prompt.tuning_type === 'PROMPT_TUNING') return
      expect([prompt.num_tasks, prompt.num_ranks, prompt.task_names]).toEqual([1, 1, ['0']])
      expect([...prompt.prefix_task_cols]).toEqual(golden(folder, 'cols8'))
      expect([...prompt.prefix_task_rows]).toEqual(golden(folder, 'rows8'))
    },
  )

  it('keeps text in ASCII, as json.dumps does, and gives it back', () => {
    const written = asMap(writePeftAdapter(single, about))
    const config = written.get(CONFIG) ?? new Uint8Array(0)
    expect(Math.max(...config)).toBeLessThan(127)
    const read = readPeftAdapter(written)
    expect(read.config).toMatchObject({
      prompt_tuning_init: 'TEXT',
      prompt_tuning_init_text: about.prompt_tuning_init_text,
      revision: null,
    })
    expect([read.base_model, read.prompt]).toEqual(['org/modèle', single])
    expect(new TextDecoder().decode(config)).toContain('"tokenizer_name_or_path": "org/mod\\u00e8le"')
  })

  it.each([
    ['PROMPT_TUNING', 'SAMPLE_VOCAB', 'SAMPLE_VOCAB'],
    ['PROMPT_TUNING', 'CLASS_LABELS', 'RANDOM'],
    ['PROMPT_TUNING', 'SOURCE_PROMPT', 'RANDOM'],
    ['MULTITASK_PROMPT_TUNING', 'TEXT', 'TEXT'],
    ['MULTITASK_PROMPT_TUNING', 'SAMPLE_VOCAB', 'RANDOM'],
    // PEFT would look for the source prompt's file when it loads the adapter.
    ['MULTITASK_PROMPT_TUNING', 'AVERAGE_SOURCE', 'RANDOM'],
    ['MULTITASK_PROMPT_TUNING', 'ONLY_SOURCE_SHARED', 'RANDOM'],
  ] as const)('%s from %s is written as %s', (tuning_type, method, written) => {
    const prompt = tuning_type === 'PROMPT_TUNING' ? single : multitask
    const files = asMap(writePeftAdapter(prompt, { ...about, prompt_tuning_init_method: method }))
    expect(readPeftAdapter(files).config.prompt_tuning_init).toBe(written)
  })

  it('says what PEFT does otherwise', () => {
    const notices = (prompt: PromptTensors) => writePeftAdapter(prompt, about).notices.join('\n')
    expect(notices(single)).toBe('')
    expect(notices({ ...both, num_virtual_tokens: 2, output_model_types: ['ENCODER'] })).toBe('')
    expect(notices(both)).toMatch(/^PEFT ignores the decoder prompt/)
    expect(notices({ ...both, num_virtual_tokens: 2, output_model_types: ['DECODER'] })).toMatch(
      /tuned to stand in front of the dec/,
    )
    expect(notices({ ...multitask, ...both, tuning_type: 'MULTITASK_PROMPT_TUNING' })).toMatch(
      /generate ignores .*\n.*task_ids \(0 to 2\)/,
    )
    expect(notices(multitask)).toMatch(/^PEFT needs task_ids \(0 to 2\)/)
  })

  it('refuses a prompt that does not add up', () => {
    const refuse = (prompt: PromptTensors, message: string) =>
      expect(() => writePeftAdapter(prompt, about)).toThrow(new FormatError(message))
    refuse({ ...single, num_virtual_tokens: 3 }, 'prompt_embeddings: 6 numbers for 3 x 3')
    refuse({ ...single, num_virtual_tokens: 0 }, 'num_virtual_tokens is 0, at least 1 is needed')
    refuse({ ...single, output_model_types: ['ENCODER'] }, 'output_model_types is [ENCODER]; a causal-lm prompt has [DECODER]')
    refuse({ ...multitask, num_ranks: 1 }, 'prefix_task_cols: 12 numbers for 3 x 2 x 1')
    refuse({ ...multitask, task_names: [] }, 'task_names: 0 names for 3 tasks')
    const cols = multitask.prefix_task_cols.map((value, i) => (i === 7 ? NaN : value))
    refuse({ ...multitask, prefix_task_cols: cols }, 'prefix_task_cols[1, 1, 1] is NaN')
  })
})

describe('readPeftAdapter', () => {
  const good = asMap(writePeftAdapter(single, about))
  const withConfig = (change: object, files: ReadonlyMap<string, Uint8Array> = good) => {
    const config: unknown = JSON.parse(new TextDecoder().decode(files.get(CONFIG)))
    return new Map([...files, [CONFIG, text(JSON.stringify(Object.assign({}, config, change)))] as const])
  }
  const withTensors = (tensors: Record<string, [readonly number[], Float32Array]>, files = good) => {
    const made = new Map(Object.entries(tensors).map(([name, [shape, data]]) => [name, { shape, data }]))
    return new Map([...files, [TENSORS, writeSafetensors(made)] as const])
  }
  const refuse = (made: ReadonlyMap<string, Uint8Array>, message: string, expected = {}) =>
    expect(() => readPeftAdapter(made, expected)).toThrow(message)

  it('names what is wrong', () => {
    refuse(withConfig({ peft_type: 'LORA' }), 'adapter_config.json, peft_type: LORA')
    refuse(withConfig({ num_virtual_tokens: 5 }), 'shape [2, 3], but the config says 5 virtual tokens x 1')
    refuse(withConfig({ num_virtual_tokens: 0 }), 'adapter_config.json, num_virtual_tokens')
    refuse(withConfig({ num_transformer_submodules: 2 }), 'a causal model has 1, not 2')
    refuse(withConfig({ token_dim: 4 }), 'rows are 3 wide, but token_dim in adapter_config.json is 4')
    refuse(withConfig({ task_type: 'TOKEN_CLS' }), 'adapter_config.json, task_type')
    refuse(good, "rows are 3 wide, but the model's embeddings are 16", { hidden_size: 16 })
    refuse(good, 'CAUSAL_LM, but the model needs SEQ_2_SEQ_LM', { kind: 'seq2seq' })
    const rows = Float32Array.of(1, 2, 3, 4, Infinity, 6)
    refuse(withTensors({ prompt_embeddings: [[2, 3], rows] }), 'adapter_model.safetensors, prompt_embeddings[1, 1] is Infinity')
    refuse(new Map([...good, ['a/adapter_config.json', new Uint8Array(0)]]), 'is there twice')
    const only = (name: string) => new Map([...good].filter(([path]) => path === name))
    refuse(only(CONFIG), 'adapter_model.safetensors is missing')
    const pickled = new Uint8Array(readFileSync('test/fixtures/torch/adapter_model.bin'))
    refuse(
      new Map([...only(CONFIG), ['adapter_model.bin', pickled]]),
      'It holds a dictionary, not one tensor: convert it to safetensors.',
    )
    refuse(only(TENSORS), 'adapter_config.json is missing')
  })

  it('names tensors that are missing, too many, or of the wrong shape or type', () => {
    const rows = single.prompt_embeddings
    refuse(withTensors({ embeddings: [[2, 3], rows] }), 'has no tensor "prompt_embeddings", but embeddings')
    const extra = withTensors({ prompt_embeddings: [[2, 3], rows], 'lm_head.weight': [[1], rows.slice(0, 1)] })
    refuse(extra, 'holds lm_head.weight, which is no part of a PROMPT_TUNING adapter')
    refuse(withTensors({ prompt_embeddings: [[6], rows] }), 'shape [6]')
    refuse(withConfig({ peft_type: 'MULTITASK_PROMPT_TUNING' }), 'no tensor "prefix_task_cols"')
    const many = asMap(writePeftAdapter(multitask, about))
    refuse(withConfig({ num_ranks: 3 }, many), 'prefix_task_cols: shape [3, 2, 2], but the config says [3, 2, 3]')
    refuse(withConfig({ num_tasks: null }, many), 'prefix_task_cols: shape [3, 2, 2], but the config says [1, 2, 2]')

    const file = good.get(TENSORS) ?? new Uint8Array(0)
    const header = new TextDecoder('latin1').decode(file)
    const retyped = (dtype: string) =>
      new Map([...good, [TENSORS, Uint8Array.from(header.replace('F32', dtype), (c) => c.charCodeAt(0))]])
    refuse(retyped('I32'), 'prompt_embeddings: int32 is not accepted, only float32, float16, bfloat16')
  })

  it.each([
    // 1.5 and -2 in half and in bfloat16
    ['F16', [0x3e00, 0xc000]],
    ['BF16', [0x3fc0, 0xc000]],
  ] as const)('takes %s, as fp32', (dtype, bits) => {
    const header = text(JSON.stringify({ prompt_embeddings: { dtype, shape: [1, 2], data_offsets: [0, 4] } }).padEnd(88))
    const file = new Uint8Array(8 + 88 + 4)
    file[0] = 88
    file.set(header, 8)
    new Uint16Array(file.buffer, 96).set(bits)
    const { prompt } = readPeftAdapter(withConfig({ num_virtual_tokens: 1, token_dim: 2 }, new Map([...good, [TENSORS, file]])))
    expect(prompt.prompt_embeddings).toEqual(Float32Array.of(1.5, -2))
  })

  it('takes no settings that would run or fetch something in Python', () => {
    const given = { tokenizer_kwargs: { trust_remote_code: true }, auto_mapping: { parent_library: 'evil' } }
    const { config } = readPeftAdapter(withConfig(given))
    expect(Object.keys(config)).not.toContain('tokenizer_kwargs')
    expect(JSON.stringify(config)).not.toContain('evil')
  })

  it("takes the encoder's half of a two-part PROMPT_TUNING adapter that PEFT made, and both of our own", () => {
    const written = asMap(writePeftAdapter(both, about))
    expect(readPeftAdapter(written).prompt).toEqual(both)
    const plain = withTensors({ prompt_embeddings: [[2, 3], both.prompt_embeddings] }, written)
    // null means 2 for SEQ_2_SEQ_LM.
    const read = readPeftAdapter(withConfig({ num_transformer_submodules: null }, plain))
    expect(read.prompt).toMatchObject({ output_model_types: ['ENCODER'], prompt_embeddings: Float32Array.of(1, 2, 3) })
    expect(read.notices).toEqual([expect.stringContaining("Only the encoder's rows")])
  })

  it('does not trust metadata that contradicts the config', () => {
    const rows = new Map([['prompt_embeddings', { shape: [2, 3], data: both.prompt_embeddings }]])
    for (const said of ['["DECODER"]', '["DECODER","ENCODER"]', '["ENCODER","X"]', '{', '7']) {
      const file = writeSafetensors(rows, { output_model_types: said })
      const made = new Map([...asMap(writePeftAdapter(both, about)), [TENSORS, file] as const])
      expect(readPeftAdapter(made).prompt.output_model_types).toEqual(['ENCODER'])
    }
  })

  it('gives back any prompt that was written, of every kind', () => {
    const finite = fc.float({ noNaN: true, noDefaultInfinity: true })
    const sizes = fc.tuple(
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 1, max: 3 }),
    )
    const parts = fc.constantFrom<readonly ('ENCODER' | 'DECODER')[]>(['ENCODER'], ['DECODER'], ['ENCODER', 'DECODER'])
    fc.assert(
      fc.property(sizes, parts, fc.boolean(), finite, ([n, d, T, r], output_model_types, mpt, value) => {
        const causal = output_model_types.join() === 'DECODER' && value > 0
        const floats = (length: number) => Float32Array.from({ length }, (_, i) => Math.fround(value + i))
        const total = n * output_model_types.length
        const base = {
          kind: causal ? ('causal-lm' as const) : ('seq2seq' as const),
          num_virtual_tokens: n,
          hidden_size: d,
          output_model_types,
          prompt_embeddings: floats(total * d),
        }
        const prompt: PromptTensors = mpt
          ? {
              ...base,
              tuning_type: 'MULTITASK_PROMPT_TUNING',
              num_tasks: T,
              num_ranks: r,
              prefix_task_cols: floats(T * total * r),
              prefix_task_rows: floats(T * r * d),
              task_names: Array.from({ length: T }, (_, t) => `"${t}é`),
            }
          : { ...base, tuning_type: 'PROMPT_TUNING' }
        fc.pre(prompt.prompt_embeddings.every(Number.isFinite))
        expect(readPeftAdapter(asMap(writePeftAdapter(prompt, about))).prompt).toEqual(prompt)
      }),
      { numRuns: 200 },
    )
  })

  it('gives tasks of one name names of their own', () => {
    const files = asMap(writePeftAdapter({ ...multitask, task_names: ['a', 'a', 'b'] }, about))
    expect(readPeftAdapter(files).prompt).toMatchObject({ task_names: ['0', '1', '2'] })
  })

  it('survives damage to either file', () => {
    const files = asMap(writePeftAdapter(multitask, about))
    fc.assert(
      fc.property(fc.constantFrom(CONFIG, TENSORS), fc.nat(), fc.nat(255), fc.nat(), (name, at, value, length) => {
        const bytes = files.get(name) ?? new Uint8Array(0)
        const damaged = bytes.slice(0, Math.max(1, bytes.length - (length % (2 * bytes.length))))
        damaged[at % damaged.length] = value
        try {
          readPeftAdapter(new Map([...files, [name, damaged]]))
        } catch (error) {
          if (!(error instanceof FormatError)) throw error
        }
      }),
      { numRuns: 2000 },
    )
  })
})

describe('flattenPrompt', () => {
  it("gives each task's own rows: E (*) (C[t] @ R[t])", () => {
    for (let task = 0; task < 3; task++) {
      const { tuning_type, prompt_embeddings } = flattenPrompt(multitask, task)
      expect(tuning_type).toBe('PROMPT_TUNING')
      const expected = Array.from({ length: 6 }, (_, i) => {
        const [row, column] = [Math.floor(i / 3), i % 3]
        const weight = [0, 1].reduce((sum, rank) => {
          const col = multitask.prefix_task_cols[(task * 2 + row) * 2 + rank] ?? NaN
          return sum + col * (multitask.prefix_task_rows[(task * 2 + rank) * 3 + column] ?? NaN)
        }, 0)
        return (multitask.prompt_embeddings[i] ?? NaN) * weight
      })
      expect([...prompt_embeddings]).toEqual(expected.map(Math.fround))
    }
    expect(flattenPrompt(single)).toBe(single)
  })

  it('refuses tasks that are not there', () => {
    expect(() => flattenPrompt(multitask, 3)).toThrow('task 3: the prompt has tasks 0 to 2')
    expect(() => flattenPrompt(multitask, 0.5)).toThrow(FormatError)
    expect(() => flattenPrompt(single, 1)).toThrow('a PROMPT_TUNING prompt has one task, 0')
  })

  it('writes an adapter that plain PEFT uses without task_ids', () => {
    const read = readPeftAdapter(asMap(writePeftAdapter(flattenPrompt(multitask, 1), about)))
    expect(read.config.peft_type).toBe('PROMPT_TUNING')
    expect(
      readSafetensors(asMap(writePeftAdapter(flattenPrompt(multitask, 1), about)).get(TENSORS) ?? new Uint8Array(0)).tensors.size,
    ).toBe(1)
  })
})
