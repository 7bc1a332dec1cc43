/**
 * What a sample task was measured at, as `npm run cards` (bench/samples.ts) keeps it in public/samples/cards.json, and as the page says it. It
 * measures nothing. Pure.
 */
import * as v from 'valibot'
import { duration, percent, plural } from './format'

/** Over the seeds; rates 0..1. */
const SpreadSchema = v.object({ mean: v.number(), min: v.number(), max: v.number() })
export type Spread = v.InferOutput<typeof SpreadSchema>

/** A mean over the seeds, 0..1; null: not measured. */
const rate = v.nullable(v.number())
/** What is compared, by one measure over the held-out rows. */
const compared = { untuned: rate, text_prompt: rate, few_shot: rate, tuned: SpreadSchema }

export const MeasuredSchema = v.object({
  title: v.string(),
  base_model: v.string(),
  model_dtype: v.string(),
  /** SHA-256 (hex) of the model's ONNX file; of an encoder-decoder, of both hashes one after the other. */
  model_sha256: v.string(),
  /** SHA-256 (hex) of what was tuned: the sample's job and rows. */
  sample_sha256: v.string(),
  /** Rows learned from, and rows measured on. */
  rows: v.number(),
  held_out: v.number(),
  seeds: v.number(),
  /** Exact match. */
  ...compared,
  /** Share of rows whose own label is the likeliest of all labels, where outputs are labels: fair to what goes on behind the right one. */
  label_accuracy: v.nullable(v.object(compared)),
  /** ROUGE-L, where outputs are texts of several words. */
  rouge_l: v.nullable(v.object(compared)),
  /** Exact match of each task; empty where there is one. */
  tasks: v.record(v.string(), SpreadSchema),
  steps: v.number(),
  /** Of one run with all its measuring, the mean over the seeds. */
  seconds: v.number(),
  cores: v.number(),
  device: v.string(),
  machine: v.string(),
  /** Day: 2026-11-24. */
  measured: v.string(),
})
export type Measured = v.InferOutput<typeof MeasuredSchema>

/** By sample name. */
export const CardsSchema = v.record(v.string(), MeasuredSchema)

/** Name under which a sample that starts from another's prompt was measured starting from RANDOM. */
export const fromRandomName = (name: string): string => `${name}-from-random`

export type Compared = NonNullable<Measured['rouge_l']>

/** The best of those that are not tuned; 0 where none was measured. */
export const bestOther = ({ untuned, text_prompt, few_shot }: Compared): number =>
  Math.max(0, untuned ?? 0, text_prompt ?? 0, few_shot ?? 0)

/** How far the tuned prompt's exact match is in front of the best of the others (-1..1). */
export const aheadBy = (card: Measured): number => card.tuned.mean - bestOther(card)

/** The same, counting an answer of the others as right also where the right label is merely the likeliest of the labels, which a model only asked to write cannot use. */
export const aheadByRank = (card: Measured): number =>
  card.tuned.mean - Math.max(bestOther(card), card.label_accuracy ? bestOther(card.label_accuracy) : 0)

/** "88 % (86 to 90 %)"; without the range where there is none to see. */
export function spread({ mean, min, max }: Spread): string {
  const whole = (value: number): string => (100 * value).toFixed(0)
  return whole(min) === whole(max) ? percent(mean) : `${percent(mean)} (${whole(min)} to ${whole(max)} %)`
}

/** "untuned 0 %, instruction 3 %, ..., tuned 88 % (86 to 90 %)", without what was not measured. */
function comparison({ untuned, text_prompt, few_shot, tuned }: Compared): string {
  const said = [
    ['untuned', untuned],
    ['instruction', text_prompt],
    ['solved examples', few_shot],
  ] as const
  const parts = said.flatMap(([name, value]) => (value === null ? [] : [`${name} ${percent(value)}`]))
  return [...parts, `tuned ${spread(tuned)}`].join(', ')
}

/** The card in sentences. @param random the same sample started from RANDOM, where that was measured too */
export function measuredText(card: Measured, random: Measured | null): string {
  const { label_accuracy, rouge_l, held_out, seeds, seconds, cores, device, measured } = card
  const sentences = [
    `Measured on ${plural(held_out, 'held-out row')}, exact answers: ${comparison(card)}.`,
    ...(label_accuracy ? [`If only the labels are ranked: ${comparison(label_accuracy)}.`] : []),
    ...(rouge_l ? [`How much of the wanted text is there (ROUGE-L): ${comparison(rouge_l)}.`] : []),
    ...(random ? [`Started from random numbers instead: tuned ${spread(random.tuned)}.`] : []),
    `${plural(seeds, 'run')} of ${duration(seconds)} on ${plural(cores, 'core')} (${device}), ${measured}.`,
  ]
  return sentences.join(' ')
}
