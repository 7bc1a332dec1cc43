/** The Examples step with files of a visitor's own: columns to choose, rows that can't be used, 100,000 rows, validation rows, a template typed. */
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { disclose, expectAccessible, LONG, openReady, step } from './steps'
import { startVisit, type Visit } from './visit'

let visit: Visit
let page: Page
beforeAll(async () => {
  visit = await startVisit()
  page = visit.page
  page.setDefaultTimeout(60_000)
  await openReady(page, visit.origin)
  await step(page, 'Examples').getByText('Your own', { exact: true }).click()
}, LONG)
afterAll(() => visit.end())

const choose = (name: string, text: string, label = 'Examples file'): Promise<void> =>
  step(page, 'Examples')
    .locator(`input[type=file][aria-label="${label}"]`)
    .setInputFiles({ name, mimeType: 'text/plain', buffer: Buffer.from(text) })

const heading = (name: RegExp): Promise<void> => step(page, 'Examples').getByRole('heading', { name }).waitFor({ timeout: LONG })

const REVIEWS = [
  'id,sentence,label,task_id',
  ...Array.from({ length: 30 }, (_, i) => `${i},"soup ${i}, cold",${i % 2},${i % 3 ? 'sst2' : 'imdb'}`),
  '30,,1,sst2',
  '31,a,b,c,d,e',
].join('\n')

describe('a file whose columns are called otherwise', () => {
  test(
    'columns are guessed and shown with their first rows; what was skipped is listed with its line',
    { timeout: LONG },
    async () => {
      const examples = step(page, 'Examples')
      await choose('reviews.csv', REVIEWS)
      const form = examples.getByRole('form', { name: 'Columns' })
      await form.waitFor()
      expect(await form.getByLabel('Input', { exact: true }).inputValue()).toBe('sentence')
      expect(await form.getByLabel('Output', { exact: true }).inputValue()).toBe('label')
      expect(await form.getByLabel('Task', { exact: true }).inputValue()).toBe('task_id')
      expect(await form.getByRole('row').count()).toBe(6)
      await form.getByRole('button', { name: 'Use these columns' }).click()
      await heading(/reviews\.csv · 30 examples/)
      await disclose(examples, '2 rows skipped')
      expect(await examples.getByRole('listitem').allInnerTexts()).toEqual([
        'line 32: "sentence" is empty',
        'line 33: 6 cells where the header has 4; quote a text that holds the separator',
      ])
      expect(await examples.getByText('2 tasks: imdb (10), sst2 (20).').isVisible()).toBe(true)
      await page.evaluate(() =>
        document.querySelectorAll('#examples details').forEach((details) => details.toggleAttribute('open', true)),
      )
      await expectAccessible(page)
    },
  )

  test('rows of their own for validation, read with the same columns', { timeout: LONG }, async () => {
    const examples = step(page, 'Examples')
    await choose('held.csv', 'label,sentence,task_id\n1,"soup 3, cold",sst2\n0,a fresh one,imdb\n', 'Validation file')
    await examples.getByText('2 rows of held.csv are measured on').waitFor()
    expect(await examples.getByText('The input of 1 of them is among the examples, too').count()).toBe(1)
    expect(await examples.getByText('30 examples to learn from').count()).toBe(1)
    await examples.getByRole('button', { name: 'Hold out a share instead' }).click()
    expect(await examples.getByText('24 examples to learn from, 6 held out.').count()).toBe(1)
  })

  test('the preview follows the template', { timeout: LONG }, async () => {
    const examples = step(page, 'Examples')
    const table = examples.getByRole('region', { name: 'What the model reads' })
    await examples.getByLabel('Template').fill('Is {{input}} good?')
    await table.getByText('Is soup 0, cold good?').or(table.getByText('Is soup 1, cold good?')).first().waitFor({ timeout: LONG })
    expect(await table.getByRole('row').nth(1).getByRole('cell').last().innerText()).toMatch(/^\d+ \+ \d+$/)
    await examples.getByLabel('Template').fill('Is it good?')
    await examples.getByText('What the model reads is shown here once the settings are correct.').waitFor()
    expect(await table.count()).toBe(0)
    await examples.getByLabel('Template').fill('{{input}} ->')
    await table.waitFor({ timeout: LONG })
  })

  test('a file that can not be read leaves the rows as they are', { timeout: LONG }, async () => {
    await choose('broken.csv', 'input,output\na,b\n"never closed,c\n')
    const alert = step(page, 'Examples').getByRole('alert')
    await alert.waitFor()
    expect(await alert.innerText()).toContain('broken.csv, line 3: a cell opens with " and never closes')
    await heading(/reviews\.csv · 30 examples/)
    await alert.getByRole('button', { name: 'Close' }).click()
  })
})

describe('100,000 rows', () => {
  /** Drops a file of 100,000 rows on the step's heading, as a hand would. */
  const drop = (name: string): Promise<void> =>
    page.evaluate((filename) => {
      const rows = Array.from(
        { length: 100_000 },
        (_, i) => `"some text number ${i}, ${'as long as rows are '.repeat(i % 5)}",label ${i % 7}`,
      )
      const transfer = new DataTransfer()
      transfer.items.add(new File([`input,output\n${rows.join('\n')}\n`], filename))
      const heading = document.getElementById('examples-title')
      heading?.dispatchEvent(new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer: transfer }))
    }, name)

  test('dropped anywhere on the step; the page goes on drawing while they are read', { timeout: LONG }, async () => {
    const examples = step(page, 'Examples')
    await page.evaluate(() => {
      const count = (): void => {
        const reading = document.querySelector('#examples progress') !== null
        document.body.dataset['frames'] = String(Number(document.body.dataset['frames'] ?? 0) + Number(reading))
        requestAnimationFrame(count)
      }
      count()
    })
    await drop('big.csv')
    await heading(/big\.csv · 100,000 examples/)
    // Read in one piece on the page's own thread, there would be none.
    expect(Number(await page.evaluate(() => document.body.dataset['frames']))).toBeGreaterThan(3)
    await examples.getByText('Of 2,000 sampled from 100,000 rows').waitFor({ timeout: LONG })
    await disclose(examples, 'All rows')
    await examples.getByLabel('Go to row').fill('54321')
    await page.keyboard.press('Enter')
    await examples.getByText('54,321–54,330 of 100,000').waitFor()
    expect(await examples.getByRole('button', { name: 'Delete row 54321', exact: true }).count()).toBe(1)
  })

  test('cancelled, nothing has changed', { timeout: LONG }, async () => {
    await choose('reviews.csv', REVIEWS.replace('sentence,label', 'input,output'))
    await heading(/reviews\.csv · 30 examples/)
    // Pressed before the file is read to its end: from the page itself, as soon as the button is there.
    await page.evaluate(() => {
      new MutationObserver((_, observer) => {
        const cancel = [...document.querySelectorAll<HTMLElement>('#examples button')].find(
          (button) => button.innerText === 'Cancel',
        )
        if (!cancel) return
        observer.disconnect()
        cancel.click()
        document.body.dataset['cancelled'] = 'yes'
      }).observe(document.body, { subtree: true, childList: true })
    })
    await drop('again.csv')
    await page.locator('body[data-cancelled=yes]').waitFor()
    expect(await step(page, 'Examples').getByRole('progressbar').count()).toBe(0)
    await heading(/reviews\.csv · 30 examples/)
    expect(visit.errors).toEqual([])
  })
})
