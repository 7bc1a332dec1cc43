/** The tests of the exports of some families: what a test file runs by naming them, so that several files share the work. */
import * as ort from 'onnxruntime-web/webgpu'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createOrtEngine } from '../../../src/engine/ort/ort-engine'
import { createTfjsEngine } from '../../../src/engine/tfjs/tfjs-engine'
import type { Engine } from '../../../src/engine/engine'
import type { Entry } from './entries'
import { cellOf, rotated, torchOf, torchProblems } from './report'

/** Each entry in float32; one style of each family in a precision of its own turn, and one on the other engine. */
export function testEntries(entries: readonly Entry[]): void {
  let engine: Engine
  let cpu: Engine
  beforeAll(async () => {
    engine = await createOrtEngine({ ort, threads: 1 })
    cpu = await createTfjsEngine({ backend: 'cpu' })
  })
  afterAll(async () => {
    await engine.dispose()
    await cpu.dispose()
  })
  const families = [...new Set(entries.map(({ family }) => family))]
  describe.each(families)('%s', (family) => {
    const styles = entries.filter((entry) => entry.family === family)
    it.each(styles)("$style: onnxruntime's logits, torch's gradient", async (entry) => {
      const { problems } = await cellOf(entry, entry.stored, engine, entry.reference === null)
      expect(problems).toEqual([])
    })

    const turn = families.indexOf(family)
    const float = styles.filter(({ stored }) => stored === 'fp32')
    const [chosen] = float.slice(turn % Math.max(1, float.length))
    if (!chosen) return
    const precision = rotated(turn)
    it(`${chosen.style} in ${precision}: onnxruntime's logits, the gradient of the same weights in float32`, async () => {
      const { problems } = await cellOf(chosen, precision, engine, false)
      expect(problems).toEqual([])
    })
    const known = float.find(({ reference }) => reference !== null)
    if (!known) return
    it(`${known.style} on the cpu engine: torch's logits and gradient`, async () => {
      expect(torchProblems(await torchOf(known, cpu))).toEqual([])
    })
  })
}
