import { describe, expect, test } from 'vitest'
import { checkJob } from './check-job'
import { nearest } from './nearest'
import { AUTO_FLOAT16, wantedFile } from './parameters'

const problemsOf = (json: unknown): Record<string, string> => {
  const checked = checkJob(json)
  return checked.ok ? {} : Object.fromEntries(checked.problems.map(({ field, message }) => [field, message]))
}
const jobOf = (json: unknown) => {
  const checked = checkJob(json)
  if (!checked.ok) throw new Error(JSON.stringify(checked.problems))
  return checked
}

describe('checkJob', () => {
  test('fills in every default, and the result checks to itself', () => {
    const { job, notices } = jobOf({ base_model: 'a/b' })
    expect(notices).toEqual([])
    expect(job).toMatchObject({ num_epochs: 20, learning_rate: 'auto', batch_size: 8, seed: 73, validation: 0.2, preset: null })
    expect(job.tuning_config).toMatchObject({
      num_virtual_tokens: 20,
      prompt_tuning_init_method: 'RANDOM',
      random_scale: 'embedding',
    })
    expect(jobOf(job).job).toEqual(job)
    const caikit = jobOf({ base_model: 'a/b', preset: 'caikit' }).job
    expect(jobOf(caikit).job).toEqual(caikit)
  })

  test('lists all problems at once, each with its field, value and what is accepted', () => {
    const problems = problemsOf({
      num_epochs: 0,
      batch_size: 'eight',
      seed: 2 ** 32,
      device: 'cuda:0',
      learning_rate: -1,
      tuning_type: 'LORA',
      verbalizer: 'Label: {{output}}',
      tuning_config: { num_virtual_tokens: 1.5, prompt_tuning_init_method: 'ZEROS', output_model_types: [] },
    })
    expect(problems.base_model).toMatch(/missing/)
    expect(problems.num_epochs).toMatch(/^0 is not accepted; give a whole number from 1/)
    expect(problems.batch_size).toMatch(/"eight".*whole number/)
    expect(problems.seed).toMatch(/4294967296.*0 to 4294967295/)
    expect(problems.device).toMatch(/"cuda:0".*"webgpu"/)
    expect(problems.learning_rate).toMatch(/-1.*"auto" or a number above 0/)
    expect(problems.tuning_type).toMatch(/one of "PROMPT_TUNING"/)
    expect(problems.verbalizer).toMatch(/answer/)
    expect(problems['tuning_config.num_virtual_tokens']).toMatch(/1.5/)
    expect(problems['tuning_config.prompt_tuning_init_method']).toMatch(/"ZEROS".*"RANDOM", "TEXT", "SAMPLE_VOCAB"/)
    expect(problems['tuning_config.output_model_types']).toMatch(/null or a list.*"ENCODER", "DECODER"/)
    expect(Object.keys(problems)).toHaveLength(11)
  })

  test('names the nearest key, and the right place of a misplaced one', () => {
    const problems = problemsOf({
      base_model: 'm',
      num_epoch: 3,
      num_virtual_tokens: 4,
      train: [],
      tuning_config: { random_scales: 'unit', seed: 1 },
    })
    expect(problems.num_epoch).toMatch(/num_epochs/)
    expect(problems.num_virtual_tokens).toMatch(/tuning_config\.num_virtual_tokens/)
    expect(problems.train).toMatch(/job file/)
    expect(problems['tuning_config.random_scales']).toMatch(/tuning_config\.random_scale$/)
    expect(problems['tuning_config.seed']).toMatch(/outside/)
    const typos = problemsOf({ base_model: 'm', num_virtual_token: 8, tuning_config: { batchsize: 4 } })
    expect(typos.num_virtual_token).toBe('no such field; the nearest is tuning_config.num_virtual_tokens')
    expect(typos['tuning_config.batchsize']).toBe('no such field; the nearest is batch_size, outside tuning_config')
    expect(problemsOf({ base_model: 'm', tuning_config: { prompt_tuning_init: 'TEXT' } })).toEqual({
      'tuning_config.prompt_tuning_init': 'no such field; it is called tuning_config.prompt_tuning_init_method here',
    })
    expect(problemsOf({ base_model: 'm', per_device_train_batch_size: 4 }).per_device_train_batch_size).toMatch(
      / batch_size here/,
    )
    expect(nearest('Learning-Rate', ['lr', 'learning_rate'])).toBe('learning_rate')
  })

  test('lr is learning_rate', () => {
    expect(jobOf({ base_model: 'm', lr: 0.1 }).job.learning_rate).toBe(0.1)
    expect(jobOf({ base_model: 'm', lr: 0.1, learning_rate: 0.1 }).job.learning_rate).toBe(0.1)
    expect(problemsOf({ base_model: 'm', lr: 0.1, learning_rate: 0.2 }).lr).toMatch(/0.1.*0.2/)
    expect(problemsOf({ base_model: 'm', lr: 0 }).learning_rate).toMatch(/above 0/)
  })

  test('the caikit preset stands in for defaults only', () => {
    const { job } = jobOf({ base_model: 'm', preset: 'caikit', accumulate_steps: 4, tuning_config: { num_virtual_tokens: 8 } })
    expect(job).toMatchObject({ learning_rate: 0.3, accumulate_steps: 4, weight_decay: 0.01 })
    expect(job.tuning_config).toMatchObject({ num_virtual_tokens: 8, random_scale: 'unit' })
    expect(problemsOf({ base_model: 'm', preset: 'kaikit' }).preset).toMatch(/"caikit"/)
  })

  test('TEXT needs its text, which is otherwise ignored with a notice', () => {
    const field = 'tuning_config.prompt_tuning_init_text'
    expect(
      problemsOf({ base_model: 'm', tuning_config: { prompt_tuning_init_method: 'TEXT', prompt_tuning_init_text: ' ' } })[field],
    ).toMatch(/TEXT/)
    expect(jobOf({ base_model: 'm', tuning_config: { prompt_tuning_init_text: 'x' } }).notices[0]).toMatch(/ignored/)
    // Also beside problems of other fields.
    expect(problemsOf({ num_epochs: -1, tuning_config: { prompt_tuning_init_method: 'TEXT' } })).toHaveProperty([field])
  })

  test('bfloat16 falls back, with a notice', () => {
    const { job, notices } = jobOf({ base_model: 'm', torch_dtype: 'bfloat16' })
    expect(job.torch_dtype).toBe('float32')
    expect(notices.join(' ')).toMatch(/bfloat16/)
  })

  test("float16 takes the model's fp16 file where model_dtype leaves the choice", () => {
    const { job, notices } = jobOf({ base_model: 'm', torch_dtype: 'float16' })
    expect(notices.join(' ')).toMatch(/takes the model's fp16 file/)
    expect(wantedFile(job)).toBe(AUTO_FLOAT16)
    expect(jobOf(job).job).toEqual(job)
    const named = jobOf({ base_model: 'm', torch_dtype: 'float16', model_dtype: 'q8' })
    expect(named.notices.join(' ')).toMatch(/ignored beside model_dtype "q8"/)
    expect(wantedFile(named.job)).toBe('q8')
    expect(wantedFile(jobOf({ base_model: 'm' }).job)).toBe('auto')
  })

  test('an alias becomes its option, and lists come in one order', () => {
    const { job } = jobOf({
      base_model: 'm',
      tuning_type: 'MULTITASK_PROMPT_TUNING',
      baselines: ['FEW_SHOT', 'UNTUNED'],
      tuning_config: {
        prompt_tuning_init_method: 'AVERAGE_SOURCE_TASKS',
        prompt_tuning_init_source_model: 'shared',
        output_model_types: ['DECODER', 'ENCODER'],
      },
    })
    expect(job.tuning_config.prompt_tuning_init_method).toBe('AVERAGE_SOURCE')
    expect(job.tuning_config.output_model_types).toEqual(['ENCODER', 'DECODER'])
    expect(job.baselines).toEqual(['UNTUNED', 'FEW_SHOT'])
    expect(jobOf({ base_model: 'm', baselines: [] }).job.baselines).toEqual([])
    expect(
      jobOf({ base_model: 'm', tuning_config: { output_model_types: null } }).job.tuning_config.output_model_types,
    ).toBeNull()
    expect(problemsOf({ base_model: 'm', baselines: ['UNTUNED', 'UNTUNED'] }).baselines).toMatch(/each once/)
  })
})
