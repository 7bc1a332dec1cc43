import { describe, expect, it } from 'vitest'
import { checkJob } from '../../job/check-job'
import type { Job } from '../../job/parameters'
import type { SourceTarget } from '../../library/source-fit'
import { nest } from './job-values'
import { choosing, problemsOfSource, sourceChoices } from './source-choice'
import { multitaskOf, promptNamed, TINY } from '../../../test/support/prompt-summaries'

const target: SourceTarget = { base_model: TINY, kind: 'causal-lm', hidden_size: 192 }

function job(tuning_config: object, rest: object = {}): Job {
  const checked = checkJob({ base_model: TINY, tuning_type: 'MULTITASK_PROMPT_TUNING', ...rest, tuning_config })
  if (!checked.ok) throw new Error(JSON.stringify(checked.problems))
  return checked.job
}
const averaging = (source = 'none', more: object = {}): Job =>
  job({ prompt_tuning_init_method: 'AVERAGE_SOURCE', prompt_tuning_init_source_model: source, ...more })

const good = promptNamed('good', { multitask: multitaskOf(['a', 'b']) })
const plain = promptNamed('plain')
const longer = promptNamed('longer', { multitask: multitaskOf(['a', 'b'], 2), num_virtual_tokens: 8 })
const elsewhere = promptNamed('elsewhere', {
  base_model: { ...good.base_model, id: 'Xenova/gpt2', hidden_size: 768 },
  multitask: multitaskOf(['a']),
  num_virtual_tokens: 8,
})

describe('sources to choose from', () => {
  it('offers those that fit; says why the others do not, fixable ones first', () => {
    const { fitting, others } = sourceChoices(averaging(), [elsewhere, plain, longer, good], target)
    expect(fitting).toEqual([good])
    expect(others.map(({ prompt }) => prompt.name)).toEqual(['longer', 'elsewhere', 'plain'])
    expect(others.map(({ problems }) => problems.map(({ field }) => field.replace('tuning_config.', '')))).toEqual([
      ['num_virtual_tokens', 'num_ranks'],
      ['prompt_tuning_init_source_model', 'num_virtual_tokens'],
      ['prompt_tuning_init_source_model'],
    ])
    expect(others.map(({ matching }) => matching)).toEqual([
      { 'tuning_config.num_virtual_tokens': 8, 'tuning_config.num_ranks': 2 },
      null,
      null,
    ])
  })

  it('what it offers to set makes the source fit', () => {
    const [first] = sourceChoices(averaging(), [longer], target).others
    if (!first) throw new Error('nothing to match')
    const { tuning_config } = nest({ 'tuning_config.prompt_tuning_init_method': 'AVERAGE_SOURCE', ...choosing(first) })
    const matched = averaging('', tuning_config as object)
    expect(problemsOfSource(matched, [good, longer], target)).toEqual([])
    expect(sourceChoices(matched, [longer], target).fitting).toEqual([longer])
  })

  it('a plain prompt does for the shared part', () => {
    const shared = job({ prompt_tuning_init_method: 'ONLY_SOURCE_SHARED', prompt_tuning_init_source_model: 'plain' })
    expect(sourceChoices(shared, [plain, good], target).fitting).toEqual([plain, good])
  })

  it('a task the source lacks is a problem of the job, not a reason against the source', () => {
    const exact = job({
      prompt_tuning_init_method: 'EXACT_SOURCE_TASK',
      prompt_tuning_init_source_model: 'good',
      prompt_tuning_init_task: 5,
    })
    expect(sourceChoices(exact, [good], target).fitting).toEqual([good])
    expect(problemsOfSource(exact, [good], target)).toMatchObject([{ field: 'tuning_config.prompt_tuning_init_task' }])
  })

  it('a source that is not there is named; without a source method nothing is said', () => {
    expect(problemsOfSource(averaging('gone'), [good], target)).toEqual([
      { field: 'tuning_config.prompt_tuning_init_source_model', message: expect.stringContaining('“gone”') as string },
    ])
    expect(problemsOfSource(job({ prompt_tuning_init_source_model: 'gone' }), [good], target)).toEqual([])
  })
})
