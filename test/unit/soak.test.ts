/** 200 steps leave everything as it was after 40. `npm run size` does a thousand. */
// First: it must see onnxruntime's memory being made.
import '../support/wasm-memory'
import { readFileSync } from 'node:fs'
import * as ort from 'onnxruntime-web'
import { expect, test } from 'vitest'
import { GraphModel } from '../../src/engine/graph-model'
import { createOrtEngine } from '../../src/engine/ort/ort-engine'
import { cutModel } from '../../src/graph/cut'
import { readModel } from '../../src/graph/read'
import { growth, soak } from '../support/soak'

test('no memory grows over 200 steps of two shapes', { timeout: 180_000 }, async () => {
  const engine = await createOrtEngine({ ort, threads: 1 })
  const bytes = new Uint8Array(readFileSync('test/fixtures/peft/llama/onnx/model.onnx'))
  const model = new GraphModel({ cut: cutModel(readModel(bytes)), engine })
  const result = await soak(model, 200, 40)
  expect(result.last_loss).toBeLessThan(result.first_loss)
  expect(result.samples[0]?.wasm_bytes).toBeGreaterThan(2 ** 20)
  const grown = growth(result)
  expect(grown).toMatchObject({ live_tensors: 0, bytes: 0, wasm_bytes: 0 })
  // A batch and its gradient are 20 kB: kept, 160 steps of them would be 3 MB.
  expect(grown.array_bytes).toBeLessThan(1e6)
  expect(grown.heap_bytes).toBeLessThan(2e6)
  await model.dispose()
  await engine.dispose()
})
