/**
 * The sample tasks for the embedded encoder-decoder: the prompt goes into the encoder, in front of an input that needs no template, and the
 * answer is the decoder's own text. Written by samples.ts.
 */
import { FORMAL } from './sample-texts/formal'
import { DEGREES } from './sample-texts/forms'
import { INTENTS } from './sample-texts/intents'
import { DAYS, SUMS } from './sample-texts/notes'
import { after, bracketed, byLabel, labelled, rewritten, split, triples, type Pairs, type Sample } from './sample-tools'

const base_model = 'promptlathe/tiny-seq2seq'
const HELD_OUT = 0.25

type Head = Pick<Sample, 'name' | 'title' | 'explanation'>

const sample = (head: Head, job: Sample['job'], rows: ReturnType<typeof split>): Sample => ({
  ...head,
  group: 'seq2seq',
  job: { base_model, ...job },
  ...rows,
})
const texts = (rows: Pairs, seed: number) => split(after('', rows), HELD_OUT, seed)

export const SEQ2SEQ: readonly Sample[] = [
  sample(
    { name: 'intents', title: 'What should the assistant do?', explanation: 'x' },
    { num_epochs: 10, few_shot_examples: 8, baseline_text_prompt: 'Alarm, music, weather, light, phone, list or map?' },
    split(after('', labelled(INTENTS)), HELD_OUT, 31, byLabel),
  ),
  sample(
    { name: 'weekday', title: 'Find the weekday', explanation: 'x' },
    { num_epochs: 10, baseline_text_prompt: 'Which day of the week?' },
    texts(bracketed(DAYS), 32),
  ),
  sample(
    { name: 'amount', title: 'Find the sum of money', explanation: 'x' },
    { num_epochs: 10, baseline_text_prompt: 'How much money?' },
    texts(bracketed(SUMS), 33),
  ),
  sample(
    { name: 'comparative', title: 'Comparative', explanation: 'x' },
    { num_epochs: 10, baseline_text_prompt: 'Give the comparative.' },
    texts(
      triples(DEGREES).map(([word, comparative]) => [word, comparative]),
      34,
    ),
  ),
  sample(
    { name: 'formal', title: 'Formal', explanation: 'x' },
    { num_epochs: 10, baseline_text_prompt: 'Write it formally.' },
    texts(rewritten(FORMAL), 35),
  ),
]
