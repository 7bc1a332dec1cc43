/** The two models of real size as folders in the transformers.js layout, with the embedded model's tokenizer: made once, in a temporary folder. */
import { copyFileSync, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GPT2_SMALL, gpt2, gpt2Config } from './gpt2'
import { LLAMA_HALF_BILLION, llamaConfig, llamaQ4 } from './llama-q4'

const TOKENIZER = join(import.meta.dirname, '../../public/models/promptlathe/tiny-causal')

export const SIZE_MODELS = {
  'gpt2-124m': { file: 'onnx/model.onnx', opset: 17, config: gpt2Config(GPT2_SMALL), make: () => gpt2(GPT2_SMALL) },
  'llama-0.5b-q4': {
    file: 'onnx/model_q4.onnx',
    opset: 14,
    config: llamaConfig(LLAMA_HALF_BILLION),
    make: () => llamaQ4(LLAMA_HALF_BILLION),
  },
} as const
export type SizeModel = keyof typeof SIZE_MODELS

export const isSizeModel = (name: string): name is SizeModel => name in SIZE_MODELS

/** The model's folder, and the ONNX file in it; written now if it is not there. */
export function sizeModel(name: SizeModel, log: (line: string) => void): { readonly folder: string; readonly file: string } {
  const { file, opset, config, make } = SIZE_MODELS[name]
  const folder = join(tmpdir(), 'promptlathe-size', name)
  const path = join(folder, file)
  const done = join(folder, 'config.json')
  // The config is written last: a folder that has it is whole.
  if (!existsSync(done)) {
    mkdirSync(folder, { recursive: true })
    log(`writing ${path}`)
    make().write(path, opset)
    for (const name of ['tokenizer.json', 'tokenizer_config.json']) copyFileSync(join(TOKENIZER, name), join(folder, name))
    writeFileSync(done, JSON.stringify(config, null, 1))
    log(`${(statSync(path).size / 1e6).toFixed(0)} MB`)
  }
  return { folder, file: path }
}
