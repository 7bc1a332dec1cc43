/** The pages made from code are the ones the code makes now. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { generationPage } from '../../cli/generation-page'
import { parametersPage } from '../../cli/parameters-page'
import { JOB_FILE_KEYS, parseJobFile } from '../../src/job/job-file'
import { fields } from '../../src/job/parameters'
import { PRESETS } from '../../src/job/presets'
import { generationFields } from '../../src/models/generation/parameters'

const page = parametersPage()

test('docs/parameters.md is up to date (npm run docs)', () => {
  expect(readFileSync(new URL('../../docs/parameters.md', import.meta.url), 'utf8')).toBe(page)
})

test('docs/generation.md is up to date, with a row for every parameter', () => {
  const generation = generationPage()
  expect(readFileSync(new URL('../../docs/generation.md', import.meta.url), 'utf8')).toBe(generation)
  for (const { path } of generationFields()) expect(generation.split(`\n| \`${path}\` |`), path).toHaveLength(2)
})

test('every parameter has one row, and no row is broken', () => {
  const rows = page.split('\n').filter((line) => line.startsWith('| `'))
  const [, parameters = ''] = page.split('## Model')
  const [table = ''] = parameters.split('## Presets')
  for (const { path } of fields()) expect(table.split(`\n| \`${path}\` |`), path).toHaveLength(2)
  const presets = Object.values(PRESETS).flatMap(({ job, tuning_config }) => [...Object.keys(job), ...Object.keys(tuning_config)])
  expect(rows).toHaveLength(fields().length + JOB_FILE_KEYS.length + presets.length)
  for (const row of rows) expect([6, 7], row).toContain(row.split(/(?<!\\)\|/).length)
})

test('the job file reads every key the page names', () => {
  for (const { key } of JOB_FILE_KEYS) {
    const checked = parseJobFile({ base_model: 'm', train: 'a.csv', [key]: { surprise: 1 } })
    const problems = checked.ok ? [] : checked.problems.map(({ field, message }) => `${field}: ${message}`)
    expect(problems, key).toHaveLength(1)
    expect(problems[0], key).not.toMatch(/no such field/)
  }
})
