/** The 124M model's training step on WebGPU, in a headless Chromium (on a machine without a GPU: its software adapter), beside the same step on wasm. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import * as ort from 'onnxruntime-web'
import { createOrtEngine } from '../../src/engine/ort/ort-engine'
import { relativeDistance } from '../../test/support/relative-distance'
import { trainingStep } from '../../test/support/tiny-causal'
import { launchChromium, servePage, withPage } from '../../test/browser/run-page'

export interface WebGPUStep {
  readonly loss: number
  readonly gradient: number
  /** From the step on wasm: |loss - loss there| / loss there, and the distance of the gradients as vectors over the length of the one there. */
  readonly loss_difference: number
  readonly gradient_difference: number
  readonly device_bytes: number
  readonly milliseconds: number
}

/** @param path an ONNX file of a causal model; its step has two rows of 24 tokens */
export async function stepOnWebGPU(path: string): Promise<WebGPUStep> {
  const bytes = new Uint8Array(readFileSync(path))
  const expected = await stepOnWasm(bytes)
  const page = resolve(import.meta.dirname, '../../test/browser/model-page.ts')
  const [browser, served] = await Promise.all([launchChromium(), servePage(page, new Map([['/model.onnx', bytes]]))])
  try {
    return await withPage(browser, served, async (page) => {
      page.setDefaultTimeout(0)
      const run = await page.evaluate(() => window.modelPage.train('/model.onnx', 1))
      const squares = run.d_inputs_embeds.reduce((sum, value) => sum + value * value, 0)
      const [counters] = run.counters
      return {
        loss: run.loss,
        gradient: Math.sqrt(squares / run.d_inputs_embeds.length),
        loss_difference: Math.abs(run.loss - expected.loss) / Math.abs(expected.loss),
        gradient_difference: relativeDistance(run.d_inputs_embeds, expected.gradient),
        device_bytes: counters?.bytes ?? NaN,
        milliseconds: run.milliseconds[0] ?? NaN,
      }
    })
  } finally {
    await browser.close()
    await served.close()
  }
}

async function stepOnWasm(bytes: Uint8Array): Promise<{ readonly loss: number; readonly gradient: ArrayLike<number> }> {
  const { program, feeds } = trainingStep(bytes)
  const engine = await createOrtEngine({ ort, threads: 1 })
  const outputs = await (await engine.load(program)).run(feeds)
  await engine.dispose()
  return { loss: outputs.get('loss')?.[0] ?? NaN, gradient: outputs.get('d_inputs_embeds') ?? [] }
}
