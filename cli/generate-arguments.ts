/**
 * The arguments of `npm run generate`, checked: its own options, and a flag for each parameter of an answer, made from the schema. Pure but for the
 * text of its problems; files are read by generate.ts.
 */
import { parseArgs, type ParseArgsConfig } from 'node:util'
import { nearest } from '../src/job/nearest'
import type { Problem } from '../src/job/problem'
import { verbalizerProblem } from '../src/job/verbalizer'
import { checkGeneration } from '../src/models/generation/check'
import { generationFields, type GenerationField, type GenerationParameters } from '../src/models/generation/parameters'
import { fromText, nestParameters } from '../src/models/generation/text'

export interface GenerateArguments {
  /** A PEFT adapter's folder, or one that holds it as prompt/; null: the untuned model. */
  readonly prompt: string | null
  /** null: the one the adapter names. */
  readonly base_model: string | null
  readonly model_dtype: string | null
  /** null: read from the standard input. */
  readonly input: string | null
  /** null: the one the prompt was tuned with, where its report tells. */
  readonly verbalizer: string | null
  readonly task: string | null
  readonly allow_downloads: boolean
  readonly json: boolean
  readonly parameters: GenerationParameters
  readonly notices: readonly string[]
}

export type ParsedArguments =
  { readonly ok: true; readonly arguments: GenerateArguments } | { readonly ok: false; readonly problems: readonly Problem[] }

const OWN = {
  prompt: { type: 'string' },
  'base-model': { type: 'string' },
  'model-dtype': { type: 'string' },
  input: { type: 'string' },
  verbalizer: { type: 'string' },
  task: { type: 'string' },
  offline: { type: 'boolean' },
  json: { type: 'boolean' },
  help: { type: 'boolean' },
} as const satisfies ParseArgsConfig['options']

/** `exponential_decay_length_penalty.start_index` -> `exponential-decay-length-penalty-start-index`. */
const flagOf = ({ path }: GenerationField): string => path.replaceAll(/[._]/g, '-')

const FIELDS: ReadonlyMap<string, GenerationField> = new Map(generationFields().map((field) => [flagOf(field), field]))
const OPTIONS: NonNullable<ParseArgsConfig['options']> = {
  ...OWN,
  ...Object.fromEntries(
    [...FIELDS].map(([flag, { type }]) => [
      flag,
      { type: type === 'boolean' ? ('boolean' as const) : ('string' as const), multiple: type === 'texts' },
    ]),
  ),
}

export const GENERATE_USAGE = `usage: npm run generate -- --prompt DIR [--input TEXT] [--base-model ID|DIR] [--verbalizer TEXT] [--task NAME]
                              [--model-dtype DTYPE] [--offline] [--json] [parameters]

  --prompt DIR       a PEFT adapter, as npm run tune writes it (DIR/prompt or DIR); left out: the untuned --base-model
  --base-model       hub id, embedded model or folder; default: the one the adapter names
  --input TEXT       default: the standard input
  --verbalizer TEXT  what the model reads, {{input}} standing for the input; default: the one of DIR's report.json, or {{input}}
  --task NAME        of a prompt of several tasks
  --offline          nothing is downloaded
  --json             one JSON object at the end, instead of the text as it comes

parameters:
${[...FIELDS].map(([flag, field]) => `  --${flag}${field.type === 'boolean' ? '' : ' VALUE'}\n      ${field.help} ${sentence(field)}`).join('\n')}`

function sentence({ accepted, type, default: fallback }: GenerationField): string {
  if (type === 'texts') return 'May be given several times.'
  return `${accepted.charAt(0).toUpperCase()}${accepted.slice(1)}${fallback === null || fallback === undefined ? '' : `; default ${JSON.stringify(fallback)}`}.`
}

/** Names may be written with underscores, as the parameters are. */
const kebab = (argument: string): string =>
  argument.replace(/^--[^=]+/, (name) => (Object.hasOwn(OPTIONS, name.slice(2)) ? name : name.replaceAll('_', '-')))

/** @returns all problems at once, each naming option or parameter; null for --help */
export function parseArguments(argv: readonly string[]): ParsedArguments | null {
  const { tokens } = parseArgs({ args: argv.map(kebab), options: OPTIONS, strict: false, tokens: true, allowPositionals: true })
  const problems: Problem[] = []
  const texts = new Map<string, string[]>()
  const flags = new Set<string>()
  for (const token of tokens) {
    if (token.kind === 'positional')
      problems.push({ field: token.value, message: 'not expected here; give --prompt DIR and --input TEXT' })
    if (token.kind !== 'option') continue
    const option = Object.hasOwn(OPTIONS, token.name) ? OPTIONS[token.name] : undefined
    if (option === undefined) {
      const known = Object.keys(OPTIONS)
      problems.push({ field: token.rawName, message: `no such option; the nearest is --${nearest(token.name, known)}` })
    } else if (option.type === 'boolean') {
      if (token.value !== undefined) problems.push({ field: token.rawName, message: 'takes no value' })
      flags.add(token.name)
    } else if (token.value === undefined || (!token.inlineValue && token.value.startsWith('--'))) {
      const dashes =
        token.value === undefined ? '' : `; one that begins with dashes is written ${token.rawName}=${token.value.slice(0, 20)}`
      problems.push({ field: token.rawName, message: `needs a value${dashes}` })
    } else if (texts.has(token.name) && option.multiple !== true)
      problems.push({ field: token.rawName, message: 'is given twice' })
    else texts.set(token.name, [...(texts.get(token.name) ?? []), token.value])
  }
  if (flags.has('help')) return null
  const text = (name: keyof typeof OWN): string | null => texts.get(name)?.[0] ?? null

  const checked = checkGeneration(nestParameters(valuesOf(texts, flags)))
  if (!checked.ok) problems.push(...checked.problems)
  const verbalizer = text('verbalizer')
  const wrong = verbalizer === null ? null : verbalizerProblem(verbalizer)
  if (wrong !== null) problems.push({ field: 'verbalizer', message: wrong })
  const [prompt, base_model] = [text('prompt'), text('base-model')]
  if (prompt === null && base_model === null) {
    problems.push({ field: 'prompt', message: "missing; give a PEFT adapter's folder, or --base-model for the untuned model" })
  }
  if (prompt === null && text('task') !== null) problems.push({ field: 'task', message: 'is of a prompt, and there is none' })
  if (!checked.ok || problems.length > 0) return { ok: false, problems }
  return {
    ok: true,
    arguments: {
      prompt,
      base_model,
      model_dtype: text('model-dtype'),
      input: text('input'),
      verbalizer,
      task: text('task'),
      allow_downloads: !flags.has('offline'),
      json: flags.has('json'),
      parameters: checked.parameters,
      notices: checked.notices,
    },
  }
}

/** The parameters given, by path. */
function valuesOf(texts: ReadonlyMap<string, readonly string[]>, flags: ReadonlySet<string>): Record<string, unknown> {
  const values: Record<string, unknown> = {}
  for (const [flag, field] of FIELDS) {
    const given = texts.get(flag)
    if (flags.has(flag)) values[field.path] = true
    else if (given && field.type === 'texts') values[field.path] = given.flatMap((one) => fromText(field, one))
    else if (given) values[field.path] = fromText(field, given[0] ?? '')
  }
  return values
}
