import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { errorOf, opCases } from '../../../test/support/op-cases'
import type { Engine } from '../engine'
import { createTfjsEngine } from './tfjs-engine'

describe('every op on the cpu device', () => {
  let engine: Engine
  beforeAll(async () => {
    engine = await createTfjsEngine({ backend: 'cpu' })
  })
  afterAll(() => engine.dispose())

  it.each(opCases().map((opCase) => [opCase.name, opCase] as const))('%s', async (_, opCase) => {
    const executable = await engine.load(opCase.program)
    expect(errorOf(opCase, await executable.run(opCase.feeds))).toBeLessThanOrEqual(opCase.tolerance)
    await executable.dispose()
  })
})
