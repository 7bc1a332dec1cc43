import { resolve } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { launchChromium, servePage, withPage, type ServedPage } from './run-page'

let browser: Browser
let served: ServedPage

beforeAll(async () => {
  ;[browser, served] = await Promise.all([launchChromium(), servePage(resolve(import.meta.dirname, 'ops-page.ts'))])
})
afterAll(async () => {
  await browser.close()
  await served.close()
})

const onPage = <T>(body: (page: Page) => Promise<T>): Promise<T> => withPage(browser, served, body)

describe('the tfjs engine on WebGPU in Chromium', () => {
  it('finds an adapter and says what it is', async () => {
    const probe = await onPage((page) => page.evaluate(() => window.opsPage.probe()))
    expect(probe.available).toBe(true)
    expect(probe.description).not.toBe('')
  })

  it('runs every op case within its tolerance', async () => {
    const results = await onPage((page) => page.evaluate(() => window.opsPage.runCases()))
    expect(results.length).toBeGreaterThan(100)
    const wrong = results.filter(({ error, tolerance, failure }) => failure !== null || error === null || !(error <= tolerance))
    expect(wrong).toEqual([])
  })

  it('leaves nothing behind in twenty runs, and makes no buffers after the second', async () => {
    const { runs, disposed } = await onPage((page) => page.evaluate(() => window.opsPage.runRepeatedly(20)))
    const [first, second, third, ...later] = runs
    if (first === undefined || second === undefined || third === undefined) throw new Error('it ran fewer than three times')
    for (const counters of [third, ...later]) {
      expect(counters.live_tensors).toBe(first.live_tensors)
      expect(counters.bytes).toBe(second.bytes)
      expect(counters.buffers_created).toBe(second.buffers_created)
    }
    // LayerNorm 1, Transpose 1, Attention 4 (scale, scores, softmax, values), Transpose 1, GatherRows 2, MatMul 1,
    // SoftmaxCrossEntropy 3 (losses, their sum, gradient), MatMul 1. One submit: tfjs sends 15 dispatches at a time.
    expect(third.dispatches - second.dispatches).toBe(14)
    expect(third.submits - second.submits).toBe(1)
    expect(disposed.live_tensors).toBeLessThan(third.live_tensors)
    expect(disposed.bytes).toBeLessThan(third.bytes)
  })

  it('multiplies matrices of every size class', async () => {
    // tfjs picks among four programs by size: reduction, small tiles, packed tiles (with and without vec4), split K.
    const shapes = [
      [4, 64, 16],
      [20, 64, 24],
      [48, 192, 512],
      [47, 130, 515],
      [8, 4096, 192],
      [9, 2001, 35],
    ] as const
    const errors = await onPage((page) => page.evaluate((list) => window.opsPage.matMuls(list), shapes))
    expect(Object.keys(errors)).toHaveLength(shapes.length * 4)
    // Sums of 4096 products at most, in float32.
    expect(Object.entries(errors).filter(([, error]) => !(error < 1e-5))).toEqual([])
  })

  it('computes more rows than one dispatch dimension has workgroups', async () => {
    // 65535 is the portable limit; float32 rounding of exp only.
    expect(await onPage((page) => page.evaluate(() => window.opsPage.manyRows(70_001)))).toBeLessThan(1e-5)
  })

  it('reports a lost device on the run in progress and on every later one', async () => {
    const failures = await onPage((page) => page.evaluate(() => window.opsPage.loseDevice()))
    expect(failures.map(({ name }) => name)).toEqual(['DeviceLostError', 'DeviceLostError', 'DeviceLostError'])
  })

  it('turns what the device objects to into an EngineError of that run, with the op where it is known', async () => {
    const [named, between, after] = await onPage((page) => page.evaluate(() => window.opsPage.provoke()))
    expect(named?.name).toBe('EngineError')
    expect(named?.message).toMatch(/^MatMul 'head': ./)
    expect(between?.name).toBe('EngineError')
    expect(after?.name).toBe('none')
  })

  it('runs two engines side by side, and the second after the first is gone', async () => {
    expect(await onPage((page) => page.evaluate(() => window.opsPage.twoEngines()))).toBe(true)
  })

  it('names a tensor that the device cannot hold', async () => {
    const failure = await onPage((page) => page.evaluate(() => window.opsPage.loadTooLarge()))
    expect(failure.name).toBe('EngineError')
    expect(failure.message).toMatch(/'(logits|minus)' \[1048576, 16384\] takes 65536 MiB/)
  })
})
