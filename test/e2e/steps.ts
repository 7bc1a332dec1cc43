/** The page's parts by role and name, as a keyboard or a screen reader finds them, and the moves a visitor makes more than once. */
import axe from 'axe-core'
import { readFileSync } from 'node:fs'
import { unzipSync } from 'fflate'
import type { Locator, Page } from 'playwright-core'
import { expect } from 'vitest'

/** How long training may take on a busy machine with a software adapter. */
export const LONG = 200_000

export const step = (page: Page, name: 'Model' | 'Examples' | 'Settings' | 'Tune' | 'Try' | 'Keep'): Locator =>
  page.getByRole('region', { name, exact: true })

export const tuneButton = (page: Page): Locator => step(page, 'Tune').getByRole('button', { name: 'Tune', exact: true })

/** Opens the app and waits until a run could be started. */
export async function openReady(page: Page, origin: string): Promise<void> {
  await page.goto(`${origin}/`)
  await untilEnabled(page.getByRole('navigation', { name: 'Steps' }).getByRole('button', { name: 'Tune' }))
}

export async function untilEnabled(button: Locator): Promise<void> {
  await button.and(button.page().locator(':enabled')).waitFor({ timeout: LONG })
}

/** Opens a disclosure (details) by its summary. */
export async function disclose(within: Locator, summary: string | RegExp): Promise<void> {
  const element = within.locator('details').filter({ has: within.page().locator('summary', { hasText: summary }) })
  if (!(await element.evaluate((details: HTMLDetailsElement) => details.open))) await element.locator(':scope > summary').click()
}

export async function fillSetting(page: Page, label: string, value: string): Promise<void> {
  await step(page, 'Settings').getByLabel(label, { exact: true }).fill(value)
}

export async function chooseDevice(page: Page, device: 'wasm' | 'webgpu'): Promise<void> {
  const model = step(page, 'Model')
  await disclose(model, 'Device and model file')
  await model.getByLabel('Device', { exact: true }).selectOption(device)
}

/** "Step 12 of 40": both numbers, as soon as the step is at least `least`. */
export async function untilStep(page: Page, least: number): Promise<{ step: number; total: number }> {
  const handle = await page.waitForFunction(
    (wanted) => {
      const [, at, total] = /Step (\d+) of (\d+)/.exec(document.getElementById('tune')?.innerText ?? '') ?? []
      return Number(at) >= wanted ? { step: Number(at), total: Number(total) } : null
    },
    least,
    { timeout: LONG },
  )
  const found = await handle.jsonValue()
  if (found === null) throw new Error('no step is shown')
  return found
}

/** The sentence of how the run ended: "32 steps in 4 s on wasm". */
export async function untilDone(page: Page): Promise<{ steps: number; device: string }> {
  const outcome = step(page, 'Tune').getByText(/\d+ steps? in .* on \w+; kept/)
  await outcome.waitFor({ timeout: LONG })
  const [, steps, device] = /(\d+) steps? in .* on (\w+); kept/.exec(await outcome.innerText()) ?? []
  return { steps: Number(steps), device: device ?? '' }
}

export const prompts = (page: Page): Locator => step(page, 'Keep').getByRole('list', { name: 'Prompts' }).getByRole('article')

/** Takes a prompt away in a form, by its button; the files of the zip that comes. */
export async function downloadZip(card: Locator, button: string): Promise<Map<string, Uint8Array>> {
  await disclose(card, 'Take it away')
  const [download] = await Promise.all([
    card.page().waitForEvent('download', { timeout: LONG }),
    card.getByRole('button', { name: button }).click(),
  ])
  expect(download.suggestedFilename()).toMatch(/\.zip$/)
  const files = unzipSync(new Uint8Array(readFileSync(await download.path())))
  await download.delete()
  return new Map(Object.entries(files))
}

/** Rules axe finds broken, with the elements: none is what is wanted. */
export async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe.source)
  const found = await page.evaluate(async () => {
    const { violations } = await window.axe.run(document, { resultTypes: ['violations'] })
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 120)).join(' | ')}`)
  })
  return found
}

declare global {
  interface Window {
    axe: typeof axe
  }
}

/** Checks the page as it is now at desk and phone width: axe, and nothing to scroll sideways. */
export async function expectAccessible(page: Page): Promise<void> {
  for (const [width, height] of [
    [1280, 900],
    [360, 740],
  ] as const) {
    await page.setViewportSize({ width, height })
    expect(await violations(page), `axe at ${width} px`).toEqual([])
    const scrolled = await page.evaluate(() => {
      window.scrollTo(10_000, window.scrollY)
      return { x: window.scrollX, wider: document.documentElement.scrollWidth - document.documentElement.clientWidth }
    })
    expect(scrolled, `sideways at ${width} px`).toEqual({ x: 0, wider: 0 })
  }
  await page.setViewportSize({ width: 1280, height: 900 })
}
