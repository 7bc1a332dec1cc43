/** What `npm run tune -- JOB.json --check` says of the wrong jobs in test/fixtures/bad-jobs, word for word. */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { InvalidJob, readWork } from '../../cli/read-job'

const FOLDER = fileURLToPath(new URL('../fixtures/bad-jobs/', import.meta.url))
const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const jobs = readdirSync(FOLDER).filter((name) => name.endsWith('.json'))

function problemsOf(name: string): string {
  try {
    readWork(FOLDER + name, undefined)
  } catch (error) {
    if (error instanceof InvalidJob) return error.message
    throw error
  }
  throw new Error(`${name} was accepted`)
}

test('every problem of every job, at once', () => {
  expect(jobs.length).toBeGreaterThanOrEqual(20)
  const said = jobs.sort().map((name) => `${name}\n${problemsOf(name).replaceAll(/^/gm, '  ')}\n`)
  expect(said.join('\n')).toBe(readFileSync(`${FOLDER}expected.txt`, 'utf8'))
})

test('--check prints them, a line each, and exits with 2 without a browser', () => {
  const name = '23-everything-at-once.json'
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', 'cli/tune.ts', FOLDER + name, '--check'], {
    cwd: ROOT,
    encoding: 'utf8',
    // A browser that can't be started: nothing may try.
    env: { ...process.env, CHROMIUM: '/nonexistent', PATH: '' },
  })
  expect([status, stdout, stderr.trimEnd()]).toEqual([2, '', problemsOf(name)])
})
