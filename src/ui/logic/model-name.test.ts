import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isModelId } from '../../models/catalogue'
import { modelName } from './model-name'

describe('the name of dropped files', () => {
  it('is that of the folder around config.json, else of the ONNX file', () => {
    expect(modelName(['mine/config.json', 'mine/onnx/model.onnx'])).toBe('mine')
    expect(modelName(['all/of it/My Model (v2)/config.json', 'all/of it/My Model (v2)/a/config.json'])).toBe('My-Model-v2')
    expect(modelName(['config.json', 'model_q4.onnx'])).toBe('model_q4')
    expect(modelName(['config.json', 'onnx/tiny.onnx'])).toBe('tiny')
    expect(modelName(['x/onnx/tiny.onnx'])).toBe('x')
    expect(modelName([])).toBe('my-model')
    expect(modelName(['模型/config.json'])).toBe('my-model')
  })

  it('is always one that can be opened', () => {
    fc.assert(
      fc.property(fc.array(fc.string()), (paths) => {
        expect(isModelId(modelName(paths))).toBe(true)
        expect(isModelId(modelName(paths.map((path) => `${path}/config.json`)))).toBe(true)
      }),
    )
  })
})
