/**
 * Gradient checkpointing where it counts: on every engine the same numbers, and in onnxruntime's wasm the memory that peakActivationBytes
 * promises to save (its optimizer would undo the second pass, or run it early, if it could).
 */
// First: it must see the memory being made.
import { wasmBytes } from '../support/wasm-memory'
import { readFileSync } from 'node:fs'
import * as ort from 'onnxruntime-web'
import { expect, test } from 'vitest'
import type { HostArray, HostArrays } from '../../src/engine/engine'
import { createOrtEngine } from '../../src/engine/ort/ort-engine'
import { createTfjsEngine } from '../../src/engine/tfjs/tfjs-engine'
import { checkpoint } from '../../src/graph/checkpoint'
import { trainingProgram } from '../../src/graph/objective'
import { peakActivationBytes } from '../../src/graph/peak-activations'
import type { Program } from '../../src/graph/program'
import { llamaProgram } from '../support/llama-program'
import { seeded } from '../support/op-case'
import { trainingStep } from '../support/tiny-causal'

const SHAPE = { batch: 8, sequence: 128, layers: 10, hidden: 128, heads: 8, key_heads: 4, intermediate: 512, vocab: 200 }
const L = 2

const wasm = await createOrtEngine({ ort, threads: 1 })

async function run(program: Program, feeds: HostArrays): Promise<HostArrays> {
  const executable = await wasm.load(program)
  const outputs = await executable.run(feeds)
  await executable.dispose()
  return outputs
}

test(
  'in wasm it saves the memory it should, and the loss and gradient stay the same to the bit',
  { timeout: 120_000 },
  async () => {
    const plain = trainingProgram(llamaProgram(SHAPE), { label_length: L, gradient_lengths: { inputs_embeds: 8 } })
    const segmented = checkpoint(plain, 'loss', 6)
    const next = seeded(9)
    const { batch, sequence, hidden, vocab } = SHAPE
    const ints = (limit: number) => Int32Array.from({ length: batch * L }, () => Math.floor(limit * next()))
    const feeds = new Map<string, HostArray>([
      ['inputs_embeds', Float32Array.from({ length: batch * sequence * hidden }, () => next() - 0.5)],
      ['label_positions', ints(sequence)],
      ['label_ids', ints(vocab)],
      ['label_weights', new Float32Array(batch * L).fill(1 / (batch * L))],
    ])
    // wasm memory never shrinks: the smaller one first.
    const start = wasmBytes()
    const less = await run(segmented, feeds)
    const low = wasmBytes() - start
    const more = await run(plain, feeds)
    const high = wasmBytes() - start
    expect(less).toEqual(more)
    expect(more.get('loss')?.[0]).toBeGreaterThan(1)
    const [expectedLow, expectedHigh] = [peakActivationBytes(segmented), peakActivationBytes(plain)]
    expect(expectedLow).toBeLessThan(expectedHigh / 3)
    expect(low).toBeLessThan(high / 2)
  },
)

test('on the embedded model it changes nothing on wasm and cpu', { timeout: 120_000 }, async () => {
  const bytes = new Uint8Array(readFileSync('public/models/promptlathe/tiny-causal/onnx/model.onnx'))
  const { program, feeds } = trainingStep(bytes, 4)
  const plain = trainingStep(bytes)
  const cpu = await createTfjsEngine({ backend: 'cpu' })
  for (const engine of [cpu, wasm]) {
    const [one, two] = [await engine.load(plain.program), await engine.load(program)]
    expect(await two.run(feeds)).toEqual(await one.run(feeds))
    await one.dispose()
    await two.dispose()
  }
  await cpu.dispose()
})
