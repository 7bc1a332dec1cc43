import { describe, expect, it } from 'vitest'
import { autoDtype, CATALOGUE, isModelId } from '../../models/catalogue'
import type { ModelFiles, StoredModel } from '../../protocol'
import { chosenDtype, dtypeRows, fetchLine, filesToFetch, filterModels, isStored, sizeLine } from './model-list'

describe('the catalogue', () => {
  it('holds each model once, by an id that can be opened, with licence, size and what it is for', () => {
    expect(new Set(CATALOGUE.map(({ id }) => id)).size).toBe(CATALOGUE.length)
    for (const model of CATALOGUE) {
      expect(isModelId(model.id), model.id).toBe(true)
      expect(autoDtype(model.megabytes), model.id).not.toBeNull()
      expect(model.licence, model.id).not.toBe('')
      expect(model.suits.length, model.id).toBeGreaterThan(0)
      // No file is smaller than half a byte, or larger than some five bytes, for each weight.
      for (const size of Object.values(model.megabytes)) {
        expect(size / model.parameters_millions, model.id).toBeGreaterThan(0.5)
        expect(size / model.parameters_millions, model.id).toBeLessThan(6.3)
      }
    }
  })

  it('is filtered by kind, use and size of what auto takes', () => {
    const small = filterModels(CATALOGUE, { kind: 'seq2seq', suits: 'translation', megabytes: 150 })
    expect(small.map(({ id }) => id)).toEqual(['Xenova/t5-small', 'Xenova/opus-mt-en-de'])
    expect(filterModels(CATALOGUE, { kind: 'any', suits: 'any', megabytes: null })).toEqual(CATALOGUE)
  })

  it('takes what locate.ts takes: fp32 up to 256 MB, else the smaller of fp16 and q8, else what there is', () => {
    expect(autoDtype({ fp32: 66, q8: 24 })).toEqual({ model_dtype: 'fp32', megabytes: 66 })
    expect(autoDtype({ fp32: 501, fp16: 251, int8: 20 })).toEqual({ model_dtype: 'fp16', megabytes: 251 })
    expect(autoDtype({ fp32: 501, q4: 20 })).toEqual({ model_dtype: 'fp32', megabytes: 501 })
    expect(autoDtype({ q4: 20, bnb4: 19 })).toEqual({ model_dtype: 'bnb4', megabytes: 19 })
    expect(autoDtype({})).toBeNull()
  })

  it('says sizes in a line', () => {
    expect(sizeLine({ megabytes: { fp32: 501, q8: 128, q4: 90 }, checked: true })).toBe('128 MB (q8; also fp32 501, q4 90 MB)')
    expect(sizeLine({ megabytes: { q8: 128 }, checked: false })).toBe('about 128 MB (q8)')
  })
})

describe('files of a model', () => {
  const files: ModelFiles = {
    id: 'a/b',
    kind: 'causal-lm',
    architecture: 'X',
    licence: null,
    choices: [
      { model_dtype: 'fp32', files: [{ path: 'onnx/model.onnx', bytes: 2048, stored: false }] },
      { model_dtype: 'q8', files: [{ path: 'onnx/model_quantized.onnx', bytes: 1024, stored: true }] },
      { model_dtype: 'q4', files: [{ path: 'onnx/model_q4.onnx', bytes: null, stored: false }] },
    ],
    auto: 'q8',
    small: [{ path: 'config.json', bytes: 1024, stored: true }],
  }

  it('by dtype, with what is still to come', () => {
    const [fp32, q8, q4] = dtypeRows(files)
    expect(fp32).toMatchObject({ bytes: 2048, to_fetch: 2048 })
    expect(fetchLine(fp32)).toBe('2.0 KiB to download')
    expect(fetchLine(q8)).toBe('nothing to download: it is in this browser')
    expect(fetchLine(q4)).toBe('a download of unknown size')
  })

  it('what the settings take of them', () => {
    expect(chosenDtype(files, 'auto')).toBe('q8')
    expect(chosenDtype(files, 'q4')).toBe('q4')
    expect(chosenDtype(files, 'bnb4')).toBeNull()
  })

  it('what is to be fetched', () => {
    expect([...(filesToFetch(files, 'fp32') ?? [])]).toEqual([['onnx/model.onnx', 2048]])
    expect([...(filesToFetch(files, 'auto') ?? [])]).toEqual([])
    expect(filesToFetch(files, 'bnb4')).toBeNull()
  })

  it('what opens without a download', () => {
    const parts = [{ path: 'onnx/model_quantized.onnx', bytes: 1, model_dtype: 'q8' }]
    const stored: StoredModel = {
      id: 'a/b',
      files: 1,
      bytes: 1,
      unfinished_bytes: 0,
      dropped: false,
      last_used: null,
      lacks: null,
      parts,
    }
    expect(isStored([stored], 'a/b', 'auto')).toBe(true)
    expect(isStored([stored], 'a/b', 'q8')).toBe(true)
    expect(isStored([stored], 'a/b', 'fp32')).toBe(false)
    expect(isStored([{ ...stored, lacks: 'has no tokenizer.json' }], 'a/b', 'auto')).toBe(false)
    expect(isStored([stored], 'a/c', 'auto')).toBe(false)
  })
})
