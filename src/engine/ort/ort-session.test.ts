/** Sessions beside sessions that others make, and the reference run of an untouched file. */
import { readFileSync } from 'node:fs'
import * as ort from 'onnxruntime-web/webgpu'
import { beforeAll, describe, expect, test } from 'vitest'
import { llamaProgram, TINY_CAUSAL } from '../../../test/support/llama-program'
import { concatBytes, writeModel } from '../../graph/write'
import { lower } from './lower'
import { createOrtEngine } from './ort-engine'
import { createSession } from './ort-session'
import { referenceLogits } from './reference-logits'

const NOTHING = { ops: [], inputs: ['x'], outputs: ['x'], constants: new Map(), values: new Map([['x', { dtype: 'float32' as const, dims: [1] }]]) } // prettier-ignore

beforeAll(async () => {
  await createOrtEngine({ ort, threads: 1 })
})

test('external data survives sessions that others make at the same time', async () => {
  const { layers, ...shape } = TINY_CAUSAL
  const model = lower(llamaProgram({ ...shape, layers: layers / 6, vocab: 64 }))
  const others = concatBytes(writeModel(lower(NOTHING)))
  // onnxruntime's start has a dozen awaits; the other session is done after another number of them each time.
  for (let delay = 0; delay < 12; delay++) {
    const other = (async () => {
      for (let i = 0; i < delay; i++) await Promise.resolve()
      return ort.InferenceSession.create(others)
    })()
    const made = await Promise.all([other, createSession(ort, model), ort.InferenceSession.create(others)])
    for (const session of made) await session.release()
  }
})

describe('reference logits', () => {
  const ids = [3, 77, 12, 9, 151]
  const input = { ids, decoder: [] }
  const file = (onnx: Uint8Array) => ({ onnx, external: new Map<string, Uint8Array>() })
  const fixture = (name: string) => file(new Uint8Array(readFileSync(`test/fixtures/onnx/${name}.onnx`)))

  test('a cached decoder and its merged form are one model', async () => {
    const plain = await referenceLogits(ort, [fixture('gpt2_t433_past')], input)
    expect(plain).toHaveLength(ids.length * 160)
    const merged = await referenceLogits(ort, [fixture('gpt2_t433_decoder_model_merged')], input)
    plain.forEach((logit, i) => expect(merged[i]).toBeCloseTo(logit, 5))
  })

  test('float16 logits are read as numbers', async () => {
    const half = await referenceLogits(ort, [fixture('genai_llama_f16')], input)
    expect(half.some((logit) => logit !== 0)).toBe(true)
    expect(half.every(Number.isFinite)).toBe(true)
  })

  test('a file that is none says so', async () => {
    const onnx = new TextEncoder().encode('<!doctype html>')
    await expect(referenceLogits(ort, [file(onnx)], input)).rejects.toThrow("onnxruntime can't load the model")
  })

  test('inputs of other kinds of models are named', async () => {
    const onnx = concatBytes(writeModel(lower(NOTHING)))
    await expect(referenceLogits(ort, [file(onnx)], input)).rejects.toThrow("input 'x'")
  })
})
