import { describe, expect, test } from 'vitest'
import { aheadBy, aheadByRank, measuredText, type Measured } from './measured'

const card: Measured = {
  title: 'Spam?',
  base_model: 'a/b',
  model_dtype: 'fp32',
  model_sha256: 'aa',
  sample_sha256: 'bb',
  rows: 90,
  held_out: 30,
  seeds: 3,
  untuned: 0,
  text_prompt: 0.03,
  few_shot: 0.31,
  tuned: { mean: 0.88, min: 0.86, max: 0.9 },
  label_accuracy: null,
  rouge_l: null,
  tasks: {},
  steps: 120,
  seconds: 40,
  cores: 2,
  device: 'wasm',
  machine: 'a machine',
  measured: '2026-11-24',
}

describe('the sentence of a card', () => {
  test('says what was compared, on what, in what time', () => {
    expect(measuredText(card, null)).toBe(
      'Measured on 30 held-out rows, exact answers: untuned 0 %, instruction 3 %, solved examples 31 %, tuned 88 % (86 to 90 %). ' +
        '3 runs of 40 s on 2 cores (wasm), 2026-11-24.',
    )
  })

  test('leaves out what was not measured and a range of one number; tells label ranks, ROUGE-L and the start from RANDOM', () => {
    const same = { mean: 0.5, min: 0.499, max: 0.501 }
    const { few_shot, untuned } = card
    const rouge_l = { untuned, text_prompt: null, few_shot, tuned: { mean: 0.97, min: 0.95, max: 0.98 } }
    const label_accuracy = { untuned: 0.5, text_prompt: null, few_shot: 0.55, tuned: same }
    const text = measuredText({ ...card, seeds: 1, text_prompt: null, label_accuracy, rouge_l }, { ...card, tuned: same })
    expect(text).toBe(
      'Measured on 30 held-out rows, exact answers: untuned 0 %, solved examples 31 %, tuned 88 % (86 to 90 %). ' +
        'If only the labels are ranked: untuned 50 %, solved examples 55 %, tuned 50 %. ' +
        'How much of the wanted text is there (ROUGE-L): untuned 0 %, solved examples 31 %, tuned 97 % (95 to 98 %). ' +
        'Started from random numbers instead: tuned 50 %. 1 run of 40 s on 2 cores (wasm), 2026-11-24.',
    )
  })
})

test('ahead by: of the best of the others, behind is negative, what is not measured counts nothing', () => {
  expect(aheadBy(card)).toBeCloseTo(0.57)
  expect(aheadBy({ ...card, text_prompt: 0.98 })).toBeCloseTo(-0.1)
  // Right labels with more behind them are no exact answers, but not for lack of knowing.
  const ranked = { untuned: 0.5, text_prompt: 0.8, few_shot: null, tuned: { mean: 1, min: 1, max: 1 } }
  expect(aheadByRank({ ...card, label_accuracy: ranked })).toBeCloseTo(0.08)
  expect(aheadBy({ ...card, label_accuracy: ranked })).toBeCloseTo(0.57)
  expect(aheadBy({ ...card, untuned: null, text_prompt: null, few_shot: null })).toBeCloseTo(0.88)
})
