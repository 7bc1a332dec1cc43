import { describe, expect, it } from 'vitest'
import { afterSample } from './model-choice'

const NOTHING = { own: {}, setAside: undefined }
const BRINGS = { base_model: 'seq2seq', num_epochs: 4 }
const PLAIN = { num_epochs: 10 }

describe('the model while samples come and go', () => {
  it('of a visitor who chose none: the sample brings one, the next gives it up', () => {
    const during = afterSample(NOTHING, BRINGS)
    expect(during).toEqual(NOTHING)
    expect(afterSample(during, PLAIN)).toEqual(NOTHING)
  })

  it('of a visitor who chose one: set aside, over several such samples, and given back; other settings stay', () => {
    const during = afterSample({ own: { base_model: 'mine', seed: 5 }, setAside: undefined }, BRINGS)
    expect(during).toEqual({ own: { seed: 5 }, setAside: 'mine' })
    const still = afterSample(during, BRINGS)
    expect(still).toEqual(during)
    expect(afterSample(still, PLAIN)).toEqual({ own: { base_model: 'mine', seed: 5 }, setAside: undefined })
  })

  it('chosen again during such a sample: the later choice counts', () => {
    const during = afterSample({ own: { base_model: 'first' }, setAside: undefined }, BRINGS)
    const changed = { ...during, own: { base_model: 'second' } }
    expect(afterSample(changed, PLAIN).own).toEqual({ base_model: 'second' })
    expect(afterSample(afterSample(changed, BRINGS), PLAIN).own).toEqual({ base_model: 'second' })
  })

  it('between samples that bring none nothing changes', () => {
    const chosen = { own: { base_model: 'mine' }, setAside: undefined }
    expect(afterSample(chosen, PLAIN)).toEqual(chosen)
  })
})
