/**
 * Models for the evidence behind `learning_rate: "auto"`: the embedded causal model with its residual stream in other coordinates (rebase.ts), so
 * that the embedding table has another spread, other coordinates or another width while every logit stays what it is, which is checked.
 */
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as ort from 'onnxruntime-web'
import * as v from 'valibot'
import { ROOT } from '../../cli/serve'
import { selfTestIds } from '../../src/engine/self-test'
import { referenceLogits } from '../../src/engine/ort/reference-logits'
import { readModel } from '../../src/graph/read'
import { concatBytes, writeModel } from '../../src/graph/write'
import { Random } from '../../src/tuning/random'
import { repetition, rebased, rotation, scaling, type Basis } from './rebase'
import type { ModelFolder } from './runner'

const ConfigSchema = v.looseObject({ hidden_size: v.number(), head_dim: v.number(), vocab_size: v.number() })
const COPIED = ['generation_config.json', 'tokenizer.json', 'tokenizer_config.json']
/** Of the largest logit: float32 sums in another order, through a few layers. */
const TOLERANCE = 1e-4
const SEED = 5

const variantsOf = (hidden: number): Readonly<Record<string, Basis>> => {
  const random = new Random(SEED, 'rotation')
  return {
    rotated: rotation(hidden, () => random.normal()),
    'width-x2': repetition(hidden, 2),
    'spread-x0.125': scaling(hidden, 1 / 8),
    'spread-x8': scaling(hidden, 8),
  }
}

/**
 * Writes the variants of an embedded model below a new folder of the temporary one.
 * @throws Error when a variant's logits are not the model's
 */
export async function writeVariants(base_model: string): Promise<ModelFolder[]> {
  ort.env.wasm.numThreads = 1
  const source = join(ROOT, 'public', 'models', base_model)
  const config = v.parse(ConfigSchema, JSON.parse(readFileSync(join(source, 'config.json'), 'utf8')))
  const file = new Uint8Array(readFileSync(join(source, 'onnx', 'model.onnx')))
  const model = readModel(file)
  const input = { ids: selfTestIds(config.vocab_size, 32), decoder: [] }
  const logitsOf = (onnx: Uint8Array) => referenceLogits(ort, [{ onnx, external: new Map() }], input)
  const expected = await logitsOf(file)
  const largest = expected.reduce((most, x) => Math.max(most, Math.abs(x)), 0)
  const parent = mkdtempSync(join(tmpdir(), 'promptlathe-sweep-'))
  const folders: ModelFolder[] = []
  for (const [name, basis] of Object.entries(variantsOf(config.hidden_size))) {
    const onnx = concatBytes(writeModel(rebased(model, basis)))
    const difference = (await logitsOf(onnx)).reduce((most, x, i) => Math.max(most, Math.abs(x - (expected[i] ?? NaN))), 0)
    console.error(`${name}: logits differ by ${(difference / largest).toExponential(1)} of the largest`)
    if (!(difference <= TOLERANCE * largest))
      throw new Error(`${name} computes other logits than ${base_model}: ${difference} of ${largest}`)
    const folder = join(parent, name)
    mkdirSync(join(folder, 'onnx'), { recursive: true })
    writeFileSync(join(folder, 'onnx', 'model.onnx'), onnx)
    writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...config, hidden_size: basis.columns }))
    for (const path of COPIED) writeFileSync(join(folder, path), readFileSync(join(source, path)))
    folders.push({ name, folder })
  }
  return folders
}
