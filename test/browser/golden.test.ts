import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BOUNDS, GOLDEN_CASES, parseGolden, TORCH_CASES } from '../support/peft-golden'
import { launchChromium, servePage, withPage, type ServedPage } from './run-page'

const goldens = ['peft/golden.json', 'torch/t5-decoder-golden.json'].map((path) =>
  readFileSync(resolve(import.meta.dirname, '../fixtures', path), 'utf8'),
)
let browser: Browser
let served: ServedPage

beforeAll(async () => {
  ;[browser, served] = await Promise.all([launchChromium(), servePage(resolve(import.meta.dirname, 'golden-page.ts'))])
})
afterAll(async () => {
  await browser.close()
  await served.close()
})

describe.each(['webgpu', 'wasm'] as const)('on %s in Chromium', (device) => {
  it.each([...GOLDEN_CASES, ...TORCH_CASES])('%s: gradients, 8 losses, final tensors and greedy tokens', async (name) => {
    const result = await withPage(browser, served, (page) =>
      page.evaluate(([d, n]) => window.goldenPage.replay(d, n), [device, name] as const),
    )
    expect(result.gradient_rel).toBeLessThan(BOUNDS.gradient)
    expect(result.loss_abs).toBeLessThan(BOUNDS.loss)
    expect(result.prompt_abs).toBeLessThan(BOUNDS.prompt)
    expect(result.greedy).toEqual(parseGolden(goldens, name).greedy6_after8)
  })
})
