/** Exports with packed weights (q4, and q4 with a packed embedding table): logits of onnxruntime, from the file's own bytes. */
import * as ort from 'onnxruntime-web'
import { expect, it } from 'vitest'
import { createOrtEngine } from '../../src/engine/ort/ort-engine'
import { readEmbeddingRows } from '../../src/graph/embedding'
import { fuse } from '../../src/graph/fuse'
import { specialize } from '../../src/graph/specialize'
import { trainingProgram } from '../../src/graph/objective'
import { loadFixture } from '../support/causal'
import { logitsOf } from '../support/onnxruntime'

it.each([
  ['gpt2_t433_past_q4', 2e-5],
  ['genai_llama_q4_gbq', 2e-5],
])('%s', async (name, tolerance) => {
  const { cut, bytes } = loadFixture(`test/fixtures/onnx/${name}.onnx`)
  const ids = Array.from({ length: 7 }, (_, i) => (i * 37 + 11) % cut.vocab_size)
  const { program } = specialize(cut, { batch_size: 1, sequence_length: 7, mask: 'ones', simulate_rounding: false })
  const count = (op: string) => program.ops.filter((other) => other.op === op).length
  expect(count('PackedMatMul')).toBeGreaterThan(0)
  const engine = await createOrtEngine({ ort, threads: 1 })
  const executable = await engine.load(fuse(program))
  const logits = (await executable.run(new Map([['inputs_embeds', readEmbeddingRows(cut.embedding, ids)]]))).get('logits')
  await executable.dispose()
  const expected = (await logitsOf(bytes, ids)).data
  const worst = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - (logits?.[i] ?? NaN))), 0)
  expect(worst).toBeLessThan(tolerance)
  // The gradient reads the same constants.
  const training = trainingProgram(fuse(program), { label_length: 2, gradient_lengths: { inputs_embeds: 3 } })
  expect(new Set([...training.constants.values()].filter(({ dtype }) => dtype === 'uint8')).size).toBe(
    new Set([...program.constants.values()].filter(({ dtype }) => dtype === 'uint8')).size,
  )
})
