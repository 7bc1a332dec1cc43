/**
 * What `npm run cards` (samples.ts) keeps of each sample task: in bench/results/samples.json, in public/samples/cards.json for the page, and
 * as the table of all of them. Knows files and tables; tunes nothing.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { ROOT } from '../cli/serve'
import {
  aheadBy,
  aheadByRank,
  bestOther,
  CardsSchema,
  fromRandomName,
  spread,
  type Measured,
  type Spread,
} from '../src/ui/logic/measured'
import { percent } from '../src/ui/logic/format'

const FOLDER = join(ROOT, 'bench', 'results')
const SAMPLES = join(ROOT, 'public', 'samples')
/** The bar of a sample that convinces: so far in front of the best of the others. */
const BAR = 0.2
const LONGEST_SECONDS = 300

export type Cards = Record<string, Measured>

export const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

export const spreadOf = (values: readonly number[]): Spread => ({
  mean: mean(values),
  min: Math.min(...values),
  max: Math.max(...values),
})

const hash = (bytes: string | Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** Of an embedded model's file as the library keeps it with a prompt. @throws Error when there is no such file */
export function modelHash(base_model: string, model_dtype: string): string {
  const ending = { fp32: '', q8: '_quantized' }[model_dtype]
  if (ending === undefined) throw new Error(`no embedded model has a file of ${model_dtype}`)
  const part = (name: string): string => join(ROOT, 'public', 'models', base_model, 'onnx', `${name}${ending}.onnx`)
  const of = (name: string): string => hash(readFileSync(part(name)))
  return existsSync(part('encoder_model')) ? hash(of('encoder_model') + of('decoder_model_merged')) : of('model')
}

/** What a sample's card depends on in its file, and in that of the sample it starts from. */
const Tuned = v.object({ job: v.looseObject({}), examples: v.array(v.unknown()), validation: v.array(v.unknown()) })

/** @param source JSON of the sample it starts from, null where there is none */
export const sampleHash = (sample: unknown, source: unknown): string => {
  const what = [sample, ...(source === null ? [] : [source])].map((json) => {
    const { job, examples, validation } = v.parse(Tuned, json)
    return [job, examples, validation]
  })
  return hash(JSON.stringify(what))
}

/** Of all samples measured so far. @throws ValiError when the file is not what this command writes */
export function readCards(): Cards {
  const path = join(FOLDER, 'samples.json')
  return existsSync(path) ? v.parse(CardsSchema, JSON.parse(readFileSync(path, 'utf8'))) : {}
}

const points = (share: number): string => `${share < 0 ? '−' : '+'}${Math.abs(100 * share).toFixed(0)}`

function tableLine(card: Measured): string {
  const {
    title,
    base_model,
    rows,
    held_out,
    untuned,
    text_prompt,
    few_shot,
    tuned,
    label_accuracy,
    rouge_l,
    tasks,
    seeds,
    steps,
    seconds,
  } = card
  const cells = [
    title,
    base_model.replace('promptlathe/', ''),
    `${rows} + ${held_out}`,
    percent(untuned),
    percent(text_prompt),
    percent(few_shot),
    [spread(tuned), ...Object.entries(tasks).map(([task, one]) => `${task} ${spread(one)}`)].join('; '),
    points(aheadBy(card)),
    label_accuracy ? `${percent(bestOther(label_accuracy))} → ${percent(label_accuracy.tuned.mean)}` : '',
    rouge_l ? `${bestOther(rouge_l).toFixed(2)} → ${rouge_l.tuned.mean.toFixed(2)}` : '',
    String(seeds),
    String(steps),
    seconds.toFixed(0),
  ]
  return `| ${cells.join(' | ')} |`
}

/** The table, and how many samples pass. @param names of the samples, in the order of the page */
export function tableOf(cards: Cards, names: readonly string[]): string {
  const found = names.flatMap((name) => [cards[name] ?? [], cards[fromRandomName(name)] ?? []].flat())
  const measured = names.flatMap((name) => cards[name] ?? [])
  const ahead = measured.filter((card) => aheadBy(card) >= BAR).length
  const strict = measured.filter((card) => aheadByRank(card) >= BAR).length
  const quick = measured.filter(({ seconds }) => seconds <= LONGEST_SECONDS).length
  const where = [...new Set(found.map(({ machine, measured: day }) => `${machine}, ${day}`))].join('; ')
  const files = [
    ...new Set(
      found.map(({ base_model, model_dtype, model_sha256 }) => `${base_model} ${model_dtype} (${model_sha256.slice(0, 8)})`),
    ),
  ]
  return `| sample | model | rows: learned + held out | untuned | instruction | solved examples | tuned: mean (range) | ahead by | label ranked first: best other → tuned | ROUGE-L: best other → tuned | seeds | steps | seconds |
|---|---|---|---|---|---|---|---|---|---|---|---|---|
${found.map(tableLine).join('\n')}

Exact match on the held-out rows; "ahead by" is the tuned prompt's mean less the best of the other three, in points. "Label ranked
first" is the share of rows whose own label is the likeliest of the labels, whatever would be written: what the model knows without saying it. Seconds are of one run with all its measuring.
Models: ${files.join(', ')}. Measured on ${where}. Made by \`npm run cards\`.

${ahead} of ${measured.length} measured samples are ahead by ${100 * BAR} points or more, ${strict} also when the others need only rank the right label first; ${quick} of ${measured.length} took at most ${LONGEST_SECONDS / 60} minutes a run.
`
}

/** Writes the cards of the samples there are, for the page too, and the table. @returns the table */
export function writeCards(cards: Cards, names: readonly string[]): string {
  const order = names.flatMap((name) => [name, fromRandomName(name)])
  const kept = Object.fromEntries(order.flatMap((name) => (cards[name] ? [[name, cards[name]] as const] : [])))
  const text = tableOf(kept, names)
  const json = `${JSON.stringify(kept, null, 1)}\n`
  mkdirSync(FOLDER, { recursive: true })
  writeFileSync(join(FOLDER, 'samples.json'), json)
  writeFileSync(join(FOLDER, 'samples.md'), text)
  writeFileSync(join(SAMPLES, 'cards.json'), json)
  return text
}
