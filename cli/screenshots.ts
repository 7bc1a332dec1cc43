/**
 * `npm run screenshots`: drives the real page through its main path in a headless Chromium and takes the README's pictures into
 * docs/images. Also a quick way to look at a change, wide and at phone width.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { chromium, type Page } from 'playwright-core'
import { launchOptions } from './chromium'
import { ensureBuilt, ROOT, serveApp } from './serve'

const OUT = join(ROOT, 'docs', 'images')
const WIDE = { width: 1280, height: 860 }
const PHONE = { width: 375, height: 780 }
const PATIENCE = { timeout: 300_000 }

async function shoot(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: join(OUT, `${name}.png`) })
  console.log(`docs/images/${name}.png`)
}

/** Scrolls so that a step's card begins at the top, below whatever sticks there. */
async function show(page: Page, step: string): Promise<void> {
  await page.locator(`#${step}`).evaluate((element) => {
    window.scrollBy({ top: element.getBoundingClientRect().top - 72, behavior: 'instant' })
  })
}

async function main(): Promise<void> {
  mkdirSync(OUT, { recursive: true })
  await ensureBuilt(console.log)
  const server = await serveApp(0)
  const browser = await chromium.launch(launchOptions())
  try {
    const page = await browser.newPage({ viewport: WIDE })
    await page.goto(server.origin)
    await page.getByText('LlamaForCausalLM').waitFor(PATIENCE)
    await shoot(page, 'first-screen')
    await page.getByRole('button', { name: 'Tune', exact: true }).first().click()
    await page.locator('#tune', { hasText: /epoch ([3-9]|10)\s+of/ }).waitFor(PATIENCE)
    await show(page, 'tune')
    await shoot(page, 'tuning')
    await page.setViewportSize(PHONE)
    await show(page, 'tune')
    await shoot(page, 'phone-tuning')
    await page.setViewportSize(WIDE)
    await page.locator('#tune').getByRole('button', { name: 'Try it' }).waitFor(PATIENCE)
    await show(page, 'tune')
    await shoot(page, 'tuned')
    await page.locator('#tune').getByRole('button', { name: 'Try it' }).click()
    await page.getByRole('button', { name: 'Answer', exact: true }).click()
    await page.getByRole('button', { name: 'Answer', exact: true }).waitFor(PATIENCE)
    await show(page, 'try')
    await shoot(page, 'try')
    await show(page, 'keep')
    await shoot(page, 'keep')
    await page.setViewportSize(PHONE)
    await page.evaluate(() => window.scrollTo({ top: 0, behavior: 'instant' }))
    await shoot(page, 'phone')
  } finally {
    await browser.close()
    await server.close()
  }
}

await main()
