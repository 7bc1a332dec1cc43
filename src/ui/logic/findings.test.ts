import { describe, expect, it } from 'vitest'
import { checkJob } from '../../job/check-job'
import { findings, knownModel } from './findings'
import { multitaskOf, promptNamed, TINY } from '../../../test/support/prompt-summaries'

function found(job: object, model = knownModel(TINY, null, []), prompts: Parameters<typeof knownModel>[2] | null = []) {
  const checked = checkJob({ base_model: TINY, ...job })
  if (!checked.ok) throw new Error(JSON.stringify(checked.problems))
  return findings(checked.job, { model, prompts, rows: 10, tasks: new Map() }).map(({ field }) => field)
}

describe('what speaks against a job', () => {
  it('nothing against the defaults', () => {
    expect(found({})).toEqual([])
  })

  it('the kind of the model, before it is open', () => {
    const job = { tuning_config: { output_model_types: ['ENCODER'] } }
    expect(found(job)).toEqual(['tuning_config.output_model_types'])
    expect(found(job, knownModel('promptlathe/tiny-seq2seq', null, []))).toEqual([])
    expect(found(job, knownModel('somebody/else', null, []))).toEqual([])
    const seen = promptNamed('p', { base_model: { ...promptNamed('p').base_model, id: 'somebody/else' } })
    expect(found(job, knownModel('somebody/else', null, [seen]))).toEqual(['tuning_config.output_model_types'])
  })

  it('positions, once it is open', () => {
    const opened = { kind: 'causal-lm', max_positions: 16, hidden_size: 192 } as const
    expect(found({}, knownModel(TINY, opened, []))).toEqual(['tuning_config.num_virtual_tokens'])
  })

  it('a source that does not fit, once the library is read; one problem for a field', () => {
    const source = promptNamed('s', { num_virtual_tokens: 8, multitask: multitaskOf(['a', 'b'], 2) })
    const job = {
      tuning_type: 'MULTITASK_PROMPT_TUNING',
      tuning_config: { prompt_tuning_init_method: 'AVERAGE_SOURCE', prompt_tuning_init_source_model: 's' },
    }
    expect(found(job, undefined, [source])).toEqual(['tuning_config.num_virtual_tokens', 'tuning_config.num_ranks'])
    expect(found(job, undefined, null)).toEqual([])
    const opened = { kind: 'causal-lm', max_positions: 16, hidden_size: 192 } as const
    expect(found(job, knownModel(TINY, opened, []), [source])).toEqual([
      'tuning_config.num_virtual_tokens',
      'tuning_config.num_ranks',
    ])
  })
})
