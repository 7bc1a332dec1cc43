/**
 * The sample tasks for multitask prompt tuning on the embedded causal model: three tasks that learn a prompt together, and a fourth, with few
 * examples, that starts from it. Written by samples.ts.
 */
import { after, pairs, randomFrom, shuffled, words, type Sample } from './sample-tools'
import { NAMES, NOUNS, VERBS, WORDS } from './sample-words'

/** The page names a finished prompt after its sample; the target finds its source by this name. */
const SOURCE_TITLE = 'Word forms'
const ROWS_PER_TASK = 70

const verbalizer = '{{input}} ->'
const tuning_type = 'MULTITASK_PROMPT_TUNING'

/** A task's rows of the source: the first of its list, shuffled. */
const some = <Item>(items: readonly Item[], seed: number): Item[] => shuffled(items, randomFrom(seed)).slice(0, ROWS_PER_TASK)

const capital = (word: string): string => word.slice(0, 1).toUpperCase() + word.slice(1)

export const MULTITASK: readonly Sample[] = [
  {
    name: 'word-forms',
    group: 'multitask',
    title: SOURCE_TITLE,
    explanation:
      'Three tasks at once: plurals, past tenses and capital letters, each row saying which it is. They share one prompt, and each has a small factor of its own. Afterwards every task is measured by itself, and the prompt can be the start for a new task.',
    job: { verbalizer, tuning_type, num_epochs: 10, tuning_config: { num_tasks: 3 } },
    examples: shuffled(
      [
        ...after(' ', some(pairs(NOUNS), 22), 'plural'),
        ...after(' ', some(pairs(VERBS), 21), 'past tense'),
        ...after(
          ' ',
          some(words(WORDS), 23).map((word) => [word, word.toUpperCase()]),
          'upper case',
        ),
      ],
      randomFrom(24),
    ),
  },
  {
    name: 'names',
    group: 'multitask',
    title: 'Names with a capital',
    explanation: `A name in small letters goes in, and comes out as it is written: "london" becomes "London". Only 36 examples are learned from, so where the prompt starts matters: this one starts from the prompt of "${SOURCE_TITLE}". Tune that sample first.`,
    job: {
      verbalizer,
      tuning_type,
      num_epochs: 4,
      validation: 0.4,
      tuning_config: { prompt_tuning_init_method: 'AVERAGE_SOURCE', prompt_tuning_init_source_model: SOURCE_TITLE },
    },
    examples: after(
      ' ',
      shuffled(words(NAMES), randomFrom(25)).map((name) => [name, capital(name)]),
    ),
  },
]
