import { describe, expect, it } from 'vitest'
import { canonical } from './canonical'

describe('other names', () => {
  it('become the form’s own', () => {
    expect(canonical({ lr: 0.1, 'tuning_config.prompt_tuning_init_method': 'AVERAGE_SOURCE_TASKS' })).toEqual({
      learning_rate: 0.1,
      'tuning_config.prompt_tuning_init_method': 'AVERAGE_SOURCE',
    })
    expect(canonical({ lr: 0.1, learning_rate: 0.1 })).toEqual({ learning_rate: 0.1 })
  })

  it('a contradiction stays one', () => {
    expect(canonical({ lr: 0.1, learning_rate: 0.2 })).toEqual({ lr: 0.1, learning_rate: 0.2 })
  })

  it('anything else is left alone, whatever it is', () => {
    const values = { 'tuning_config.prompt_tuning_init_method': 'toString', device: 7, x: ['AVERAGE_SOURCE_TASKS'] }
    expect(canonical(values)).toEqual(values)
  })
})
