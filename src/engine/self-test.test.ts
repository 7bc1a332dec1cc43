/** The self-test of encoder-decoders against onnxruntime, and that it can fail. Reference files: test/unit/peft-golden.test.ts. */
import * as ort from 'onnxruntime-web/webgpu'
import { expect, test } from 'vitest'
import { loadSeq2Seq, SEQ2SEQ_FIXTURES } from '../../test/support/seq2seq'
import { referenceLogits } from './ort/reference-logits'
import { compareLogits, engineLogits, selfTestInput } from './self-test'
import { createTfjsEngine } from './tfjs/tfjs-engine'

test.each(SEQ2SEQ_FIXTURES)("%s: logits are onnxruntime's, encoder and decoder one after the other", async (name) => {
  const { cut, encoder, decoder } = loadSeq2Seq(name)
  const engine = await createTfjsEngine({ backend: 'cpu' })
  const input = selfTestInput(cut)
  const files = [encoder, decoder].map((onnx) => ({ onnx, external: new Map<string, Uint8Array>() }))
  const expected = await referenceLogits(ort, files, input)
  expect(expected).toHaveLength(input.decoder.length * cut.vocab_size)
  const logits = await engineLogits(cut, engine, input)
  expect(compareLogits(logits, expected, 'float32')).toMatchObject({ ok: true })
  // Another text for the encoder is another answer, and the test says so.
  const other = await engineLogits(cut, engine, { ...input, ids: input.ids.toReversed() })
  expect(compareLogits(other, expected, 'float32')).toMatchObject({ ok: false })
  await engine.dispose()
})

test('NaN, other lengths and small differences are judged', () => {
  const reference = Float32Array.of(1, -20, 3)
  expect(compareLogits(Float32Array.of(1, -20.0015, 3), reference, 'float32').ok).toBe(true)
  expect(compareLogits(Float32Array.of(1, -20.0025, 3), reference, 'float32').ok).toBe(false)
  expect(compareLogits(Float32Array.of(1, -20.3, 3), reference, 'rounded').ok).toBe(true)
  expect(compareLogits(Float32Array.of(1, -20.5, 3), reference, 'rounded').ok).toBe(false)
  expect(compareLogits(Float32Array.of(1, NaN, 3), reference, 'rounded')).toMatchObject({ max_abs_diff: Infinity, ok: false })
  expect(compareLogits(Float32Array.of(1, -20), reference, 'float32').ok).toBe(false)
})
