import { describe, expect, test } from 'vitest'
import { checkJob } from './check-job'
import { escapeProblem } from './rules'

/** `field: message` of every problem, and the notices. */
function check(job: object, tuning_config: object = {}): { problems: string[]; notices: readonly string[] } {
  const checked = checkJob({ base_model: 'm', ...job, tuning_config })
  return checked.ok
    ? { problems: [], notices: checked.notices }
    : { problems: checked.problems.map(({ field, message }) => `${field}: ${message}`), notices: [] }
}
const MULTITASK = { tuning_type: 'MULTITASK_PROMPT_TUNING' }
const from = (prompt_tuning_init_method: string, more: object = {}) => ({
  prompt_tuning_init_method,
  prompt_tuning_init_source_model: 'source',
  ...more,
})
const one = (pattern: RegExp) => [expect.stringMatching(pattern) as unknown]

describe('problems', () => {
  test('multitask source methods need the multitask tuning type, by either name', () => {
    for (const method of ['AVERAGE_SOURCE', 'AVERAGE_SOURCE_TASKS', 'ONLY_SOURCE_SHARED', 'EXACT_SOURCE_TASK']) {
      expect(check({}, from(method)).problems).toEqual(
        one(/^tuning_config.prompt_tuning_init_method: "[A-Z_]+" is not accepted.*"SOURCE_PROMPT".*MULTITASK/),
      )
      expect(check(MULTITASK, from(method))).toEqual({ problems: [], notices: [] })
    }
  })
  test('SOURCE_PROMPT is for one task; several share ONLY_SOURCE_SHARED', () => {
    expect(check({}, from('SOURCE_PROMPT'))).toEqual({ problems: [], notices: [] })
    expect(check(MULTITASK, from('SOURCE_PROMPT')).problems).toEqual(one(/prompt_tuning_init_method: .*"ONLY_SOURCE_SHARED"/))
  })
  test('a source method needs a source', () => {
    for (const source of ['', '  '])
      expect(check({}, from('SOURCE_PROMPT', { prompt_tuning_init_source_model: source })).problems).toEqual(
        one(/^tuning_config.prompt_tuning_init_source_model: "\s*" is not accepted with .*"SOURCE_PROMPT"; give/),
      )
  })
  test('adapting a source is for one task', () => {
    for (const method of ['AVERAGE_SOURCE', 'ONLY_SOURCE_SHARED', 'EXACT_SOURCE_TASK'])
      expect(check(MULTITASK, from(method, { num_tasks: 2 })).problems).toEqual(
        one(/^tuning_config.num_tasks: 2 is not accepted.*give 1$/),
      )
    expect(check(MULTITASK, { num_tasks: 2 }).problems).toEqual([])
  })
  test('a source of several tasks may be started from by one of them', () => {
    expect(check({}, from('SOURCE_PROMPT', { prompt_tuning_init_task: 1 })).notices).toEqual([])
  })
  test('a prompt whose factors would fill the memory', () => {
    const large = { num_tasks: 1000, num_ranks: 1000, num_virtual_tokens: 10_000 }
    expect(check(MULTITASK, large).problems).toEqual(one(/^tuning_config.num_tasks: 1000 x 1000 ranks x .* at most 10000000$/))
    expect(check(MULTITASK, { ...large, num_ranks: 1, num_virtual_tokens: 1000 }).problems).toEqual([])
  })
  test('several tasks contradict PROMPT_TUNING', () => {
    expect(check({}, { num_tasks: 3 }).problems).toEqual(one(/^tuning_config.num_tasks: 3 .*PROMPT_TUNING.*give 1, or/))
  })
  test('names that could leave the library, also where they are ignored', () => {
    const bad = [
      '../x',
      'a/../b',
      'a\\..\\b',
      '..',
      '/etc/passwd',
      '\\\\host\\share',
      'C:\\x',
      'c:/x',
      '~/x',
      'file:///x',
      'https://x/y',
      'a\nb',
    ]
    for (const path of bad) {
      expect(escapeProblem(path), path).not.toBeNull()
      expect(check({}, from('SOURCE_PROMPT', { prompt_tuning_init_source_model: path })).problems, path).toEqual(
        one(/^tuning_config.prompt_tuning_init_source_model: .*give the id or name/),
      )
      expect(check({ source_prompt_base: path }).problems, path).toEqual(
        one(/^source_prompt_base: .*a folder inside the library/),
      )
    }
    for (const path of ['', 'sentiment', 'team/sentiment v2', 'wait... what', '..x', 'x: y', 'a..b/c', '7f3a:2'])
      expect(escapeProblem(path), path).toBeNull()
  })
  test('a rule says nothing where a field it reads is wrong', () => {
    expect(check({ tuning_type: 'LORA' }, from('AVERAGE_SOURCE', { num_tasks: 'two' })).problems).toEqual([
      expect.stringMatching(/^tuning_type: "LORA"/),
      expect.stringMatching(/^tuning_config.num_tasks: "two"/),
    ])
    const whole = checkJob({ base_model: 'm', verbalizer: 'x', tuning_config: 5 })
    expect(whole.ok ? [] : whole.problems.map(({ field }) => field)).toEqual(['tuning_config', 'verbalizer'])
  })
  test('wrong values and contradictions come at once', () => {
    const { problems } = check(
      { num_epochs: 0, lr: 1, learning_rate: 2, verbalizer: 'x' },
      { ...from('AVERAGE_SOURCE', { num_tasks: 2 }) },
    )
    expect(problems.map((problem) => problem.split(':')[0])).toEqual([
      'lr',
      'num_epochs',
      'verbalizer',
      'tuning_config.prompt_tuning_init_method',
      'tuning_config.num_tasks',
    ])
  })
})

describe('notices', () => {
  const notices: [string, object, object, RegExp][] = [
    ['a source without its method', {}, from('RANDOM'), /init_source_model is ignored.*"RANDOM"/],
    ['a folder without a source', { source_prompt_base: 'team' }, {}, /source_prompt_base is ignored/],
    ['ranks of a plain prompt', {}, { num_ranks: 2 }, /num_ranks is ignored/],
    ['more ranks than tokens', MULTITASK, { num_ranks: 9, num_virtual_tokens: 8 }, /num_ranks 9 is more than the 8/],
    ['a source task', MULTITASK, from('AVERAGE_SOURCE', { prompt_tuning_init_task: 1 }), /init_task is ignored/],
    ['a scale', {}, { prompt_tuning_init_method: 'SAMPLE_VOCAB', random_scale: 'unit' }, /random_scale is ignored/],
    [
      'a small start',
      MULTITASK,
      { prompt_tuning_init_method: 'TEXT', prompt_tuning_init_text: 'x', random_scale: 'unit' },
      /2,500/,
    ],
    ['a scale of nothing drawn', MULTITASK, from('AVERAGE_SOURCE', { random_scale: 'unit' }), /random_scale is ignored/],
    ['a text for no comparison', { baselines: [], baseline_text_prompt: 'x' }, {}, /baseline_text_prompt is ignored/],
    ['a text', { baselines: [] }, { prompt_tuning_init_text: 'x' }, /init_text is ignored.*not "TEXT"\.$/],
    ['a text that is compared with', {}, { prompt_tuning_init_text: 'x' }, /init_text is ignored.*comparison/],
  ]
  test.each(notices)('%s', (_, job, config, pattern) => {
    expect(check(job, config)).toEqual({ problems: [], notices: one(pattern) })
  })
  test('nothing is said where everything has an effect', () => {
    const used = from('EXACT_SOURCE_TASK', { prompt_tuning_init_task: 2, num_ranks: 4 })
    expect(check({ ...MULTITASK, source_prompt_base: 'team' }, used)).toEqual({ problems: [], notices: [] })
    // The preset's scale is nobody's mistake.
    expect(check({ preset: 'caikit' }, { prompt_tuning_init_method: 'SAMPLE_VOCAB' })).toEqual({ problems: [], notices: [] })
  })
})

test('the caikit preset holds for multitask tuning as well', () => {
  const checked = checkJob({ base_model: 'm', ...MULTITASK, preset: 'caikit', tuning_config: { num_ranks: 2 } })
  if (!checked.ok) throw new Error(JSON.stringify(checked.problems))
  expect(checked.job).toMatchObject({
    learning_rate: 0.3,
    accumulate_steps: 32,
    weight_decay: 0.01,
    tuning_config: { prompt_tuning_init_method: 'RANDOM', random_scale: 'unit', num_ranks: 2 },
  })
})
