import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { GENERATE_USAGE, parseArguments } from '../../cli/generate-arguments'
import { GENERATION_DEFAULTS, generationFields } from '../../src/models/generation/parameters'

const parsed = (...argv: string[]) => {
  const found = parseArguments(argv)
  if (!found?.ok) throw new Error(JSON.stringify(found))
  return found.arguments
}
const problems = (...argv: string[]): readonly string[] => {
  const found = parseArguments(argv)
  return found === null || found.ok ? [] : found.problems.map(({ field, message }) => `${field}: ${message}`)
}

describe('the arguments of npm run generate', () => {
  test('nothing but a prompt', () => {
    expect(parsed('--prompt', 'out/x')).toEqual({
      prompt: 'out/x',
      base_model: null,
      model_dtype: null,
      input: null,
      verbalizer: null,
      task: null,
      allow_downloads: true,
      json: false,
      parameters: GENERATION_DEFAULTS,
      notices: [],
    })
  })

  test('every parameter is a flag, with dashes or underscores', () => {
    const { parameters, json, allow_downloads } = parsed(
      ...['--prompt=x', '--json', '--offline', '--decoding_method', 'SAMPLING', '--max-new-tokens=7', '--min_new_tokens', '2'],
      ...['--stop-sequences', String.raw`\n`, '--stop_sequences=. ', '--temperature', '1.5', '--max-time', '0.5'],
      ...['--exponential-decay-length-penalty-start-index', '3', '--exponential_decay_length_penalty_decay_factor', '1.2'],
      ...['--preserve-input-text', '--seed', '9'],
    )
    expect([json, allow_downloads]).toEqual([true, false])
    expect(parameters).toEqual({
      ...GENERATION_DEFAULTS,
      decoding_method: 'SAMPLING',
      max_new_tokens: 7,
      min_new_tokens: 2,
      stop_sequences: ['\n', '. '],
      temperature: 1.5,
      max_time: 0.5,
      exponential_decay_length_penalty: { start_index: 3, decay_factor: 1.2 },
      preserve_input_text: true,
      seed: 9,
    })
    for (const { path } of generationFields()) expect(GENERATE_USAGE).toContain(`--${path.replaceAll(/[._]/g, '-')}`)
  })

  test('all problems at once', () => {
    expect(
      problems(
        'here',
        '--tempreture',
        '1',
        '--top-k',
        'many',
        '--input',
        'a',
        '--input',
        'b',
        '--json=yes',
        '--verbalizer',
        'x',
        '--task',
      ),
    ).toEqual([
      'here: not expected here; give --prompt DIR and --input TEXT',
      '--tempreture: no such option; the nearest is --temperature',
      '1: not expected here; give --prompt DIR and --input TEXT',
      '--input: is given twice',
      '--json: takes no value',
      '--task: needs a value',
      'top_k: "many" is not accepted; give a whole number from 0 to 1000000',
      expect.stringMatching(/^verbalizer: .*does not hold/),
      "prompt: missing; give a PEFT adapter's folder, or --base-model for the untuned model",
    ])
    expect(problems('--prompt', '--seed', '--toString', '--base-model', 'm')).toEqual([
      '--prompt: needs a value; one that begins with dashes is written --prompt=--seed',
      expect.stringMatching(/^--toString: no such option/),
    ])
    expect(problems('--base-model', 'm', '--task', 't')).toEqual(['task: is of a prompt, and there is none'])
  })

  test('help is no problem; what greedy decoding ignores is said', () => {
    expect(parseArguments(['--help', '--nonsense'])).toBeNull()
    expect(parsed('--prompt', 'x', '--top-p', '0.5').notices).toEqual([
      'top_p is ignored: decoding_method is "GREEDY", not "SAMPLING".',
    ])
  })

  test('any arguments: parsed or problems', () => {
    const word = fc.oneof(
      fc.string(),
      fc.constantFrom('--prompt', '--seed', '--seed=1', '--', '-x', '--__proto__', '--no-json', '--input=-'),
    )
    fc.assert(
      fc.property(fc.array(word, { maxLength: 6 }), (argv) => {
        const found = parseArguments(argv)
        if (found !== null && !found.ok) expect(found.problems.length).toBeGreaterThan(0)
      }),
    )
  })
})
