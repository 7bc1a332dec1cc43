import { describe, expect, test } from 'vitest'
import { checkJob } from './check-job'
import { isShown, offeredOptions } from './field'
import { fields, JOB_KEYS, SOURCE_METHODS, TUNING_CONFIG_KEYS } from './parameters'

const problemsOf = (json: unknown): Record<string, string> => {
  const checked = checkJob(json)
  return checked.ok ? {} : Object.fromEntries(checked.problems.map(({ field, message }) => [field, message]))
}

test('fields describe the schema: defaults and bounds are what it accepts', () => {
  expect(fields().length).toBe(JOB_KEYS.length - 1 + TUNING_CONFIG_KEYS.length)
  const put = (path: string, value: unknown): unknown => {
    const [first = '', second] = path.split('.')
    // Some bounds can only be reached with the multitask tuning type.
    const base = { base_model: 'm', tuning_type: 'MULTITASK_PROMPT_TUNING' }
    return { ...base, ...(second === undefined ? { [first]: value } : { [first]: { [second]: value } }) }
  }
  for (const field of fields()) {
    expect(field.label + field.help, field.path).toMatch(/\S/)
    const wrong = (value: unknown): boolean => field.path in problemsOf(put(field.path, value))
    if (field.default !== undefined) expect(wrong(field.default), field.path).toBe(false)
    expect(wrong({ surprise: 1 }), field.path).toBe(true)
    if (field.type === 'integer' || field.type === 'number') {
      if (field.min !== null) expect(wrong(field.min), field.path).toBe(field.exclusive_min)
      if (field.min !== null) expect(wrong(field.min - 1), field.path).toBe(true)
      if (field.max !== null) expect([wrong(field.max), wrong(field.max + 1)], field.path).toEqual([false, true])
    }
    for (const option of field.options ?? []) {
      // Ways to start that need another field besides are tested with the rules.
      const alone = field.path !== 'tuning_config.prompt_tuning_init_method' || !['TEXT', ...SOURCE_METHODS].includes(option)
      if (field.type === 'choice' && alone) expect(wrong(option), field.path).toBe(false)
    }
    if (field.options) expect(wrong('no such option'), field.path).toBe(true)
  }
})

describe('what the form shows', () => {
  const METHOD = 'tuning_config.prompt_tuning_init_method'
  const shown = (values: Record<string, unknown>): string[] => {
    const valueOf = (path: string): unknown =>
      path in values ? values[path] : fields().find((field) => field.path === path)?.default
    return fields().flatMap((field) => (isShown(field, valueOf) ? [field.path.replace('tuning_config.', '')] : []))
  }

  test('a field whose conditions all hold', () => {
    const plain = shown({})
    expect(plain).toContain('random_scale')
    for (const hidden of ['num_tasks', 'num_ranks', 'prompt_tuning_init_text', 'prompt_tuning_init_source_model'])
      expect(plain).not.toContain(hidden)
    const exact = { tuning_type: 'MULTITASK_PROMPT_TUNING', [METHOD]: 'EXACT_SOURCE_TASK' }
    expect(shown(exact)).toEqual(
      expect.arrayContaining(['num_tasks', 'num_ranks', 'prompt_tuning_init_source_model', 'prompt_tuning_init_task']),
    )
    // A plain prompt may start from one task of a multitask one.
    expect(shown({ [METHOD]: 'SOURCE_PROMPT' })).toContain('prompt_tuning_init_task')
    // Both conditions, not one of them.
    const both = [
      { path: 'a', values: ['1'] },
      { path: 'b', values: ['1'] },
    ]
    expect(isShown({ shown_when: both }, () => 1)).toBe(true)
    expect(isShown({ shown_when: both }, (path) => (path === 'a' ? 1 : 2))).toBe(false)
    // A condition on a list holds for any of its items.
    expect(plain).toEqual(expect.arrayContaining(['few_shot_examples', 'baseline_text_prompt']))
    expect(shown({ baselines: ['UNTUNED', 'FEW_SHOT'] })).toContain('few_shot_examples')
    expect(shown({ baselines: ['UNTUNED', 'FEW_SHOT'] })).not.toContain('baseline_text_prompt')
  })

  test('every option offered for a tuning type is accepted with it, and no other source method is', () => {
    const field = fields().find(({ path }) => path === METHOD)
    if (!field) throw new Error(METHOD)
    for (const tuning_type of ['PROMPT_TUNING', 'MULTITASK_PROMPT_TUNING']) {
      const offered = offeredOptions(field, (path) => (path === 'tuning_type' ? tuning_type : undefined))
      for (const method of field.options ?? []) {
        const tuning_config = {
          prompt_tuning_init_method: method,
          prompt_tuning_init_text: 'text',
          prompt_tuning_init_source_model: 'source',
        }
        expect(METHOD in problemsOf({ base_model: 'm', tuning_type, tuning_config }), method).toBe(!offered.includes(method))
      }
    }
  })

  test('conditions and aliases name fields and options there are', () => {
    const byPath = new Map(fields().map((field) => [field.path, field]))
    for (const field of fields()) {
      for (const { path, values } of [...(field.shown_when ?? []), ...Object.values(field.options_when ?? {})])
        for (const value of values) expect(byPath.get(path)?.options, field.path).toContain(value)
      for (const option of [...Object.keys(field.options_when ?? {}), ...Object.values(field.aliases ?? {})])
        expect(field.options, field.path).toContain(option)
    }
  })
})
