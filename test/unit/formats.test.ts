import fc from 'fast-check'
import { unzipSync } from 'fflate'
import { readFileSync } from 'node:fs'
import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { FormatError } from '../../src/formats/format-error'
import { readPeftAdapter, writePeftAdapter, type PeftPrompt } from '../../src/formats/peft'
import { readSafetensors, writeSafetensors } from '../../src/formats/safetensors'
import { zipFiles } from '../../src/formats/zip'
import { toFloat32 } from '../../src/graph/tensor'
import { concatBytes } from '../../src/graph/write'

const text = (value: string) => new TextEncoder().encode(value)
const fixture = (path: string) => new Uint8Array(readFileSync(`test/fixtures/peft/${path}`))

/** A file with this header (padded as it is) and so many bytes of data. */
function safetensors(header: unknown, dataBytes: number): Uint8Array {
  const head = text(JSON.stringify(header))
  const length = new Uint8Array(8)
  new DataView(length.buffer).setUint32(0, head.byteLength, true)
  return concatBytes([length, head, new Uint8Array(dataBytes)])
}

describe('safetensors', () => {
  it('reads several tensors', () => {
    const { tensors } = readSafetensors(fixture('gpt2_mpt/adapter_model.safetensors'))
    expect([...tensors.keys()].sort()).toEqual(['prefix_task_cols', 'prefix_task_rows', 'prompt_embeddings'])
    expect(tensors.get('prompt_embeddings')?.dims).toEqual([3, 16])
  })

  it('gives back what was written', () => {
    const values = fc.float32Array({ maxLength: 24 })
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.string({ minLength: 1 }).filter((name) => !name.startsWith('__')),
          values,
        ),
        (made) => {
          const tensors = new Map(Object.entries(made).map(([name, data]) => [name, { shape: [1, data.length], data }]))
          const bytes = writeSafetensors(tensors)
          const read = readSafetensors(bytes)
          expect([...read.metadata]).toEqual([['format', 'pt']])
          expect(read.tensors.size).toBe(tensors.size)
          for (const [name, { data }] of tensors) {
            const tensor = read.tensors.get(name)
            expect(tensor && [...toFloat32(tensor)]).toEqual([...data])
          }
        },
      ),
    )
  })

  it('refuses what does not add up, by name', () => {
    const entry = (shape: unknown, data_offsets: unknown, dtype = 'F32') => ({ dtype, shape, data_offsets })
    const refuse = (header: unknown, dataBytes: number, message: string) =>
      expect(() => readSafetensors(safetensors(header, dataBytes), 'f')).toThrow(message)
    refuse({ a: entry([2], [0, 8]) }, 4, 'f: tensor "a" takes bytes 0 to 8 of 4')
    refuse({ a: entry([3], [0, 8]) }, 8, 'tensor "a", F32[3], takes 12 bytes, not 8')
    refuse({ a: entry([2], [0, 8]), b: entry([2], [4, 12]) }, 12, 'tensor "b" starts at byte 4, the one before ends at 8')
    refuse({ a: entry([2], [4, 12]) }, 12, 'tensor "a" starts at byte 4, the one before ends at 0')
    refuse({ a: entry([2], [0, 8]) }, 9, '1 bytes belong to no tensor')
    refuse({ a: entry([2], [0, 8], 'F4') }, 8, 'dtype F4')
    refuse({ a: entry([-2], [0, 8]) }, 8, 'tensor "a", shape.0')
    refuse({ a: entry([2], [8, 0]) }, 8, 'takes bytes 8 to 0')
    refuse({ a: entry([2 ** 52, 2 ** 52], [0, 8]) }, 8, 'takes')
    refuse({ __metadata__: { a: 1 } }, 0, '__metadata__ must map text to text')
    expect(() => readSafetensors(new Uint8Array(3))).toThrow('3 bytes are too few')
    expect(() => readSafetensors(new Uint8Array(8).fill(255))).toThrow('is announced')
    expect(() => readSafetensors(concatBytes([Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0), text('[]')]))).toThrow('header')
    expect(() => writeSafetensors(new Map([['a', { shape: [2], data: new Float32Array(3) }]]))).toThrow(FormatError)
  })

  it('survives damage', () => {
    const file = fixture('gpt2_pt/adapter_model.safetensors')
    fc.assert(
      fc.property(fc.nat(150), fc.nat(255), fc.nat(file.length), (at, value, length) => {
        const damaged = file.slice(0, Math.max(length, 1))
        damaged[at % damaged.length] = value
        try {
          readSafetensors(damaged)
        } catch (error) {
          if (!(error instanceof FormatError)) throw error
        }
      }),
      { numRuns: 2000 },
    )
  })
})

describe('PEFT adapter', () => {
  const files = (folder: string) =>
    new Map(
      ['adapter_config.json', 'adapter_model.safetensors'].map((name) => [`${folder}/${name}`, fixture(`${folder}/${name}`)]),
    )
  const asMap = (written: ReturnType<typeof writePeftAdapter>) => new Map(written.map(({ path, bytes }) => [path, bytes]))
  /** The prompt after PEFT's last step, as golden.json has it. */
  const goldenRows = (run: string): number[] => {
    const golden = v.parse(v.record(v.string(), v.unknown()), JSON.parse(readFileSync('test/fixtures/peft/golden.json', 'utf8')))
    const { prompt8 } = v.parse(v.object({ prompt8: v.array(v.unknown()) }), golden[run])
    return v.parse(v.array(v.number()), prompt8.flat()).map(Math.fround)
  }

  it.each(['gpt2_pt', 'llama_pt', 't5_pt'])('%s: read, and written again byte for byte as PEFT did', (folder) => {
    const adapter = readPeftAdapter(files(folder), { hidden_size: 16 })
    expect(adapter).toMatchObject({ num_virtual_tokens: 3, hidden_size: 16, base_model: `golden2/${folder.replace('_pt', '')}` })
    expect(adapter.kind).toBe(folder === 't5_pt' ? 'seq2seq' : 'causal-lm')
    const { config, rows, base_model, kind, num_virtual_tokens, hidden_size, revision } = adapter
    const { num_layers, num_attention_heads, prompt_tuning_init, prompt_tuning_init_text } = config
    const written = writePeftAdapter({
      base_model: base_model ?? '',
      revision,
      kind,
      num_virtual_tokens,
      hidden_size,
      rows,
      prompt_tuning_init,
      prompt_tuning_init_text,
      num_layers,
      num_attention_heads,
    })
    for (const { path, bytes } of written)
      expect(new TextDecoder('latin1').decode(bytes)).toBe(readFileSync(`test/fixtures/peft/${folder}/${path}`, 'latin1'))
    expect([...rows]).toEqual(goldenRows(folder))
  })

  const prompt: PeftPrompt = {
    base_model: 'org/modèle',
    revision: 'main',
    kind: 'causal-lm',
    num_virtual_tokens: 2,
    hidden_size: 3,
    rows: Float32Array.of(1, 2, 3, 4, 5, 6),
    prompt_tuning_init: 'TEXT',
    prompt_tuning_init_text: 'Répondez 😀',
    num_layers: null,
    num_attention_heads: null,
  }

  it('keeps text init in ASCII and gives it back', () => {
    const written = asMap(writePeftAdapter(prompt))
    const config = written.get('adapter_config.json') ?? new Uint8Array(0)
    expect(Math.max(...config)).toBeLessThan(128)
    const read = readPeftAdapter(written)
    expect(read.config).toMatchObject({ prompt_tuning_init: 'TEXT', prompt_tuning_init_text: 'Répondez 😀', revision: null })
    expect([read.base_model, read.rows]).toEqual(['org/modèle', prompt.rows])
    expect(new TextDecoder().decode(config)).toContain('"tokenizer_name_or_path": "org/mod\\u00e8le"')
  })

  it('names what is wrong', () => {
    const good = asMap(writePeftAdapter(prompt))
    const withConfig = (change: object) => {
      const config: unknown = JSON.parse(new TextDecoder().decode(good.get('adapter_config.json')))
      return new Map([...good, ['adapter_config.json', text(JSON.stringify(Object.assign({}, config, change)))] as const])
    }
    const refuse = (made: ReadonlyMap<string, Uint8Array>, message: string, expected = {}) =>
      expect(() => readPeftAdapter(made, expected)).toThrow(message)
    refuse(withConfig({ peft_type: 'LORA' }), 'adapter_config.json, peft_type: LORA')
    refuse(files('gpt2_mpt'), 'MULTITASK_PROMPT_TUNING')
    refuse(withConfig({ num_virtual_tokens: 5 }), 'shape [2, 3], but the config says 5 virtual tokens x 1')
    refuse(withConfig({ num_virtual_tokens: 0 }), 'adapter_config.json, num_virtual_tokens')
    refuse(withConfig({ token_dim: 4 }), 'rows are 3 wide, but token_dim in adapter_config.json is 4')
    refuse(withConfig({ task_type: 'TOKEN_CLS' }), 'adapter_config.json, task_type')
    refuse(good, "rows are 3 wide, but the model's embeddings are 16", { hidden_size: 16 })
    refuse(good, 'CAUSAL_LM, but the model needs SEQ_2_SEQ_LM', { kind: 'seq2seq' })
    refuse(asMap(writePeftAdapter({ ...prompt, rows: Float32Array.of(1, 2, 3, 4, Infinity, 6) })), 'row 1, column 1 is Infinity')
    refuse(new Map([...good, ['a/adapter_config.json', new Uint8Array(0)]]), 'is there twice')
    refuse(
      new Map([['adapter_config.json', good.get('adapter_config.json') ?? new Uint8Array(0)]]),
      'adapter_model.safetensors is missing',
    )
    refuse(
      new Map([...good].filter(([path]) => path.endsWith('.json')).concat([['adapter_model.bin', new Uint8Array(0)]])),
      'a pickle',
    )
    // Settings that would run code in Python are no settings to us.
    expect(readPeftAdapter(withConfig({ tokenizer_kwargs: { trust_remote_code: true } })).config).not.toHaveProperty(
      'tokenizer_kwargs',
    )
  })

  it('takes the encoder half of a two-part seq2seq adapter', () => {
    const written = asMap(writePeftAdapter({ ...prompt, kind: 'seq2seq', num_virtual_tokens: 2 }))
    const config: unknown = JSON.parse(new TextDecoder().decode(written.get('adapter_config.json')))
    const halves = { num_virtual_tokens: 1, num_transformer_submodules: null }
    written.set('adapter_config.json', text(JSON.stringify(Object.assign({}, config, halves))))
    expect(readPeftAdapter(written)).toMatchObject({ num_virtual_tokens: 1, rows: Float32Array.of(1, 2, 3) })
  })
})

describe('zip', () => {
  it('holds the files, uncopied and the same each time', () => {
    const large = new Uint8Array(100_000).map((_, i) => i)
    const files = [
      { path: 'a/b.bin', chunks: [large.subarray(0, 60_000), large.subarray(60_000)] },
      { path: 'é.txt', chunks: [text('x')] },
      { path: 'empty', chunks: [] },
    ]
    const chunks = zipFiles(files)
    expect(chunks.filter((chunk) => chunk.buffer === large.buffer)).toHaveLength(2)
    expect(unzipSync(concatBytes(chunks))).toEqual({ 'a/b.bin': large, 'é.txt': text('x'), empty: new Uint8Array(0) })
    expect(concatBytes(zipFiles(files))).toEqual(concatBytes(chunks))
  })

  it('refuses paths that leave the folder, twins, and more than a zip can hold', () => {
    for (const path of ['', '/a', '../a', 'a/../b', 'a//b', 'a\\b', './a']) {
      expect(() => zipFiles([{ path, chunks: [] }])).toThrow(FormatError)
    }
    expect(() =>
      zipFiles([
        { path: 'a', chunks: [] },
        { path: 'a', chunks: [] },
      ]),
    ).toThrow('"a" comes twice')
    const chunk = new Uint8Array(2 ** 28)
    expect(() => zipFiles([{ path: 'a', chunks: Array.from({ length: 16 }, () => chunk) }])).toThrow('4 GiB')
  })
})
