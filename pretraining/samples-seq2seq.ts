/**
 * The sample tasks for the embedded encoder-decoder: the prompt goes into the encoder, in front of an input that needs no template, and the
 * answer is the decoder's own text. Their rows are also samples of the causal model, so the two can be compared. Written by samples.ts.
 */
import { after, pairs, randomFrom, shuffled, type Pairs, type Sample } from './sample-tools'
import { sentiment } from './samples-causal'
import { VERBS } from './sample-words'

const base_model = 'promptlathe/tiny-seq2seq'

/** The same opinions under labels that the model was never trained to give. */
const opinions: Pairs = sentiment(160).map(([text, label]) => [text, label === 'positive' ? 'good' : 'bad'])

export const SEQ2SEQ: readonly Sample[] = [
  {
    name: 'good-or-bad',
    group: 'seq2seq',
    title: 'Good or bad?',
    explanation:
      'Opinions on films, meals and hotels, with labels of your own choice: "good" and "bad". The model knows such sentences under other labels, and neither an instruction nor solved examples in front get it to change them. The prompt does.',
    job: { base_model, num_epochs: 8, baseline_text_prompt: 'Is it good or bad?' },
    examples: after('', opinions),
  },
  {
    name: 'past-tense-seq2seq',
    group: 'seq2seq',
    title: 'Past tense, encoder-decoder',
    explanation:
      'The verbs of "Past tense", on the encoder-decoder: nothing but the verb goes in, and the prompt in the encoder says what to do with it. With solved examples in front it copies or guesses; the prompt gets about as far as the instruction it was trained with.',
    job: { base_model, num_epochs: 6, baseline_text_prompt: 'Give the past tense.' },
    examples: after('', shuffled(pairs(VERBS), randomFrom(12))),
  },
]
