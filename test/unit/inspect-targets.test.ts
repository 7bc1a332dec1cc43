/** Which models `npm run inspect` sees in a folder. */
import { describe, expect, it } from 'vitest'
import { modelsOf } from '../../cli/inspect-targets'
import { summaryOf } from '../../cli/inspect-summary'
import type { InspectReport } from '../../src/protocol'

const labels = (...paths: string[]) => modelsOf(paths).map(({ label }) => label)

describe('models of a folder', () => {
  it('single files, and external data that is none', () => {
    expect(labels('b.onnx', 'a.onnx', 'a.onnx_data', 'a.reference.json', 'deep/c.onnx')).toEqual([
      'a.onnx',
      'b.onnx',
      'deep/c.onnx',
    ])
    expect(labels('readme.md')).toEqual([])
  })

  it('an encoder with its decoder, by what stands before and behind their roles', () => {
    expect(labels('t5_encoder.onnx', 't5_decoder_model_merged.onnx', 'gpt2_decoder_model_merged.onnx')).toEqual([
      'gpt2_decoder_model_merged.onnx',
      't5_encoder.onnx + t5_decoder_model_merged.onnx',
    ])
    expect(labels('x/t5_t433_dec_nopast.onnx', 'x/t5_t433_encoder.onnx')).toEqual([
      'x/t5_t433_encoder.onnx + t5_t433_dec_nopast.onnx',
    ])
    // Each precision by itself; two decoders share an encoder.
    const names = ['encoder_model', 'encoder_model_q4', 'decoder_model_merged', 'decoder_model_merged_q4', 'decoder_model']
    expect(labels(...names.map((name) => `${name}.onnx`))).toEqual([
      'encoder_model.onnx + decoder_model.onnx',
      'encoder_model.onnx + decoder_model_merged.onnx',
      'encoder_model_q4.onnx + decoder_model_merged_q4.onnx',
    ])
    // Not across folders, and not from inside a word.
    expect(labels('a/encoder.onnx', 'b/decoder.onnx', 'recoder.onnx')).toEqual([
      'a/encoder.onnx',
      'b/decoder.onnx',
      'recoder.onnx',
    ])
  })

  it('folders in the layout of the hub count once, with their config.json', () => {
    const hub = (directory: string) => [
      `${directory}config.json`,
      `${directory}onnx/model.onnx`,
      `${directory}onnx/model_q4.onnx`,
    ]
    expect(modelsOf(hub(''))).toEqual([{ label: '', directory: '', files: null }])
    expect(modelsOf([...hub('one/'), 'two/config.json', 'two/style.onnx'])).toEqual([
      { label: 'one', directory: 'one', files: null },
      { label: 'two/style.onnx', directory: '', files: ['two/style.onnx'] },
    ])
    expect(labels('onnx/a.onnx')).toEqual(['onnx/a.onnx'])
  })
})

describe('the summary of a line', () => {
  const good: InspectReport = {
    model: 'm',
    kind: 'causal-lm',
    ops: { MatMul: 3 },
    unsupported: [],
    fused: '10/40',
    parameters: 124_400_000,
    memory: null,
    self_test: { max_abs_diff: 3.2e-7, tolerance: 1e-4, ok: true },
    reference: null,
    error: null,
  }
  it.each<[Partial<InspectReport>, boolean, string]>([
    [{}, true, 'm: causal-lm, 124.4M parameters, can be tuned; logits within 3e-7 of onnxruntime (1e-4 allowed)'],
    [
      { self_test: { max_abs_diff: 0.5, tolerance: 1e-4, ok: false } },
      false,
      'm: causal-lm, 124.4M parameters, refused: logits differ by 5e-1 from onnxruntime, 1e-4 is allowed',
    ],
    [
      { kind: 'unknown', parameters: 0, self_test: null, error: 'it is a vision model' },
      false,
      'm: refused: it is a vision model',
    ],
    [
      { reference: { logits_max_abs_diff: 1e-6, gradient_max_rel_diff: 0.25, ok: false } },
      false,
      "m: causal-lm, 124.4M parameters, refused: 1e-6 from torch's logits, 3e-1 from its gradient",
    ],
  ])('%j', (change, ok, summary) => {
    expect(summaryOf({ ...good, ...change })).toEqual({ ok, summary })
  })
})
