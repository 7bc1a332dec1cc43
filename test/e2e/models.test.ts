/**
 * Bringing a model: out of the catalogue, by a search of the hub (a fake one), from a folder; its files before the download, cancelling
 * and trying again, what the browser keeps. What is asked of the hub, and when, is looked at all along.
 */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Locator, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ROOT } from '../../cli/serve'
import { serveHub, type FakeHub } from './fake-hub'
import { disclose, expectAccessible, LONG, openReady, step } from './steps'
import { startVisit, type Visit } from './visit'

/** Nothing here is trained: what takes longer than this is stuck. */
const PATIENCE = 90_000
const MODEL = join(ROOT, 'public', 'models', 'promptlathe', 'tiny-causal')
const SMALL = {
  'config.json': 'config.json',
  'tokenizer.json': 'tokenizer.json',
  'tokenizer_config.json': 'tokenizer_config.json',
}
const TEXT = { pipeline_tag: 'text-generation', tags: ['text-generation', 'license:apache-2.0'], downloads: 12345 }

let visit: Visit
let page: Page
let hub: FakeHub
let folders: string
beforeAll(async () => {
  visit = await startVisit()
  page = visit.page
  page.setDefaultTimeout(40_000)
  hub = await serveHub(visit.context, {
    'fake/tiny-chat': {
      files: { ...SMALL, 'onnx/model.onnx': 'onnx/model.onnx', 'onnx/model_quantized.onnx': 'onnx/model_quantized.onnx' },
      facts: TEXT,
    },
    'fake/tiny-gated': { files: SMALL, facts: { ...TEXT, gated: 'manual' } },
    'fake/tiny-torch': { files: { ...SMALL, 'model.safetensors': 'config.json' }, facts: TEXT },
    'fake/two-tabs': { files: { ...SMALL, 'onnx/model_quantized.onnx': 'onnx/model_quantized.onnx' } },
    'fake/tiny-<b>bold</b>': { files: SMALL, facts: TEXT },
  })
  folders = mkdtempSync(join(tmpdir(), 'promptlathe-folders-'))
}, LONG)
afterAll(async () => {
  await visit.end()
  rmSync(folders, { recursive: true, force: true })
})

const model = (): Locator => step(page, 'Model')
const source = (name: string): Promise<void> => model().getByText(name, { exact: true }).click()
const opened = (id: string): Promise<void> =>
  model().getByRole('definition').filter({ hasText: id }).first().waitFor({ timeout: PATIENCE })
const results = (): Locator => model().getByRole('list', { name: 'Models found' }).getByRole('listitem')

async function search(words: string): Promise<void> {
  await disclose(model(), 'Search the hub for others')
  await model().getByLabel('Words in the name').fill(words)
  await model().getByRole('button', { name: 'Search', exact: true }).click()
}

describe('the hub', () => {
  test('the catalogue is there without asking anybody, and filters', { timeout: PATIENCE }, async () => {
    await openReady(page, visit.origin)
    await source('From the hub')
    const models = model()
      .getByRole('list', { name: /Causal|Encoder-decoder/ })
      .getByRole('listitem')
    const all = await models.count()
    expect(all).toBeGreaterThan(8)
    await model().getByLabel('Good for').selectOption('translation')
    expect(await models.count()).toBeLessThan(all)
    expect(await models.first().innerText()).toMatch(/translation/i)
    await model().getByRole('button', { name: 'T5 small', exact: true }).click()
    expect(await model().getByLabel('Hub id').inputValue()).toBe('Xenova/t5-small')
    await disclose(model(), 'Search the hub for others')
    await model().getByLabel('Words in the name').fill('tiny')
    expect(hub.asked).toEqual([])
    await expectAccessible(page)
  })

  test('a search shows what there is as text; gated ones are marked', { timeout: PATIENCE }, async () => {
    await search('tiny')
    await results().first().waitFor({ timeout: PATIENCE })
    expect(hub.asked).toHaveLength(1)
    expect(hub.asked[0]).toMatch(/^\/api\/models\?search=tiny&filter=transformers\.js&/)
    const said = await results().allInnerTexts()
    // The id that is none is left out.
    expect(said).toHaveLength(3)
    expect(said[0]).toMatch(/fake\/tiny-chat.*causal.*12,345 downloads.*apache-2\.0/s)
    expect(said[1]).toMatch(/gated/)
    await expectAccessible(page)
  })

  test('what it answers instead of results is said', { timeout: PATIENCE }, async () => {
    hub.searchStatus = 429
    await search('llama')
    await model().getByRole('alert').getByText('too many requests').waitFor({ timeout: PATIENCE })
    hub.searchStatus = null
    await model().getByRole('button', { name: 'Try again' }).click()
    await model().getByText('Nothing that transformers.js loads').waitFor({ timeout: PATIENCE })
  })

  test('gated, no ONNX, none at all: each says so by name, and what to do', { timeout: PATIENCE }, async () => {
    await search('tiny')
    await results().filter({ hasText: 'tiny-gated' }).getByRole('button').click()
    const alert = model().getByRole('alert')
    await alert.getByText(/fake\/tiny-gated.*gated/).waitFor({ timeout: PATIENCE })
    expect(await alert.innerText()).toMatch(/accept.*drop the folder/s)
    await results().filter({ hasText: 'tiny-torch' }).getByRole('button').click()
    await alert
      .getByText(/fake\/tiny-torch has no ONNX files in onnx\/ on the hub, only PyTorch weights/)
      .waitFor({ timeout: PATIENCE })
    await model().getByLabel('Hub id').fill('fake/none')
    await model().getByRole('button', { name: 'Download and open' }).click()
    await alert.getByText(/fake\/none was not found on the hub/).waitFor({ timeout: PATIENCE })
  })

  test('its files are shown before any is fetched, one precision is chosen', { timeout: PATIENCE }, async () => {
    await results().filter({ hasText: 'tiny-chat' }).getByRole('button').click()
    const files = model().getByRole('region', { name: 'Files of fake/tiny-chat' })
    await files.waitFor({ timeout: PATIENCE })
    expect(await files.innerText()).toMatch(
      /LlamaForCausalLM.*Licence: apache-2\.0.*fp32.*15\.5 MiB.*model\.onnx.*usual choice.*q8.*4\.3 MiB/s,
    )
    expect(hub.asked.filter((path) => path.includes('/onnx/'))).toEqual([])
    await files.getByRole('radio', { name: /q8/ }).check()
    await files.getByText(/MiB to download/).waitFor()
    await expectAccessible(page)
  })

  test('a download is cancelled, says what it keeps, and goes on', { timeout: PATIENCE }, async () => {
    hub.hanging.add('onnx/model_quantized.onnx')
    await model().getByRole('button', { name: 'Download and open (q8)' }).click()
    await model().getByText('Downloading tokenizer.json').waitFor({ timeout: PATIENCE })
    await expect
      .poll(() => hub.asked.filter((path) => path.endsWith('onnx/model_quantized.onnx')).length, { timeout: PATIENCE })
      .toBeGreaterThan(0)
    await model().getByRole('button', { name: 'Cancel', exact: true }).click()
    const alert = model().getByRole('alert')
    await alert.getByText('Opening the model was cancelled.').waitFor({ timeout: PATIENCE })
    expect(await alert.innerText()).toMatch(/\d files that had arrived whole \(.*\) are kept/)
    hub.hanging.clear()
    hub.asked.length = 0
    await alert.getByRole('button', { name: 'Try again' }).click()
    await opened('fake/tiny-chat')
    expect(hub.asked.filter((path) => path.endsWith('/tokenizer.json'))).toEqual([])
    expect(await model().getByText(/^q8, /).count()).toBe(1)
  })

  test('with downloads off nothing is asked', { timeout: PATIENCE }, async () => {
    await disclose(model(), 'Device and model file')
    await model().getByLabel('Allow downloads').uncheck()
    await disclose(model(), 'Search the hub for others')
    expect(await model().getByRole('button', { name: 'Search', exact: true }).isDisabled()).toBe(true)
    hub.asked.length = 0
    await model().getByLabel('Hub id').fill('fake/other')
    await model().getByRole('button', { name: 'See its files' }).click()
    await model()
      .getByRole('alert')
      .getByText(/downloads are off/)
      .waitFor({ timeout: PATIENCE })
    expect(hub.asked).toEqual([])
    await model().getByLabel('Allow downloads').check()
  })
})

describe('a folder', () => {
  const folder = (name: string, files: Readonly<Record<string, string>>): string => {
    for (const [path, from] of Object.entries(files)) {
      mkdirSync(join(folders, name, path, '..'), { recursive: true })
      copyFileSync(join(MODEL, from), join(folders, name, path))
    }
    return join(folders, name)
  }
  const choose = (path: string): Promise<void> => model().locator('input[webkitdirectory]').setInputFiles(path)

  test('without a tokenizer: the missing file is named, and the model before stays', { timeout: PATIENCE }, async () => {
    await source('Your files')
    await choose(folder('bare', { 'config.json': 'config.json', 'onnx/model.onnx': 'onnx/model.onnx' }))
    const alert = model().getByRole('alert')
    await alert.getByText('bare has no tokenizer.json and no tokenizer_config.json in the folder').waitFor({ timeout: PATIENCE })
    expect(await alert.innerText()).toContain('fake/tiny-chat')
    await choose(folder('only', { 'some.onnx': 'onnx/model_quantized.onnx' }))
    await alert.getByText('only has some.onnx, but no config.json').waitFor({ timeout: PATIENCE })
    await expectAccessible(page)
  })

  test('nested, of an unusual name, in one precision: it opens by itself', { timeout: PATIENCE }, async () => {
    const nested = Object.fromEntries(Object.entries(SMALL).map(([path, from]) => [`v1/My Model/${path}`, from]))
    await choose(folder('models', { ...nested, 'v1/My Model/weights/my-llama_quantized.onnx': 'onnx/model_quantized.onnx' }))
    await opened('My-Model')
    expect(await model().getByRole('region', { name: 'Files of My-Model' }).innerText()).toMatch(/q8.*my-llama_quantized\.onnx/s)
    await expectAccessible(page)
  })
})

describe('two tabs', () => {
  test(
    'that want the same file: the second says that it waits, and the file is fetched once',
    { timeout: 2 * PATIENCE },
    async () => {
      let goOn = (): void => undefined
      hub.held.set('onnx/model_quantized.onnx', new Promise<void>((resolve) => (goOn = resolve)))
      hub.asked.length = 0
      const fetched = (): number =>
        hub.asked.filter((path) => path.endsWith('two-tabs/resolve/main/onnx/model_quantized.onnx')).length
      const tabs = [await visit.context.newPage(), await visit.context.newPage()]
      const ask = async (tab: Page): Promise<void> => {
        await openReady(tab, visit.origin)
        await step(tab, 'Model').getByText('From the hub', { exact: true }).click()
        await step(tab, 'Model').getByLabel('Hub id').fill('fake/two-tabs')
        await step(tab, 'Model').getByRole('button', { name: 'Download and open' }).click()
      }
      const [first, second] = tabs
      if (!first || !second) throw new Error('no tabs')
      await ask(first)
      // Its size is asked for, and the file itself, which is held back.
      await expect.poll(fetched, { timeout: PATIENCE }).toBeGreaterThan(1)
      await ask(second)
      const waiting = step(second, 'Model').getByText('Waiting for another tab that downloads onnx/model_quantized.onnx')
      await waiting.waitFor({ timeout: PATIENCE })
      await expectAccessible(second)
      const before = fetched()
      goOn()
      for (const tab of tabs) {
        await step(tab, 'Model')
          .getByRole('definition')
          .filter({ hasText: 'fake/two-tabs' })
          .first()
          .waitFor({ timeout: PATIENCE })
      }
      expect(fetched()).toBe(before)
      for (const tab of tabs) await tab.close()
    },
  )
})

describe('storage', () => {
  test(
    'each model with files, precision and use; the answer to keeping them; removed after a question',
    { timeout: PATIENCE },
    async () => {
      const keep = step(page, 'Keep')
      await disclose(keep, /^Storage$/)
      const models = keep.getByRole('list', { name: 'Stored models' })
      const stored = models.getByRole('listitem').filter({ hasText: 'fake/tiny-chat' }).first()
      await stored.waitFor({ timeout: PATIENCE })
      expect(await stored.innerText()).toMatch(/complete.*q8, last used/s)
      await stored.locator('summary').click()
      expect(await stored.innerText()).toMatch(/onnx\/model_quantized\.onnx\s+q8, 4\.3 MiB/)
      expect(await models.innerText()).toMatch(/My-Model\s+this visit only/)
      await keep.getByRole('button', { name: 'Keep models' }).click()
      await keep.getByText(/The browser said (yes|no)/).waitFor({ timeout: PATIENCE })
      await expectAccessible(page)
      await stored.getByRole('button', { name: 'Remove' }).click()
      await stored.getByRole('group', { name: 'Remove fake/tiny-chat?' }).getByRole('button', { name: 'Remove' }).click()
      await stored.waitFor({ state: 'detached' })
    },
  )

  test('nobody else was asked, and what was asked of the hub was its API and model files', () => {
    const others = visit.requests.filter((url) => ![visit.origin, 'https://huggingface.co'].includes(new URL(url).origin))
    expect(others).toEqual([])
    const ofHub = visit.requests.filter((url) => url.startsWith('https://huggingface.co')).map((url) => new URL(url).pathname)
    expect(ofHub.length).toBeGreaterThan(5)
    expect(ofHub.filter((path) => !/^\/api\/models(\/|$)|\/resolve\/main\//.test(path))).toEqual([])
    expect(visit.errors).toEqual([])
  })
})
