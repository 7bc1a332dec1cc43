/** docs/parameters.md, made from the schema that also makes the form and the messages. Pure: cli/docs.ts writes it, a test compares it. */
import type { Condition, Field, FieldGroup, FieldValue } from '../src/job/field'
import { JOB_FILE_KEYS } from '../src/job/job-file'
import { fields } from '../src/job/parameters'
import { PRESETS } from '../src/job/presets'

const GROUPS: readonly (readonly [FieldGroup, string])[] = [
  ['model', 'Model'],
  ['prompt', 'Prompt'],
  ['training', 'Training'],
  ['sequence', 'Sequence'],
  ['validation', 'Validation'],
  ['run', 'Run'],
]

export const code = (text: string): string => `\`${text}\``
const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ')

/** Rows as they are: padding a column of sentences would help nobody. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`
  const lines = [line(header), line(header.map(() => '---')), ...rows.map(line)]
  return ['<!-- prettier-ignore-start -->', ...lines, '<!-- prettier-ignore-end -->'].join('\n')
}

const valueText = (value: FieldValue | undefined): string => (value === undefined ? 'required' : code(JSON.stringify(value)))

const BY_PATH: ReadonlyMap<string, Field> = new Map(fields().map((field) => [field.path, field]))

function conditionText({ path, values }: Condition): string {
  const verb = BY_PATH.get(path)?.type === 'choices' ? 'holds' : 'is'
  return `${code(path)} ${verb} ${values.map(code).join(' or ')}`
}

function acceptedText(field: Field): string {
  const conditions = new Map<string, string[]>()
  for (const [option, condition] of Object.entries(field.options_when ?? {})) {
    const text = conditionText(condition)
    conditions.set(text, [...(conditions.get(text) ?? []), code(option)])
  }
  const only = [...conditions].map(([text, options]) => `${options.join(', ')} only while ${text}`)
  const aliases = Object.entries(field.aliases ?? {}).map(
    ([alias, option]) => `${code(alias)} is another name of ${code(option)}`,
  )
  return [field.accepted, ...only, ...aliases].join('; ')
}

function placeText({ level, shown_when }: Field): string {
  const place = level === 'basic' ? 'basic' : 'Advanced'
  return shown_when === undefined ? place : `${place}, while ${shown_when.map(conditionText).join(' and ')}`
}

function section([group, title]: readonly [FieldGroup, string]): string {
  const rows = fields()
    .filter((field) => field.group === group)
    .map((field) => [code(field.path), acceptedText(field), valueText(field.default), placeText(field), field.help])
  return `## ${title}\n\n${table(['Name', 'Accepted', 'Default', 'In the form', 'What it is'], rows)}`
}

function presetsSection(): string {
  const rows = Object.entries(PRESETS).flatMap(([name, preset]) =>
    [
      ...Object.entries(preset.job),
      ...Object.entries(preset.tuning_config).map(([key, value]) => [`tuning_config.${key}`, value] as const),
    ].map(([path, value]) => [code(name), code(path), code(JSON.stringify(value)), valueText(BY_PATH.get(path)?.default)]),
  )
  const besides = Object.entries(PRESETS).map(([name, preset]) => `${code(name)}: ${preset.besides}`)
  return [
    '## Presets',
    "A preset's values stand in for the defaults; what the job sets itself keeps its value.",
    ...besides,
    table(['Preset', 'Name', 'With it', 'Without'], rows),
  ].join('\n\n')
}

/** The whole page, Markdown. */
export function parametersPage(): string {
  const fileKeys = JOB_FILE_KEYS.map((one) => [code(one.key), one.accepted, one.default, one.help])
  return `${[
    '<!-- Made by `npm run docs` from src/job; edit the schema there, not this page. -->',
    '# Parameters of a tuning job',
    'One schema (`src/job/parameters.ts`) makes the form of the page, the job file, the messages and this page. The names are those of caikit-nlp\'s "Prompt Tuning Parameters", and PEFT\'s where caikit has none. A name with a dot is a key inside `tuning_config`: `{"tuning_config": {"num_virtual_tokens": 20}}`. An unknown key is an error that names the nearest known one.',
    'In the form, _basic_ fields are in sight and the others under _Advanced_. `npm run tune -- JOB.json --check` lists all problems of a job file at once, as `field: message`.',
    `## The job file\n\nIts keys besides the parameters below:\n\n${table(['Name', 'Accepted', 'Default', 'What it is'], fileKeys)}`,
    ...GROUPS.map(section),
    presetsSection(),
  ].join('\n\n')}\n`
}
