import { describe, expect, it } from 'vitest'
import { checkJob } from '../../job/check-job'
import type { Job } from '../../job/parameters'
import { countTasks } from './row-facts'
import { problemsOfTasks, taskAdvice } from './task-advice'

function job(multitask: boolean, num_tasks = 1, method = 'RANDOM'): Job {
  const checked = checkJob({
    base_model: 'm',
    tuning_type: multitask ? 'MULTITASK_PROMPT_TUNING' : 'PROMPT_TUNING',
    tuning_config: { num_tasks, prompt_tuning_init_method: method, prompt_tuning_init_source_model: 's' },
  })
  if (!checked.ok) throw new Error(JSON.stringify(checked.problems))
  return checked.job
}
const rows = (...tasks: readonly (string | null)[]) =>
  tasks.map((task) => ({ input: 'a', output: 'b', ...(task === null ? {} : { task }) }))
const both = (at: Job, ...tasks: readonly (string | null)[]) => {
  const counted = countTasks(rows(...tasks))
  return { ...taskAdvice(at, counted), problems: problemsOfTasks(at, tasks.length, counted).map(({ message }) => message) }
}

describe('tasks found and tasks asked for', () => {
  it('offers a multitask prompt where rows name several tasks, and is silent where they name one or none', () => {
    expect(both(job(false), 'b', 'a', 'b').offer?.values).toEqual({
      tuning_type: 'MULTITASK_PROMPT_TUNING',
      'tuning_config.num_tasks': 2,
    })
    expect(both(job(false), 'b', 'a').text).toContain('2 tasks: a and b')
    expect(both(job(false), 'a', 'a')).toMatchObject({ text: '', offer: null })
    expect(both(job(false), null, null)).toMatchObject({ text: '', offer: null, problems: [] })
    // One of two rows names none: a multitask prompt could not be tuned.
    expect(both(job(false), 'a', 'b', null).offer).toBeNull()
  })

  it('offers their number, and blocks a wrong one', () => {
    const wrong = both(job(true, 3), 'a', 'b')
    expect(wrong.offer).toEqual({ label: 'Set Tasks to 2', values: { 'tuning_config.num_tasks': 2 } })
    expect(wrong.problems).toEqual(['3, but the examples are of 2 tasks; give 2'])
    expect(both(job(true, 2), 'a', 'b')).toMatchObject({ offer: null, problems: [] })
    expect(both(job(true), 'a', 'b')).toMatchObject({ offer: { label: 'Set Tasks to 2' }, problems: [] })
  })

  it('names rows without a task', () => {
    expect(both(job(true, 2), 'a', 'b', null).problems).toEqual([
      '2, but 1 of 3 examples name no task; give every record a "task", or give 1',
    ])
    expect(both(job(true, 2), null, null).problems).toEqual([
      '2, but the examples name no task; give every record a "task", or give 1',
    ])
    expect(both(job(true, 2), 'a', 'b', null).offer?.label).toBe('Set Tasks to 1')
    expect(both(job(true, 2)).problems).toEqual([])
  })

  it('leaves Tasks at 1 where a source is adapted, which is to one task', () => {
    expect(both(job(true, 1, 'AVERAGE_SOURCE'), 'a', 'b').offer).toBeNull()
    // Not a job by itself: what the form has while it is filled in.
    const draft = job(true, 3)
    const config = { ...draft.tuning_config, prompt_tuning_init_method: 'AVERAGE_SOURCE' as const }
    expect(both({ ...draft, tuning_config: config }, 'a', 'b', 'c').offer?.label).toBe('Set Tasks to 1')
  })
})
