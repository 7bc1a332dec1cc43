/** The sample tasks for the embedded causal model, one prompt and one task each. Written by samples.ts. */
import { DEFINITIONS } from './sample-texts/definitions'
import { ING } from './sample-texts/forms'
import { OPINIONS } from './sample-texts/opinions'
import { MESSAGES } from './sample-texts/spam'
import { weather } from './sample-texts/weather'
import { after, byLabel, labelled, pairs, split, type Pairs, type Sample } from './sample-tools'

const HELD_OUT = 0.25

const ONES =
  'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen'.split(
    ' ',
  )
const TENS = '- - twenty thirty forty fifty sixty seventy eighty ninety'.split(' ')

/** 0 to 99 in words: 42 is "forty-two". */
function inWords(n: number): string {
  if (n < 20) return ONES[n] ?? ''
  const ten = TENS[Math.floor(n / 10)] ?? ''
  return n % 10 === 0 ? ten : `${ten}-${ONES[n % 10] ?? ''}`
}

type Head = Pick<Sample, 'name' | 'title' | 'explanation'>

const sample = (head: Head, job: Sample['job'], rows: ReturnType<typeof split>): Sample => ({
  ...head,
  group: 'causal',
  job: { verbalizer: '{{input}} ->', ...job },
  ...rows,
})

const classes = (rows: Pairs, seed: number) => split(after(' ', rows), HELD_OUT, seed, byLabel)
const texts = (rows: Pairs, seed: number) => split(after(' ', rows), HELD_OUT, seed)

export const CAUSAL: readonly Sample[] = [
  sample(
    {
      name: 'opinions',
      title: 'Recommend or avoid?',
      explanation: 'x',
    },
    { num_epochs: 10, baseline_text_prompt: 'Would you recommend it? Answer recommend or avoid.' },
    classes(labelled(OPINIONS), 11),
  ),
  sample(
    { name: 'spam', title: 'Spam or fine?', explanation: 'x' },
    { num_epochs: 10, baseline_text_prompt: 'Is the message spam or fine?' },
    classes(labelled(MESSAGES), 12),
  ),
  sample(
    { name: 'topics', title: 'Which room?', explanation: 'x' },
    { num_epochs: 10, few_shot_examples: 8, baseline_text_prompt: 'Topic: zoo, garden, kitchen, people, heart or clock?' },
    classes(labelled(DEFINITIONS), 13),
  ),
  sample(
    { name: 'ing-form', title: 'The -ing form', explanation: 'x' },
    { num_epochs: 20, baseline_text_prompt: 'Give the -ing form.' },
    texts(pairs(ING), 14),
  ),
  sample(
    { name: 'weather', title: 'Weather report', explanation: 'x' },
    { num_epochs: 10, baseline_text_prompt: 'Write a weather report.' },
    texts(weather(120), 15),
  ),
  sample(
    { name: 'numbers', title: 'Numbers to words', explanation: 'x' },
    { num_epochs: 10, baseline_text_prompt: 'Write the number in words.' },
    texts(
      Array.from({ length: 100 }, (_, n): [string, string] => [String(n), inWords(n)]),
      16,
    ),
  ),
]
