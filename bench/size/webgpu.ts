/** The 124M model's training step on WebGPU, in a headless Chromium (on a machine without a GPU: its software adapter). */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { launchChromium, servePage, withPage } from '../../test/browser/run-page'

export interface WebGPUStep {
  readonly loss: number
  readonly gradient: number
  readonly device_bytes: number
  readonly milliseconds: number
}

/** @param path an ONNX file of a causal model; its step has two rows of 24 tokens */
export async function stepOnWebGPU(path: string): Promise<WebGPUStep> {
  const page = resolve(import.meta.dirname, '../../test/browser/model-page.ts')
  const [browser, served] = await Promise.all([
    launchChromium(),
    servePage(page, new Map([['/model.onnx', new Uint8Array(readFileSync(path))]])),
  ])
  try {
    return await withPage(browser, served, async (page) => {
      page.setDefaultTimeout(0)
      const run = await page.evaluate(() => window.modelPage.train('/model.onnx', 1))
      const squares = run.d_inputs_embeds.reduce((sum, value) => sum + value * value, 0)
      const [counters] = run.counters
      return {
        loss: run.loss,
        gradient: Math.sqrt(squares / run.d_inputs_embeds.length),
        device_bytes: counters?.bytes ?? NaN,
        milliseconds: run.milliseconds[0] ?? NaN,
      }
    })
  } finally {
    await browser.close()
    await served.close()
  }
}
