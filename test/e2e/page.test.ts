/**
 * One visit to the built app, from the first screen to deleting a prompt: on wasm, then on WebGPU, then a run cut off by a reload. The
 * tests go on from each other, as the visit does; the last ones look back over all of it.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Locator, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { HEADERS } from '../../headers'
import { readPeftAdapter } from '../../src/formats/peft-read'
import { AutoTokenizer, continueText, env } from '../support/transformers'
import {
  chooseDevice,
  disclose,
  downloadZip,
  expectAccessible,
  fillSetting,
  LONG,
  openReady,
  prompts,
  step,
  tuneButton,
  untilDone,
  untilEnabled,
  untilStep,
} from './steps'
import { startVisit, type Visit } from './visit'

const NAME = 'Recommend or avoid?'
const RENAMED = 'Moods of short sentences'
const VIRTUAL_TOKENS = 6
/** Enough to answer with a label and stop. */
const EPOCHS = 8

let visit: Visit
let page: Page
beforeAll(async () => {
  visit = await startVisit()
  page = visit.page
}, LONG)
afterAll(() => visit.end())

/** Both answers to what stands in the input field, once both are complete, and how many lengths the untuned one's text had on the way. */
async function answers(): Promise<{ untuned: string; tuned: string; growth: number }> {
  const box = (name: string): Locator => step(page, 'Try').getByRole('article', { name: `${name} answer`, exact: true })
  await box('Untuned').evaluate((element) => {
    const seen = new Set<number>()
    new MutationObserver(() => {
      seen.add(element.querySelector('[aria-live]')?.textContent?.length ?? 0)
      element.setAttribute('data-grown', String(seen.size))
    }).observe(element, { subtree: true, childList: true, characterData: true })
  })
  await step(page, 'Try').getByRole('button', { name: 'Answer', exact: true }).click()
  const said = async (name: string): Promise<string> => {
    await box(name)
      .getByText(/\d+ tokens? in /)
      .waitFor({ timeout: LONG })
    return (await box(name).getByRole('paragraph').first().innerText()).trim()
  }
  const [untuned, tuned] = [await said('Untuned'), await said('Tuned')]
  return { untuned, tuned, growth: Number(await box('Untuned').getAttribute('data-grown')) }
}

describe('a first visit, on wasm', () => {
  test('the first screen: the embedded model open, a sample chosen, nothing axe objects to', { timeout: LONG }, async () => {
    const response = await page.request.get(`${visit.origin}/`)
    expect(response.headers()).toMatchObject(
      Object.fromEntries(Object.entries(HEADERS).map(([name, value]) => [name.toLowerCase(), value])),
    )
    await openReady(page, visit.origin)
    expect(await step(page, 'Model').getByRole('radio', { name: 'Built in' }).isChecked()).toBe(true)
    expect(await step(page, 'Model').getByText('promptlathe/tiny-causal').first().isVisible()).toBe(true)
    expect(await step(page, 'Examples').getByRole('radio', { name: NAME }).isChecked()).toBe(true)
    await step(page, 'Examples').getByRole('region', { name: 'What the model reads' }).waitFor({ timeout: LONG })
    expect(await step(page, 'Keep').getByText('No prompt yet.').isVisible()).toBe(true)
    await expectAccessible(page)
  })

  test('keyboard alone: past the header by the skip link, on to Tune, and Enter starts the run', { timeout: LONG }, async () => {
    await chooseDevice(page, 'wasm')
    await fillSetting(page, 'Epochs', String(EPOCHS))
    await fillSetting(page, 'Virtual tokens', String(VIRTUAL_TOKENS))
    await untilEnabled(tuneButton(page))
    await page.evaluate(() => {
      if (document.activeElement instanceof HTMLElement) document.activeElement.blur()
      window.scrollTo(0, 0)
    })
    await page.getByRole('link', { name: 'Skip to the first step' }).focus()
    await page.keyboard.press('Enter')
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('model-title')
    const button = await tuneButton(page).elementHandle()
    let presses = 0
    while (!(await page.evaluate((wanted) => document.activeElement === wanted, button))) {
      expect(++presses, 'Tab presses from the first step to the Tune button').toBeLessThan(100)
      await page.keyboard.press('Tab')
    }
    await page.keyboard.press('Enter')
    await untilStep(page, 1)
  })

  test('steps and charts move, pause holds, going on goes on, the end says how it went', { timeout: LONG }, async () => {
    const tune = step(page, 'Tune')
    await tune.getByRole('button', { name: 'Pause' }).click()
    const goOn = tune.getByRole('button', { name: 'Go on' })
    await goOn.waitFor({ timeout: LONG })
    expect(await tune.getByText('The run is paused.').count()).toBe(1)
    const held = await untilStep(page, 1)
    // Two answers of the worker later, it still stands where it stood.
    await disclose(step(page, 'Keep'), 'Storage')
    await step(page, 'Keep')
      .getByText(/ stored/)
      .first()
      .waitFor()
    expect(await untilStep(page, 1)).toEqual(held)
    const loss = tune.getByRole('figure').filter({ has: page.getByRole('heading', { name: 'Loss' }) })
    const drawn = () => loss.locator('canvas').evaluate((canvas: HTMLCanvasElement) => canvas.toDataURL())
    const before = await drawn()
    await goOn.click()
    expect((await untilStep(page, held.step + 3)).total).toBe(held.total)
    expect(await drawn()).not.toBe(before)
    expect(await page.title()).toMatch(/^\d+ %/)

    const done = await untilDone(page)
    expect(done).toEqual({ steps: held.total, device: 'wasm' })
    await disclose(tune, 'The curves as a table')
    const epochs = tune.getByRole('region', { name: 'The curves as a table' }).getByRole('row')
    // Head, untuned, and the epochs.
    expect(await epochs.count()).toBe(2 + EPOCHS)
    // Untuned, with an instruction, with solved examples in front, tuned.
    const measured = tune.getByRole('region', { name: 'How well it did' }).getByRole('row')
    expect(await measured.filter({ hasText: /\d+ of \d+ right/ }).count()).toBe(4)
    // With every disclosure open, so that all there is gets looked at.
    await page.evaluate(() => document.querySelectorAll('details').forEach((details) => (details.open = true)))
    await expectAccessible(page)
  })

  let answer = ''
  let adapter: ReadonlyMap<string, Uint8Array> = new Map()
  test('try: both answer, token by token; the held-out rows say which are right', { timeout: LONG }, async () => {
    const rows = step(page, 'Try').getByRole('region', { name: 'Held-out rows' }).getByRole('row')
    expect(await rows.count()).toBe(11)
    const first = rows.nth(1)
    await step(page, 'Try')
      .getByLabel(/^Input/)
      .fill(await first.getByRole('cell').first().innerText())
    const { untuned, tuned, growth } = await answers()
    expect(untuned).not.toBe('')
    expect(tuned).not.toBe(untuned)
    // Token by token: an untrained answer rambles on.
    expect(growth).toBeGreaterThan(4)
    // What the engine's own decoding said of that row while measuring.
    expect(await first.getByText(tuned, { exact: true }).count()).toBeGreaterThan(0)
    answer = tuned
  })

  test('rename, reload: it is still there and says the same', { timeout: LONG }, async () => {
    const card = prompts(page).first()
    await card.getByRole('button', { name: 'Rename' }).click()
    await card.getByLabel('New name').fill(RENAMED)
    await page.keyboard.press('Enter')
    await prompts(page).getByRole('heading', { name: RENAMED }).waitFor()
    const input = await step(page, 'Try')
      .getByLabel(/^Input/)
      .inputValue()
    await page.reload()
    await prompts(page).getByRole('heading', { name: RENAMED }).waitFor({ timeout: LONG })
    expect(await prompts(page).count()).toBe(1)
    await step(page, 'Try')
      .getByLabel(/^Input/)
      .fill(input)
    await untilEnabled(step(page, 'Try').getByRole('button', { name: 'Answer', exact: true }))
    expect((await answers()).tuned).toBe(answer)
  })

  test('take it away: a PEFT adapter, and a model that plain transformers.js runs', { timeout: LONG }, async () => {
    const card = prompts(page).filter({ hasText: RENAMED })
    adapter = await downloadZip(card, 'Download PEFT adapter')
    const read = readPeftAdapter(adapter, { kind: 'causal-lm' })
    expect(read).toMatchObject({ base_model: 'promptlathe/tiny-causal' })
    expect(read.prompt).toMatchObject({ num_virtual_tokens: VIRTUAL_TOKENS, hidden_size: 192 })
    expect(read.config).toMatchObject({ peft_type: 'PROMPT_TUNING', task_type: 'CAUSAL_LM', token_dim: 192 })

    const baked = await downloadZip(card, 'Download Baked model')
    const folder = mkdtempSync(join(tmpdir(), 'promptlathe-baked-'))
    try {
      for (const [path, bytes] of baked) {
        mkdirSync(dirname(join(folder, 'baked', path)), { recursive: true })
        writeFileSync(join(folder, 'baked', path), bytes)
      }
      env.localModelPath = `${folder}/`
      const tokenizer = await AutoTokenizer.from_pretrained('baked')
      const input = `${await step(page, 'Try')
        .getByLabel(/^Input/)
        .inputValue()} ->`
      const ids = tokenizer.encode(input)
      const soft = tokenizer.encode('<|sp_0|>', { add_special_tokens: false }).at(-1) ?? NaN
      expect(ids.slice(0, VIRTUAL_TOKENS)).toEqual(Array.from({ length: VIRTUAL_TOKENS }, (_, i) => soft + i))
      const dtype = baked.has('onnx/model.onnx') ? 'fp32' : 'q8'
      expect((await continueText('baked', input, dtype, 16)).trim()).toBe(answer)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  test('an adapter brought back in is a prompt that answers alike', { timeout: LONG }, async () => {
    const keep = step(page, 'Keep')
    await disclose(keep, 'Import a PEFT adapter or a caikit prompt')
    const files = [...adapter].map(([name, bytes]) => ({
      name,
      mimeType: 'application/octet-stream',
      buffer: Buffer.from(bytes),
    }))
    await keep.locator('input[type=file][aria-label="Prompt files"]').setInputFiles(files)
    const card = prompts(page).filter({ has: page.getByRole('heading', { name: 'Imported prompt' }) })
    await card.waitFor({ timeout: LONG })
    const input = await step(page, 'Try')
      .getByLabel(/^Input/)
      .inputValue()
    await card.getByRole('button', { name: 'Try it' }).click()
    // An adapter carries no template, so the text is given as training put it.
    await step(page, 'Try').getByLabel('Input', { exact: true }).fill(`${input} ->`)
    expect((await answers()).tuned).toBe(answer)
  })

  test('a prompt is deleted only after a question, and for good', { timeout: LONG }, async () => {
    const card = prompts(page).filter({ hasText: 'Imported prompt' })
    await card.getByRole('button', { name: 'Delete' }).click()
    const question = card.getByRole('group', { name: 'Delete it for good?' })
    await question.getByRole('button', { name: 'Cancel' }).click()
    expect(await card.count()).toBe(1)
    await card.getByRole('button', { name: 'Delete' }).click()
    await question.getByRole('button', { name: 'Delete' }).click()
    await card.waitFor({ state: 'detached' })
    await page.reload()
    await prompts(page).getByRole('heading', { name: RENAMED }).waitFor({ timeout: LONG })
    expect(await prompts(page).count()).toBe(1)
  })
})

/** Short rows of the visitor's own, the smallest job that learns anything. */
const OWN_ROWS = [
  'input,output',
  ...['good', 'fine', 'great', 'lovely', 'bright', 'kind'].map((word) => `a ${word} day, yes`),
  ...['bad', 'poor', 'awful', 'ugly', 'dull', 'mean'].map((word) => `a ${word} day, no`),
].join('\n')

async function useOwnRows(): Promise<void> {
  const examples = step(page, 'Examples')
  await examples.getByText('Your own', { exact: true }).click()
  await examples.getByLabel('Or paste rows, with a header line').fill(OWN_ROWS)
  await examples.getByRole('button', { name: 'Use the pasted rows' }).click()
  await examples.getByRole('heading', { name: /12 examples/ }).waitFor()
}

describe('on WebGPU, with rows of the visitor', () => {
  test('tune, try, find again, download', { timeout: 2 * LONG }, async () => {
    await openReady(page, visit.origin)
    await chooseDevice(page, 'webgpu')
    await useOwnRows()
    await fillSetting(page, 'Epochs', '1')
    await fillSetting(page, 'Virtual tokens', '2')
    // Long inputs take a software adapter minutes.
    await disclose(step(page, 'Settings'), 'Advanced')
    await step(page, 'Settings').getByRole('checkbox', { name: 'FEW_SHOT' }).uncheck()
    await step(page, 'Examples').getByLabel('Held-out share', { exact: true }).fill('0.17')
    await untilEnabled(tuneButton(page))
    await tuneButton(page).click()
    const done = await untilDone(page)
    expect(done.device).toBe('webgpu')
    expect(done.steps).toBeGreaterThan(0)
    expect(await step(page, 'Try').getByRole('region', { name: 'Held-out rows' }).getByRole('row').count()).toBe(3)
    const { tuned, untuned } = await answers()
    expect(tuned + untuned).not.toBe('')
    const card = prompts(page).filter({ hasText: 'Pasted examples' })
    expect(readPeftAdapter(await downloadZip(card, 'Download PEFT adapter')).prompt.num_virtual_tokens).toBe(2)
    await page.reload()
    await card.waitFor({ timeout: LONG })
  })
})

describe('a run cut off by a reload', () => {
  test('is offered, goes on where it was saved, and ends with all its steps', { timeout: LONG }, async () => {
    await openReady(page, visit.origin)
    await chooseDevice(page, 'wasm')
    await useOwnRows()
    await fillSetting(page, 'Epochs', '40')
    await fillSetting(page, 'Virtual tokens', '2')
    await untilEnabled(tuneButton(page))
    await tuneButton(page).click()
    const tune = step(page, 'Tune')
    await tune.getByRole('button', { name: 'Pause' }).click({ timeout: LONG })
    // A pause saves the run; what comes after it is lost with the reload.
    await tune.getByRole('button', { name: 'Go on' }).click({ timeout: LONG })
    const { total } = await untilStep(page, 2)
    await page.reload()
    const offer = page.getByRole('region', { name: 'A run was interrupted' })
    await offer.waitFor({ timeout: LONG })
    const [, saved, of] = /step (\d+) of (\d+)/.exec(await offer.innerText()) ?? []
    expect(Number(of)).toBe(total)
    expect(Number(saved)).toBeLessThan(total)
    await offer.getByRole('button', { name: 'Continue' }).click()
    expect(await untilDone(page)).toEqual({ steps: total, device: 'wasm' })
    await offer.waitFor({ state: 'detached' })
    await page.reload()
    await prompts(page).first().waitFor({ timeout: LONG })
    expect(await offer.count()).toBe(0)
  })
})

describe('looking back over the whole visit', () => {
  test('not one request went to anybody else, from page or worker', () => {
    const paths = visit.requests.map((url) => new URL(url)).filter((url) => url.origin === visit.origin)
    // The workers' requests are among those recorded: the model and the runtime are only ever asked for there.
    expect(paths.some((url) => url.pathname.endsWith('/onnx/model.onnx'))).toBe(true)
    expect(paths.some((url) => url.pathname.endsWith('.wasm'))).toBe(true)
    expect(visit.requests.filter((url) => new URL(url).origin !== visit.origin)).toEqual([])
    expect([...visit.hosts]).toEqual([])
    expect(visit.errors).toEqual([])
  })

  test('and none could: the page may not fetch from another host', async () => {
    const blocked = await page.evaluate(async () => {
      const violation = new Promise<string>((resolve) =>
        document.addEventListener(
          'securitypolicyviolation',
          (event) => resolve(`${event.effectiveDirective} ${event.blockedURI}`),
          {
            once: true,
          },
        ),
      )
      const refused = await fetch('https://example.com/collect', { method: 'POST', body: 'an example' }).then(
        () => false,
        () => true,
      )
      return { refused, violation: await violation }
    })
    expect(blocked).toEqual({ refused: true, violation: 'connect-src https://example.com/collect' })
    expect([...visit.hosts]).toEqual([])
    // The lists above would have shown it: a request that nothing forbids is in both.
    await page.goto('http://elsewhere.invalid/').catch(() => undefined)
    expect(visit.requests).toContain('http://elsewhere.invalid/')
    expect([...visit.hosts]).toEqual(['elsewhere.invalid'])
  })
})
