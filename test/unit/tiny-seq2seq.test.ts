/**
 * The embedded encoder-decoder as plain transformers.js and onnxruntime see it: torch's numbers for the same weights (written by
 * pretraining/export_seq2seq.py), and the tasks it was trained on.
 */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import * as ort from 'onnxruntime-web'
import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { env, greedyIds, openAnswerer } from '../support/transformers'
import { runOnnx } from '../support/onnxruntime'

const ROOT = resolve(import.meta.dirname, '../..')
const MODEL = 'promptlathe/tiny-seq2seq'
env.localModelPath = resolve(ROOT, 'public/models')

const numbers = v.array(v.number())
const ReferenceSchema = v.array(v.object({ input_ids: numbers, first_hidden: numbers, first_logits: numbers, greedy: numbers }))
const reference = v.parse(
  ReferenceSchema,
  JSON.parse(readFileSync(resolve(ROOT, 'test/fixtures/torch/tiny-seq2seq-reference.json'), 'utf8')),
)
const onnx = (file: string) => new Uint8Array(readFileSync(resolve(ROOT, 'public/models', MODEL, 'onnx', `${file}.onnx`)))

const furthest = (got: ArrayLike<number>, want: readonly number[]): number =>
  want.reduce((most, value, i) => Math.max(most, Math.abs((got[i] ?? Infinity) - value)), 0)

/** The first hidden state and the logits of the start token for one row of ids. */
async function firstPass(ids: readonly number[], suffix: string): Promise<{ hidden: Float32Array; logits: Float32Array }> {
  const hidden = (await runOnnx(onnx(`encoder_model${suffix}`), ids, ['last_hidden_state'])).get('last_hidden_state')
  if (!hidden) throw new Error('no hidden states')
  const decoded = await runOnnx(onnx(`decoder_model_merged${suffix}`), [0], ['logits'], {
    encoder_hidden_states: new ort.Tensor('float32', hidden.data, hidden.dims),
    encoder_attention_mask: new ort.Tensor('int64', new BigInt64Array(ids.length).fill(1n), [1, ids.length]),
  })
  const logits = decoded.get('logits')
  if (!logits) throw new Error('no logits')
  return { hidden: hidden.data, logits: logits.data }
}

describe('the embedded encoder-decoder', () => {
  it('fp32: hidden states and logits are those of torch', async () => {
    for (const { input_ids, first_hidden, first_logits } of reference) {
      const { hidden, logits } = await firstPass(input_ids, '')
      expect(furthest(hidden, first_hidden)).toBeLessThan(1e-4)
      expect(furthest(logits, first_logits)).toBeLessThan(1e-4)
    }
  })

  it('q8: logits differ by no more than rounding explains', async () => {
    for (const { input_ids, first_logits } of reference) {
      const { logits } = await firstPass(input_ids, '_quantized')
      // Measured: 0.47 to 0.70 on logits that range over 13 to 18.
      expect(furthest(logits, first_logits)).toBeLessThan(1)
      expect(furthest(logits, first_logits)).toBeGreaterThan(0)
    }
  })

  it('fp32: plain transformers.js says what torch says, with the cache', async () => {
    for (const { input_ids, greedy } of reference)
      expect(await greedyIds(MODEL, input_ids, 'fp32', greedy.length)).toEqual(greedy)
  })

  it.each(['fp32', 'q8'] as const)('%s: it does the tasks it was trained on', async (dtype) => {
    const model = await openAnswerer(MODEL, dtype)
    expect(await model.answer('Plural:\nbaby', 8)).toBe('babies')
    expect(await model.answer('Past tense:\nwalk', 8)).toBe('walked')
    expect(await model.answer('In words:\n42', 8)).toBe('forty-two')
    await model.close()
  })
})
