/** Every op of the dialect through onnxruntime-web (its wasm, in Node), against the float64 evaluator. */
import * as ort from 'onnxruntime-web/webgpu'
import { beforeAll, describe, expect, test } from 'vitest'
import { errorOf, opCases } from '../../../test/support/op-cases'
import type { Engine } from '../engine'
import { createOrtEngine } from './ort-engine'

let engine: Engine

beforeAll(async () => {
  engine = await createOrtEngine({ ort, threads: 1 })
})

describe('every op', () => {
  test.each(opCases())('$name', async (opCase) => {
    const executable = await engine.load(opCase.program)
    try {
      expect(errorOf(opCase, await executable.run(opCase.feeds))).toBeLessThanOrEqual(opCase.tolerance)
    } finally {
      await executable.dispose()
    }
  })
})
