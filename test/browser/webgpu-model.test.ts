import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import * as ort from 'onnxruntime-web/webgpu'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { HostArrays } from '../../src/engine/engine'
import { createOrtEngine } from '../../src/engine/ort/ort-engine'
import { createTfjsEngine } from '../../src/engine/tfjs/tfjs-engine'
import { HEAD_PRECISIONS, HEAD_VALUE_BYTES, headBytes, headStep } from '../support/head-step'
import { relativeDistance } from '../support/relative-distance'
import { trainingStep } from '../support/tiny-causal'
import { launchChromium, servePage, withPage, type ServedPage } from './run-page'

const MODEL = resolve(import.meta.dirname, '../../public/models/promptlathe/tiny-causal/onnx')
const file = (name: string): Uint8Array<ArrayBuffer> => new Uint8Array(readFileSync(resolve(MODEL, name)))

let browser: Browser
let served: ServedPage

beforeAll(async () => {
  const files = new Map(['model.onnx', 'model_quantized.onnx'].map((name) => [`/${name}`, file(name)]))
  files.set('/small.onnx', new Uint8Array(readFileSync(resolve(import.meta.dirname, '../fixtures/onnx/llama_sdpa_past.onnx'))))
  ;[browser, served] = await Promise.all([launchChromium(), servePage(resolve(import.meta.dirname, 'model-page.ts'), files)])
})
afterAll(async () => {
  await browser.close()
  await served.close()
})

describe('a training step of the embedded model on WebGPU', () => {
  it.each([
    // Six layers forward and back in float32, in another order of additions.
    ['model.onnx', 1e-4, 340],
    // Activations near a rounding boundary fall to the other side: a step of 1/255 of their range here and there.
    ['model_quantized.onnx', 1e-2, 510],
  ])('%s gives the loss and gradient that the cpu device gives', async (name, tolerance, dispatches) => {
    const run = await withPage(browser, served, (page) => page.evaluate((url) => window.modelPage.train(url, 5), `/${name}`))
    const { program, feeds } = trainingStep(file(name))
    const engine = await createTfjsEngine({ backend: 'cpu' })
    const expected = await (await engine.load(program)).run(feeds)
    await engine.dispose()
    const [, second, third, , fifth] = run.counters
    if (!second || !third || !fifth) throw new Error('it ran fewer than five steps')
    const perStep = {
      dispatches: third.dispatches - second.dispatches,
      submits: third.submits - second.submits,
      buffers_created: fifth.buffers_created - second.buffers_created,
    }
    expect(Math.abs(run.loss - (expected.get('loss')?.[0] ?? NaN))).toBeLessThan(tolerance)
    expect(relativeDistance(run.d_inputs_embeds, expected.get('d_inputs_embeds') ?? [])).toBeLessThan(tolerance)
    expect(perStep.buffers_created).toBe(0)
    expect(perStep.dispatches).toBeLessThanOrEqual(dispatches)
    // tfjs sends fifteen dispatches at a time; the last submit also carries the read-back.
    expect(perStep.submits).toBeLessThanOrEqual(Math.ceil(perStep.dispatches / 15) + 1)
    expect([fifth.live_tensors, fifth.bytes]).toEqual([second.live_tensors, second.bytes])
  })
})

describe('a head that is larger than a tensor may be', () => {
  it.each(HEAD_PRECISIONS)(
    '%s: in pieces it gives the loss and gradient it gives whole, and that wasm gives',
    async (precision) => {
      const most = 2.5 * HEAD_VALUE_BYTES
      expect(headBytes(precision)).toBeGreaterThan(3 * most)
      const [whole, sliced] = await withPage(browser, served, (page) =>
        page.evaluate(
          async ([precision, most]) => {
            const run = await window.modelPage.trainHead(precision)
            return [run, await window.modelPage.trainHead(precision, most)] as const
          },
          [precision, most] as const,
        ),
      )
      const { program, feeds } = headStep(precision)
      const engine = await createOrtEngine({ ort, threads: 1 })
      const expected: HostArrays = await (await engine.load(program)).run(feeds)
      await engine.dispose()
      // A kind of op for every piece, forward and back, and what joins them.
      const pieces = Math.ceil(headBytes(precision) / most)
      expect(sliced.counters[0]?.dispatches).toBeGreaterThanOrEqual(
        (whole.counters[0]?.dispatches ?? Infinity) + 2 * (pieces - 1),
      )
      expect(whole.loss).toBeGreaterThan(0)
      // Float32 sums of 256 and of 1000 numbers in other orders. Rounding is of the same numbers: no level falls to the other side.
      for (const [loss, gradient] of [
        [whole.loss, whole.d_inputs_embeds],
        [expected.get('loss')?.[0] ?? NaN, expected.get('d_inputs_embeds') ?? []],
      ] as const) {
        expect(Math.abs(sliced.loss - loss) / loss).toBeLessThan(1e-5)
        expect(relativeDistance(sliced.d_inputs_embeds, gradient)).toBeLessThan(1e-5)
      }
    },
  )
})

it('a step with gradient checkpointing gives the loss and gradient of one without, bit for bit', async () => {
  const [plain, segmented] = await withPage(browser, served, (page) =>
    page.evaluate(async () => {
      const run = await window.modelPage.train('/small.onnx', 2)
      return [run, await window.modelPage.train('/small.onnx', 2, 2)] as const
    }),
  )
  expect(plain.loss).toBeGreaterThan(0)
  expect([segmented.loss, segmented.d_inputs_embeds]).toEqual([plain.loss, plain.d_inputs_embeds])
  // It did run another program.
  expect(segmented.counters[0]?.dispatches).toBeGreaterThan(plain.counters[0]?.dispatches ?? Infinity)
})

it('fifty steps of a small model leave tensors, buffers and bytes as they were after the second', async () => {
  const run = await withPage(browser, served, (page) => page.evaluate(() => window.modelPage.train('/small.onnx', 50)))
  const alive = run.counters
    .slice(1)
    .map(({ live_tensors, bytes, buffers_created }) => ({ live_tensors, bytes, buffers_created }))
  expect(alive).toHaveLength(49)
  expect(alive[0]?.live_tensors).toBeGreaterThan(0)
  for (const counters of alive) expect(counters).toEqual(alive[0])
})
