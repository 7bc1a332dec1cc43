/** The sample tasks in the Examples step: each with what it is, what it was measured at, and the rows it holds out; at 1280 and 360 px. */
import { readFileSync } from 'node:fs'
import type { Page } from 'playwright-core'
import * as v from 'valibot'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CardsSchema, fromRandomName, measuredText } from '../../src/ui/logic/measured'
import { expectAccessible, LONG, openReady, step } from './steps'
import { startVisit, type Visit } from './visit'

const Index = v.array(
  v.object({ name: v.string(), title: v.string(), explanation: v.string(), examples: v.number(), validation: v.number() }),
)
const readJson = (name: string): unknown => JSON.parse(readFileSync(`public/samples/${name}.json`, 'utf8'))
const samples = v.parse(Index, readJson('index'))
const cards = v.parse(CardsSchema, readJson('cards'))

let visit: Visit
let page: Page
beforeAll(async () => {
  visit = await startVisit()
  page = visit.page
  await openReady(page, visit.origin)
}, LONG)
afterAll(() => visit.end())

describe('every sample', () => {
  test('some of them were measured', () => expect(samples.filter(({ name }) => name in cards)).not.toEqual([]))

  test.each(samples)('$title: explained, its card beside it, its own rows held out', { timeout: LONG }, async (sample) => {
    const examples = step(page, 'Examples')
    await examples.getByRole('radio', { name: sample.title }).check()
    await examples.getByText(sample.explanation).waitFor()
    const card = cards[sample.name]
    const measured = examples.getByText(/^Measured on \d+ held-out rows/)
    expect(await measured.allInnerTexts()).toEqual(card ? [measuredText(card, cards[fromRandomName(sample.name)] ?? null)] : [])
    const split = `${sample.validation} validation examples of their own; ${sample.examples} examples to learn from.`
    expect(await examples.getByText(split).count()).toBe(1)
    // What is told there of a visitor's own file is closed for a sample.
    expect(await examples.getByText(`of ${sample.title} are measured`).isVisible()).toBe(false)
  })

  test('a share can be held out instead, and another choice of the sample brings its rows back', { timeout: LONG }, async () => {
    const [first, second] = samples
    if (!first || !second) throw new Error('two samples at least')
    const examples = step(page, 'Examples')
    await examples.getByRole('radio', { name: first.title }).check()
    await examples.getByRole('button', { name: 'Hold out a share instead' }).click()
    await examples.getByLabel('Held-out share', { exact: true }).waitFor()
    await examples.getByRole('radio', { name: second.title }).check()
    await examples.getByText(`${second.validation} validation examples of their own`).waitFor()
    await examples.getByRole('radio', { name: first.title }).check()
    await examples.getByText(`${first.validation} validation examples of their own`).waitFor()
  })
})

test.each([1280, 360])('nothing sticks out or is hard to read at %i px', { timeout: LONG }, async (width) => {
  await page.setViewportSize({ width, height: 800 })
  const sample = samples.find(({ name }) => fromRandomName(name) in cards) ?? samples[0]
  if (!sample) throw new Error('there are no samples')
  await step(page, 'Examples').getByRole('radio', { name: sample.title }).check()
  await step(page, 'Examples').getByText(sample.explanation).waitFor()
  const wide = await page.evaluate(() => document.documentElement.scrollWidth)
  expect(wide).toBeLessThanOrEqual(width)
  await expectAccessible(page)
})
