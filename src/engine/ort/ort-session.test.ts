/** Sessions beside sessions that others make, and the reference run of an untouched file. */
import { readFileSync } from 'node:fs'
import * as ort from 'onnxruntime-web/webgpu'
import { beforeAll, describe, expect, test } from 'vitest'
import { CountingSource } from '../../../test/support/sliced-source'
import { llamaProgram, TINY_CAUSAL } from '../../../test/support/llama-program'
import { cutModel } from '../../graph/cut'
import type { Tensor } from '../../graph/ir'
import type { Op, ValueType } from '../../graph/program'
import { readModel } from '../../graph/read'
import { byteLength } from '../../graph/tensor'
import { concatBytes, writeModel } from '../../graph/write'
import { lower } from './lower'
import { createOrtEngine } from './ort-engine'
import type { OrtLibrary } from './ort-library'
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

test('a model that is not in memory: each weight is read once, on its way into the session, and the results are the same', async () => {
  const bytes = new Uint8Array(readFileSync('test/fixtures/onnx/llama_t441_past.onnx'))
  const results: unknown[] = []
  for (const source of [new CountingSource(bytes), bytes]) {
    const { initializers } = readModel(source).graph
    // One program over all of the larger weights: their sums.
    const [constants, outputs] = [new Map<string, Tensor>(), [] as string[]]
    const ops: Op[] = []
    const values = new Map<string, ValueType>()
    for (const [name, tensor] of initializers) {
      if (tensor.dtype !== 'float32' || tensor.dims.length !== 2 || byteLength(tensor) < 1024) continue
      constants.set(name, tensor)
      values.set(name, { dtype: 'float32', dims: tensor.dims })
      values.set(`sum ${name}`, { dtype: 'float32', dims: [1, 1] })
      ops.push({ op: 'ReduceSum', name, inputs: [name], outputs: [`sum ${name}`], attrs: { axes: [0, 1], keepdims: true } })
      outputs.push(`sum ${name}`)
    }
    const before = source instanceof CountingSource ? source.read_bytes : 0
    const session = await createSession(ort, lower({ ops, inputs: [], outputs, constants, values }), {
      graphOptimizationLevel: 'disabled',
    })
    const stored = [...constants.values()].filter((tensor) => tensor.stored)
    if (source instanceof CountingSource) {
      expect(stored.length).toBeGreaterThan(1)
      expect(source.read_bytes - before).toBe(stored.reduce((sum, tensor) => sum + byteLength(tensor), 0))
    }
    results.push(Object.values(await session.run({})).map((tensor) => tensor.data))
    await session.release()
  }
  expect(results[0]).toEqual(results[1])
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

  test('of a file that is not in memory are the same', async () => {
    const bytes = new Uint8Array(readFileSync('test/fixtures/onnx/gpt2_t433_decoder_model_merged.onnx'))
    const source = new CountingSource(bytes)
    const sliced = await referenceLogits(ort, [{ onnx: source, external: new Map() }], input)
    expect(sliced).toEqual(await referenceLogits(ort, [file(bytes)], input))
    expect(source.largest_read).toBeLessThan(bytes.length / 2)
  })

  test('float16 logits are read as numbers', async () => {
    const half = await referenceLogits(ort, [fixture('genai_llama_f16')], input)
    expect(half.some((logit) => logit !== 0)).toBe(true)
    expect(half.every(Number.isFinite)).toBe(true)
  })

  test.each(['genai_llama_q4_gbq', 'genai_llama_f16'])(
    'where there is no kernel for the lookup of %s, the rest behind our lookup says what all of it says',
    async (name) => {
      const { onnx, external } = fixture(name)
      const cut = cutModel(readModel(onnx))
      let tries = 0
      const create: typeof ort.InferenceSession.create = (...args: unknown[]) => {
        if (tries++ === 0) throw new Error('Could not find an implementation for GatherBlockQuantized(1) node')
        return ort.InferenceSession.create(...(args as Parameters<typeof ort.InferenceSession.create>))
      }
      const without: OrtLibrary = { ...ort, InferenceSession: { ...ort.InferenceSession, create } }
      await expect(referenceLogits(without, [{ onnx, external }], input)).rejects.toThrow('GatherBlockQuantized')
      tries = 0
      const rest = await referenceLogits(without, [{ onnx, external }], input, cut)
      const whole = await referenceLogits(ort, [{ onnx, external }], input)
      const digits = name.endsWith('f16') ? 2 : 4
      whole.forEach((logit, i) => expect(rest[i]).toBeCloseTo(logit, digits))
    },
  )

  test('a file that is none says so', async () => {
    const onnx = new TextEncoder().encode('<!doctype html>')
    await expect(referenceLogits(ort, [file(onnx)], input)).rejects.toThrow("onnxruntime can't load the model")
  })

  test('inputs of other kinds of models are named', async () => {
    const onnx = concatBytes(writeModel(lower(NOTHING)))
    await expect(referenceLogits(ort, [file(onnx)], input)).rejects.toThrow("input 'x'")
  })
})
