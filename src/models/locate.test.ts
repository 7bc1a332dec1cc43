/** Which file "auto" takes when a job asks for float16. */
import { PretrainedConfig } from '@huggingface/transformers'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { AUTO_FLOAT16 } from '../job/parameters'
import { locate, type ModelRef } from './locate'

const config = new PretrainedConfig(JSON.parse(readFileSync('public/models/promptlathe/tiny-causal/config.json', 'utf8')))
const model: ModelRef = { id: 'a/b', kind: 'causal-lm', config }

/** A model that has these files, of 1 MB each. */
const having =
  (...files: string[]) =>
  (path: string): Promise<number | undefined> =>
    Promise.resolve(files.includes(path) ? 1e6 : undefined)

test('the fp16 file where there is one, else what auto would take, and which it was is said', async () => {
  const both = having('onnx/model.onnx', 'onnx/model_fp16.onnx')
  expect(await locate(model, AUTO_FLOAT16, both)).toMatchObject({
    model_dtype: 'fp16',
    reason: 'fp16 (1 MB), as torch_dtype float16 asks',
  })
  expect(await locate(model, 'auto', both)).toMatchObject({ model_dtype: 'fp32' })
  const plain = await locate(model, AUTO_FLOAT16, having('onnx/model.onnx'))
  expect(plain.model_dtype).toBe('fp32')
  expect(plain.reason).toMatch(/there is no fp16 file$/)
})
