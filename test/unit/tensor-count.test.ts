/** Training leaves nothing behind: after 300 steps as many tensors and bytes are alive as after two. WebGPU's is in test/browser/webgpu-model.test.ts. */
import { readFileSync } from 'node:fs'
import * as ort from 'onnxruntime-web'
import { expect, test } from 'vitest'
import type { Engine } from '../../src/engine/engine'
import { GraphModel } from '../../src/engine/graph-model'
import { createOrtEngine } from '../../src/engine/ort/ort-engine'
import { createTfjsEngine } from '../../src/engine/tfjs/tfjs-engine'
import { cutModel } from '../../src/graph/cut'
import { readModel } from '../../src/graph/read'
import { Assembler } from '../../src/tuning/assemble'
import { newOptimizerState } from '../../src/tuning/optimizer'
import { trainStep } from '../../src/tuning/step'
import { layoutOf, open } from '../support/tuning'

const STEPS = 300
const N = 2

test.each<[string, string, () => Promise<Engine>]>([
  ['wasm', 'public/models/promptlathe/tiny-causal/onnx/model.onnx', () => createOrtEngine({ ort, threads: 1 })],
  ['cpu', 'test/fixtures/peft/llama/onnx/model.onnx', () => createTfjsEngine({ backend: 'cpu' })],
])(`${STEPS} steps on %s leave the tensor count where it was`, { timeout: 180_000 }, async (_, path, makeEngine) => {
  const engine = await makeEngine()
  const model = new GraphModel({ cut: cutModel(readModel(new Uint8Array(readFileSync(path)))), engine })
  const sequences = [
    { encoder: null, source: [5, 9, 11], target: [7, 2], task: 0 },
    { encoder: null, source: [8, 4], target: [6, 3, 2], task: 0 },
  ]
  const group = [{ shape: { sequence_length: 8, label_length: 3, encoder_length: 0 }, rows: [0, 1] }]
  const settings = {
    weighting: 'token_mean',
    accumulate_steps: 1,
    max_grad_norm: 1,
    weight_decay: 0.01,
    optimizer: 'adamw',
  } as const
  const layout = layoutOf(N, model.hidden_size)
  const trained = { layout, parameters: model.embed([1, 2], 'decoder') }
  const adam = newOptimizerState('adamw', layout)
  const assembler = new Assembler(model, sequences.length)

  const losses: number[] = []
  const counters = []
  for (let step = 1; step <= STEPS; step++) {
    const done = await trainStep(model, assembler, trained, adam, group, sequences, 1e-3, settings, open)
    losses.push(done?.loss ?? NaN)
    counters.push(model.counters())
  }
  const alive = ({ live_tensors, bytes }: { live_tensors: number; bytes: number }) => ({ live_tensors, bytes })
  const [, second] = counters
  const last = counters.at(-1)
  if (!second || !last) throw new Error('no counters')
  expect(second.live_tensors).toBeGreaterThan(0)
  expect(alive(last)).toEqual(alive(second))
  // It did train all the while.
  expect(losses.at(-1)).toBeLessThan(losses[0] ?? 0)
  await model.dispose()
  // What the program held is gone with it.
  expect(engine.counters().live_tensors).toBeLessThan(second.live_tensors)
  await engine.dispose()
})
