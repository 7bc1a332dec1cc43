/** Several tasks on the embedded encoder-decoder, in the page: a source prompt, what may start from it, trying a task, and every way to take it away. */
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { disclose, downloadZip, fillSetting, LONG, openReady, prompts, step, tuneButton, untilDone, untilEnabled } from './steps'
import { startVisit, type Visit } from './visit'

let visit: Visit
let page: Page
beforeAll(async () => {
  visit = await startVisit()
  page = visit.page
  await openReady(page, visit.origin)
}, LONG)
afterAll(() => visit.end())

const ROWS = [
  'input,output,task',
  ...['cat', 'dog', 'tree', 'book', 'hat', 'cup'].map((word) => `${word},${word}s,plural`),
  ...['walk', 'jump', 'look', 'talk', 'cook', 'play'].map((word) => `${word},${word}ed,past`),
].join('\n')

const settings = () => step(page, 'Settings')

describe('two tasks on the encoder-decoder', () => {
  test('source training: both tasks are found, learned and measured each by itself', { timeout: 2 * LONG }, async () => {
    await step(page, 'Model').getByText('Tiny encoder-decoder (embedded)').click()
    await step(page, 'Model').getByText('T5ForConditionalGeneration').waitFor({ timeout: LONG })
    const examples = step(page, 'Examples')
    await examples.getByText('Your own', { exact: true }).click()
    await examples.getByLabel('Or paste rows, with a header line').fill(ROWS)
    await examples.getByRole('button', { name: 'Use the pasted rows' }).click()
    await examples.getByRole('heading', { name: /12 examples/ }).waitFor()
    await disclose(settings(), 'Advanced')
    await settings().getByLabel('Tuning type', { exact: true }).selectOption('MULTITASK_PROMPT_TUNING')
    await fillSetting(page, 'Tasks', '2')
    await fillSetting(page, 'Epochs', '1')
    await fillSetting(page, 'Virtual tokens', '2')
    await untilEnabled(tuneButton(page))
    await tuneButton(page).click()
    expect((await untilDone(page)).steps).toBe(2)
    const tasks = step(page, 'Tune').getByRole('region', { name: 'Task by task' })
    expect(await tasks.getByRole('rowheader').allInnerTexts()).toEqual(['past', 'plural'])
  })

  test('trying it asks for the task', { timeout: LONG }, async () => {
    const trial = step(page, 'Try')
    await trial.getByLabel('Task', { exact: true }).selectOption('plural')
    await trial.getByLabel(/^Input/).fill('city')
    await trial.getByRole('button', { name: 'Answer', exact: true }).click()
    await untilEnabled(trial.getByRole('button', { name: 'Answer', exact: true }))
    expect(await trial.getByRole('alert').count()).toBe(0)
  })

  test(
    'a task goes away as a caikit module and as a plain adapter, all of it as a multitask one',
    { timeout: LONG },
    async () => {
      const card = prompts(page).first()
      await disclose(card, 'Take it away')
      await card.getByLabel('Task', { exact: true }).selectOption('past')
      expect([...(await downloadZip(card, 'caikit')).keys()].sort()).toEqual(
        expect.arrayContaining(['config.yml', 'encoder.pt', 'training_logs.jsonl']),
      )
      const adapter = await downloadZip(card, 'Download PEFT adapter')
      const config: unknown = JSON.parse(new TextDecoder().decode(adapter.get('adapter_config.json')))
      expect(config).toMatchObject({ peft_type: 'MULTITASK_PROMPT_TUNING', task_type: 'SEQ_2_SEQ_LM', num_tasks: 2 })
    },
  )

  test('the next run is offered it as its start, or told why not', { timeout: LONG }, async () => {
    await settings().getByLabel('Start from', { exact: true }).selectOption('AVERAGE_SOURCE')
    await fillSetting(page, 'Tasks', '1')
    const source = settings().getByLabel('Source prompt', { exact: true })
    const name = (await prompts(page).getByRole('heading').first().innerText()).trim()
    expect((await source.locator('option').allInnerTexts()).some((option) => option.includes(name))).toBe(true)
    await fillSetting(page, 'Virtual tokens', '3')
    expect((await source.locator('option').allInnerTexts()).some((option) => option.includes(name))).toBe(false)
    await disclose(settings(), 'Why none fits')
    expect(await settings().getByText('has 2; give 2').count()).toBe(1)
    await settings()
      .getByRole('button', { name: /Set these to fit/ })
      .click()
    await untilEnabled(step(page, 'Tune').getByRole('button', { name: 'Tune again' }))
    expect(await settings().getByLabel('Virtual tokens', { exact: true }).inputValue()).toBe('2')
  })

  test('the job is taken to a larger machine', { timeout: LONG }, async () => {
    await disclose(settings(), 'Run this job elsewhere')
    const [download] = await Promise.all([
      page.waitForEvent('download', { timeout: LONG }),
      settings().getByRole('button', { name: 'Download the folder' }).click(),
    ])
    expect(download.suggestedFilename()).toMatch(/-job\.zip$/)
    await download.delete()
  })
})
