/** The measures of an evaluation by name, and which of them say something about the data at hand. Pure. */
import type { Metrics } from '../../library/prompt-record'
import { figure, percent } from './format'

export interface Measure {
  readonly key: keyof Metrics
  readonly name: string
  /** What it is, in a clause. */
  readonly about: string
  readonly show: (value: number | null | undefined) => string
}

const EXACT: Measure = { key: 'exact_match', name: 'Exact match', about: 'the answer is the expected text', show: percent }
const FITTING: readonly Measure[] = [
  {
    key: 'label_accuracy',
    name: 'Label accuracy',
    about: 'of all labels the right one is the likeliest',
    show: percent,
  },
  {
    key: 'macro_f1',
    name: 'Macro-F1',
    about: 'F1 of the likeliest labels, rare labels counting as much as frequent ones',
    show: percent,
  },
  { key: 'rouge_l', name: 'ROUGE-L', about: 'words in common in the same order', show: percent },
  { key: 'token_f1', name: 'Token F1', about: 'words in common in any order', show: percent },
]
const LIKELIHOOD: readonly Measure[] = [
  {
    key: 'loss',
    name: 'Loss',
    about: 'mean cross-entropy per token of the expected answer, in nats',
    show: (value) => figure(value),
  },
  {
    key: 'perplexity',
    name: 'Perplexity',
    about: 'e to the loss: how many tokens it hesitates between',
    show: (value) => figure(value),
  },
]

const has = (all: readonly (Metrics | null | undefined)[], { key }: Measure): boolean =>
  all.some((metrics) => metrics !== null && metrics !== undefined && metrics[key] !== null)

/** Exact match, and what fits the data: label measures or text measures. */
export const rateMeasures = (all: readonly (Metrics | null | undefined)[]): readonly Measure[] => [
  EXACT,
  ...FITTING.filter((measure) => has(all, measure)),
]

/** All there is to say. */
export const everyMeasure = (all: readonly (Metrics | null | undefined)[]): readonly Measure[] => [
  ...rateMeasures(all),
  ...LIKELIHOOD,
]
