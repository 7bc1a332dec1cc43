/** A q8 encoder takes one scale from all of a batch; what is kept of a row must be the row's own all the same, or a resumed run would differ. */
import { readFileSync } from 'node:fs'
import * as ort from 'onnxruntime-web'
import { expect, test } from 'vitest'
import { GraphModel } from '../../src/engine/graph-model'
import { createOrtEngine } from '../../src/engine/ort/ort-engine'
import { cutSeq2Seq } from '../../src/graph/cut'
import { readModel } from '../../src/graph/read'
import { Assembler, teacherForced } from '../../src/tuning/assemble'
import { NO_PROMPT } from '../../src/tuning/soft-prompt'

const read = (part: string) => {
  const path = `public/models/promptlathe/tiny-seq2seq/onnx/${part}_quantized.onnx`
  return readModel(new Uint8Array(readFileSync(path)))
}

test("a row's states are the same bits whatever it is batched with and padded to", async () => {
  const engine = await createOrtEngine({ ort, threads: 1 })
  const model = new GraphModel({ cut: cutSeq2Seq(read('encoder_model'), read('decoder_model_merged')), engine })
  expect(model.rounds_activations).toBe(true)
  const sequence = (...encoder: number[]) => ({ encoder, source: [0], target: [7, 1], task: 0 })
  const row = sequence(40, 41, 42, 1)
  const statesBeside = async (other: ReturnType<typeof sequence>, encoder_length: number) => {
    const queries = [row, other].map((one) => teacherForced(one, NO_PROMPT))
    const shape = { sequence_length: 2, label_length: 2, encoder_length }
    const { encoder } = await new Assembler(model, 2).assemble(shape, queries, [0, 0], 'states')
    if (encoder?.kind !== 'states') throw new Error('no states')
    const width = encoder.hidden_states.length / (2 * encoder_length)
    return encoder.hidden_states.slice(0, 4 * width)
  }
  const one = await statesBeside(sequence(900, 1), 8)
  expect(await statesBeside(sequence(3000, 17, 2500, 88, 9, 1), 16)).toEqual(one)
  expect(one.some((value) => value !== 0)).toBe(true)
  await model.dispose()
  await engine.dispose()
})
