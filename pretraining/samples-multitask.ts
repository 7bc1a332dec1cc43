/**
 * The sample tasks for multitask prompt tuning: on the causal model three tasks that learn a prompt together, and a fourth, with few examples, that
 * starts from it; on the encoder-decoder two tasks that share a prompt. Written by samples.ts.
 */
import { DEGREES, DOERS, ING } from './sample-texts/forms'
import { DAYS } from './sample-texts/notes'
import { MESSAGES } from './sample-texts/spam'
import { HELD_OUT } from './sample-task'
import { after, bracketed, labelled, pairs, randomFrom, shuffled, split, triples, type Pairs, type Sample } from './sample-tools'

/** The page names a finished prompt after its sample; the target finds its source by this name. */
const SOURCE_TITLE = 'Word endings'
const ROWS_PER_TASK = 64
const FEW = 24

const verbalizer = '{{input}} ->'
const tuning_type = 'MULTITASK_PROMPT_TUNING'

/** A task's rows: the first of its list, shuffled. */
const some = (rows: Pairs, seed: number): Pairs => shuffled(rows, randomFrom(seed)).slice(0, ROWS_PER_TASK)

/** Adjectives by half: no adjective whose superlative is asked for was among those whose comparative was learned. */
const adjectives = shuffled(triples(DEGREES), randomFrom(41))
const half = Math.floor(adjectives.length / 2)
const comparatives: Pairs = adjectives.slice(0, half).map(([word, comparative]) => [word, comparative])
const superlatives = after(
  ' ',
  adjectives.slice(half).map(([word, , superlative]) => [word, superlative]),
)

export const MULTITASK: readonly Sample[] = [
  {
    name: 'word-endings',
    group: 'multitask',
    title: SOURCE_TITLE,
    explanation:
      'Three tasks at once, each row saying which it is: "run" becomes "running", "big" becomes "bigger", "teach" becomes "teacher". They share one prompt, and each has a small factor of its own. Afterwards every task is measured by itself, and the prompt can be the start for a new task.',
    job: { verbalizer, tuning_type, num_epochs: 12, tuning_config: { num_tasks: 3 } },
    ...split(
      [
        ...after(' ', some(pairs(ING), 42), '-ing form'),
        ...after(' ', comparatives, 'comparative'),
        ...after(' ', some(pairs(DOERS), 43), 'who does it'),
      ],
      HELD_OUT,
      44,
    ),
  },
  {
    name: 'superlative',
    group: 'multitask',
    title: 'Superlative from few examples',
    explanation: `"cold" becomes "coldest", "easy" becomes "easiest". Only ${FEW} examples are learned from, so where the prompt starts matters: this one starts from the prompt of "${SOURCE_TITLE}", which learned neighbouring endings on other words. Tune that sample first.`,
    job: {
      verbalizer,
      tuning_type,
      num_epochs: 12,
      baseline_text_prompt: 'Give the superlative.',
      tuning_config: { prompt_tuning_init_method: 'AVERAGE_SOURCE', prompt_tuning_init_source_model: SOURCE_TITLE },
    },
    examples: superlatives.slice(0, FEW),
    validation: superlatives.slice(FEW),
  },
  {
    name: 'messages',
    group: 'multitask',
    title: 'Weekday and spam, encoder-decoder',
    explanation:
      'Two unlike tasks in one prompt: to find the day of the week in some messages, and to tell spam from the fine ones among others. Each row says which is wanted, and each task is measured by itself. With few rows of each, expect a little less than from a prompt for one task alone.',
    job: { base_model: 'promptlathe/tiny-seq2seq', tuning_type, num_epochs: 25, tuning_config: { num_tasks: 2 } },
    ...split(
      [...after('', some(bracketed(DAYS), 45), 'weekday'), ...after('', some(labelled(MESSAGES), 46), 'spam or fine')],
      HELD_OUT,
      47,
    ),
  },
]
