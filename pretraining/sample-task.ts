/** A sample task of one prompt, for either embedded model: what differs between the two is said here and nowhere else. */
import { after, split, type Pairs, type Sample } from './sample-tools'

/** Share of every sample's rows that is held out. */
export const HELD_OUT = 0.25
/** A text with few different answers is a label; those are held out label by label. */
const MOST_LABELS = 10

interface Task {
  readonly name: string
  readonly title: string
  readonly explanation: string
  readonly num_epochs: number
  /** The best instruction in words that we found (see `npx tsx bench/phrasings.ts`). */
  readonly instruction: string
  readonly few_shot_examples?: number
  /** Start from the labels' own embeddings (CLASS_LABELS), which helps where there are several; else RANDOM. */
  readonly from_labels?: true
  readonly rows: Pairs
  readonly seed: number
}

/** The causal model goes on with "input ->", and so with a space; the encoder-decoder reads the input as it is. */
const MODELS = {
  causal: { job: { verbalizer: '{{input}} ->' }, separator: ' ' },
  seq2seq: { job: { base_model: 'promptlathe/tiny-seq2seq' }, separator: '' },
} as const

export function on(model: keyof typeof MODELS, task: Task): Sample {
  const {
    name,
    title,
    explanation,
    num_epochs,
    instruction: baseline_text_prompt,
    few_shot_examples,
    from_labels,
    rows,
    seed,
  } = task
  const { job, separator } = MODELS[model]
  const isLabel = new Set(rows.map(([, output]) => output)).size <= MOST_LABELS
  const shots = few_shot_examples === undefined ? {} : { few_shot_examples }
  const init = from_labels ? { tuning_config: { prompt_tuning_init_method: 'CLASS_LABELS' } } : {}
  return {
    name,
    group: model,
    title,
    explanation,
    job: { ...job, num_epochs, ...shots, baseline_text_prompt, ...init },
    ...split(after(separator, rows), HELD_OUT, seed, ({ output }) => (isLabel ? output : '')),
  }
}
