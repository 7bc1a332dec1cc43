/** Folders of any shape, and what they lack. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { arrange, checkPaths, fileNames, splitName, whatIsMissing } from './layout'

const SMALL = ['config.json', 'tokenizer.json', 'tokenizer_config.json']
const placed = (paths: readonly string[]): Record<string, string> => Object.fromEntries(arrange('my', paths))

test.each([
  ['../config.json', "can't be the path"],
  ['/etc/passwd', "can't be the path"],
  ['onnx//model.onnx', "can't be the path"],
  ['onnx\\model.onnx', "can't be the path"],
  ['a\u0000b', "can't be the path"],
  ['', "can't be the path"],
  ['config.json', 'is there twice'],
])('refuses the path %j', (path, why) => {
  expect(() => checkPaths('my', ['config.json', path])).toThrow(why)
  expect(() => checkPaths('my', ['config.json', 'onnx/model..onnx', '.gitattributes'])).not.toThrow()
})

describe('arranging a folder', () => {
  test('two files for one place are named', () => {
    const paths = [...SMALL, 'onnx/model.onnx', 'cpu/model.onnx']
    expect(placed(paths)['onnx/model.onnx']).toBe('onnx/model.onnx')
    expect(() => arrange('my', [...SMALL, 'model.onnx', 'onnx/model.onnx_data', 'model.onnx_data'])).toThrow(
      'my has two files for onnx/model.onnx_data',
    )
  })

  test('one in the layout stays as it is', () => {
    const paths = [...SMALL, 'onnx/model.onnx', 'onnx/model.onnx_data', 'README.md']
    expect(placed(paths)).toEqual(Object.fromEntries(paths.map((path) => [path, path])))
  })

  test('folders around it are taken off, what lies outside of it is left', () => {
    const paths = [...SMALL, 'onnx/model.onnx', '1_Pooling/config.json'].map((path) => `models/mine/v2/${path}`)
    expect(placed([...paths, 'models/notes.txt'])).toEqual({
      ...Object.fromEntries(
        [...SMALL, 'onnx/model.onnx', '1_Pooling/config.json'].map((path) => [path, `models/mine/v2/${path}`]),
      ),
    })
  })

  test('ONNX files beside config.json come into onnx/, with their external data; PyTorch weights do not', () => {
    expect(
      placed([...SMALL, 'model.onnx', 'model.onnx.data', 'model_q4.onnx', 'model_q4.onnx_data_1', 'pytorch_model.bin']),
    ).toMatchObject({
      'onnx/model.onnx': 'model.onnx',
      'onnx/model.onnx.data': 'model.onnx.data',
      'onnx/model_q4.onnx': 'model_q4.onnx',
      'onnx/model_q4.onnx_data_1': 'model_q4.onnx_data_1',
      'pytorch_model.bin': 'pytorch_model.bin',
      'config.json': 'config.json',
    })
  })

  test('so do those of one folder of another name', () => {
    expect(placed([...SMALL, 'cpu/int4/my.onnx', 'cpu/int4/my.onnx.data'])).toMatchObject({
      'onnx/my.onnx': 'cpu/int4/my.onnx',
      'onnx/my.onnx.data': 'cpu/int4/my.onnx.data',
    })
  })

  test('no config.json, or several models: said by name', () => {
    expect(() => arrange('my', ['model.onnx'])).toThrow('my has model.onnx, but no config.json')
    expect(() => arrange('my', ['a.txt'])).toThrow('my has no config.json and no ONNX file')
    expect(() => arrange('my', ['a/config.json', 'b/config.json'])).toThrow('my holds 2 models: a, b')
  })

  test('no file is lost or comes twice, whatever the names', () => {
    const part = fc.constantFrom('a', 'onnx', 'model.onnx', 'model.onnx_data', 'config.json', 'b.bin')
    const path = fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'))
    fc.assert(
      fc.property(fc.uniqueArray(path, { maxLength: 12 }), (paths) => {
        const given = [...new Set([...paths.map((one) => `x/${one}`), 'x/config.json'])]
        let result: ReadonlyMap<string, string>
        try {
          result = arrange('my', given)
        } catch (error) {
          expect(String(error)).toMatch(/has two files for/)
          return
        }
        expect(new Set(result.values()).size).toBe(result.size)
        expect(result.get('config.json')).toBe('x/config.json')
        for (const [to, from] of result) if (!to.startsWith('onnx/')) expect(from).toBe(`x/${to}`)
      }),
    )
  })
})

test('names and dtypes of files', () => {
  expect(splitName('onnx/model_q4f16.onnx')).toEqual({ name: 'model', model_dtype: 'q4f16' })
  expect(splitName('my_model.onnx')).toEqual({ name: 'my_model', model_dtype: 'fp32' })
  expect(fileNames(['onnx/a.onnx', 'onnx/a_quantized.onnx', 'onnx/b_fp16.onnx', 'onnx/a.onnx_data', 'c.onnx'])).toEqual([
    'a',
    'b',
  ])
})

describe('what is missing', () => {
  const said = (paths: readonly string[], origin: 'hub' | 'folder' = 'hub') =>
    whatIsMissing('o/m', paths, origin)?.message ?? null

  test('nothing', () => {
    expect(said([...SMALL, 'onnx/model_q4.onnx'])).toBeNull()
    expect(said([...SMALL, 'onnx/encoder_model.onnx', 'onnx/decoder_model_merged.onnx'])).toBeNull()
  })

  test.each([
    [['onnx/model.onnx'], 'o/m has no config.json on the hub'],
    [[...SMALL, 'model.safetensors'], 'o/m has no ONNX files in onnx/ on the hub, only PyTorch weights'],
    [[...SMALL, 'pytorch_model-00001-of-00002.bin'], 'o/m has no ONNX files in onnx/ on the hub, only PyTorch weights'],
    [[...SMALL, 'm-q4.gguf'], 'o/m has no ONNX files in onnx/ on the hub, only GGUF files (for llama.cpp)'],
    [[...SMALL, 'model.onnx'], 'o/m has no ONNX files in onnx/ on the hub; its ONNX files lie elsewhere (model.onnx)'],
    [SMALL, 'o/m has no ONNX files in onnx/ on the hub'],
    [['config.json', 'onnx/model.onnx'], 'o/m has no tokenizer.json and no tokenizer_config.json on the hub'],
    [
      [...SMALL, 'onnx/encoder_model.onnx', 'onnx/decoder_model.onnx'],
      'o/m has onnx/encoder_model.onnx, but no onnx/decoder_model_merged.onnx (only the unmerged decoder_model.onnx)',
    ],
  ])('%j', (paths, message) => expect(said(paths)).toBe(message))

  test('how to convert is said, and how to make tokenizer.json from older files', () => {
    expect(whatIsMissing('o/m', [...SMALL, 'a.safetensors'], 'hub')?.hint).toMatch(/convert-to-onnx.*optimum-cli/)
    const old = ['config.json', 'tokenizer_config.json', 'spiece.model', 'onnx/model.onnx']
    expect(whatIsMissing('o/m', old, 'folder')).toMatchObject({ message: 'o/m has no tokenizer.json in the folder' })
    expect(whatIsMissing('o/m', old, 'folder')?.hint).toContain('use_fast=True')
  })
})
