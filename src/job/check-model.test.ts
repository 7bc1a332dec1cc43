import { describe, expect, test } from 'vitest'
import { checkJob } from './check-job'
import { checkAgainstModel, type ModelFacts } from './check-model'

const jobWith = (tuning_config: object) => {
  const checked = checkJob({ base_model: 'm', tuning_config })
  if (!checked.ok) throw new Error(JSON.stringify(checked.problems))
  return checked.job
}
const check = (tuning_config: object, model: Partial<ModelFacts>) =>
  checkAgainstModel(jobWith(tuning_config), { kind: null, max_positions: null, ...model })

describe('checkAgainstModel', () => {
  test('where the prompt goes follows the model unless the job says so', () => {
    expect(check({}, { kind: 'causal-lm' }).output_model_types).toEqual(['DECODER'])
    expect(check({}, { kind: 'seq2seq' }).output_model_types).toEqual(['ENCODER'])
    expect(check({}, {}).output_model_types).toBeNull()
    for (const types of [['ENCODER'], ['DECODER'], ['ENCODER', 'DECODER']])
      expect(check({ output_model_types: types }, { kind: 'seq2seq' })).toEqual({ problems: [], output_model_types: types })
    expect(check({ output_model_types: ['ENCODER'] }, {})).toEqual({ problems: [], output_model_types: ['ENCODER'] })
  })

  test('a causal model has no encoder', () => {
    for (const types of [['ENCODER'], ['DECODER', 'ENCODER']]) {
      const { problems, output_model_types } = check({ output_model_types: types }, { kind: 'causal-lm' })
      expect(problems).toEqual([
        {
          field: 'tuning_config.output_model_types',
          message: expect.stringMatching(/^\["ENCODER".* is not accepted: .*no encoder; give \["DECODER"\] or null$/) as unknown,
        },
      ])
      expect(output_model_types).toBeNull()
    }
  })

  test('virtual tokens leave room for a token to read and one to predict', () => {
    const at = (n: number, max_positions: number | null) => check({ num_virtual_tokens: n }, { max_positions }).problems
    expect(at(62, 64)).toEqual([])
    expect(at(10_000, null)).toEqual([])
    expect(at(63, 64)).toEqual([
      {
        field: 'tuning_config.num_virtual_tokens',
        message:
          '63 is not accepted: the model has 64 positions for virtual tokens and text together; give a whole number from 1 to 62',
      },
    ])
    expect(at(1, 2)[0]?.message).toMatch(/another base_model/)
  })

  test('both at once', () => {
    const { problems } = check(
      { output_model_types: ['ENCODER'], num_virtual_tokens: 100 },
      { kind: 'causal-lm', max_positions: 64 },
    )
    expect(problems.map(({ field }) => field)).toEqual(['tuning_config.output_model_types', 'tuning_config.num_virtual_tokens'])
  })
})
