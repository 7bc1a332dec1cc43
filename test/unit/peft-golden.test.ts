import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import * as ort from 'onnxruntime-web'
import { describe, expect, it } from 'vitest'
import type { Engine } from '../../src/engine/engine'
import { createOrtEngine } from '../../src/engine/ort/ort-engine'
import { checkReference } from '../../src/engine/self-test'
import { createTfjsEngine } from '../../src/engine/tfjs/tfjs-engine'
import { cutGraphOf, cutModel } from '../../src/graph/cut'
import { readModel } from '../../src/graph/read'
import { BOUNDS, GOLDEN_CASES, goldenModel, parseGolden, replayGolden, TORCH_CASES } from '../support/peft-golden'

const FIXTURES = resolve(import.meta.dirname, '../fixtures')
const bytes = (path: string) => new Uint8Array(readFileSync(resolve(FIXTURES, path)))
const text = (path: string) => readFileSync(resolve(FIXTURES, path), 'utf8')

const goldens = ['peft/golden.json', 'torch/t5-decoder-golden.json'].map(text)

/** The ONNX files a case was made with. */
function modelOf(name: string) {
  const folder = `peft/${name.replace(/_.*$/, '')}/onnx`
  const files = name.startsWith('t5') ? ['encoder_model', 'decoder_model'] : ['model']
  return goldenModel(files.map((file) => bytes(`${folder}/${file}.onnx`)))
}

const engines: Record<string, () => Promise<Engine>> = {
  wasm: () => createOrtEngine({ ort, threads: 1 }),
  cpu: () => createTfjsEngine({ backend: 'cpu' }),
}

describe.each(Object.keys(engines))('on %s', (device) => {
  it.each([...GOLDEN_CASES, ...TORCH_CASES])('%s: gradients, 8 losses, final tensors and greedy tokens', async (name) => {
    const engine = await engines[device]!()
    const golden = parseGolden(goldens, name)
    const result = await replayGolden(modelOf(name), golden, engine)
    await engine.dispose()
    expect(result.gradient_rel).toBeLessThan(BOUNDS.gradient)
    expect(result.loss_abs).toBeLessThan(BOUNDS.loss)
    expect(result.prompt_abs).toBeLessThan(BOUNDS.prompt)
    expect(result.greedy).toEqual(golden.greedy6_after8)
  })

  it.each([
    ['gpt2_t433', 'gpt2_t433_past'],
    ['llama_t441', 'llama_t441_past'],
    ['t5_t433', 't5_t433_dec_nopast'],
  ])('%s: logits and gradient are those of torch', async (reference, model) => {
    const engine = await engines[device]!()
    const read = readModel(bytes(`onnx/reference-models/${model}.onnx`))
    const cut = model.startsWith('t5') ? cutGraphOf(read, 'decoder') : cutModel(read)
    const check = await checkReference(cut, engine, text(`onnx/${reference}.reference.json`))
    await engine.dispose()
    expect(check.logits_max_abs_diff).toBeLessThan(1e-4)
    expect(check.gradient_max_rel_diff).toBeLessThan(1e-4)
    expect(check.ok).toBe(true)
  })
})
