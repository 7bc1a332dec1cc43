/** The sample tasks of rewriting, of finding something in a text, and of writing in a style. Written by samples.ts. */
import { FORMAL } from './sample-texts/formal'
import { DEGREES, ING } from './sample-texts/forms'
import { DAYS } from './sample-texts/notes'
import { weather } from './sample-texts/weather'
import { on } from './sample-task'
import { bracketed, pairs, rewritten, triples, type Pairs, type Sample } from './sample-tools'

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

/** Every number from 0 to 99. */
const numbers: Pairs = Array.from({ length: 100 }, (_, n) => [String(n), inWords(n)])
const comparatives: Pairs = triples(DEGREES).map(([word, comparative]) => [word, comparative])

export const TEXTS: readonly Sample[] = [
  on('causal', {
    name: 'ing-form',
    title: 'The -ing form',
    explanation:
      'A verb goes in, its -ing form comes out: "walk" becomes "walking", "bake" becomes "baking", "run" becomes "running". The model learned other verb forms, never this one. Expect a good third of the held-out verbs right, the plain ones first, where words get none.',
    num_epochs: 20,
    instruction: 'Give the -ing form.',
    rows: pairs(ING),
    seed: 14,
  }),
  on('causal', {
    name: 'numbers',
    title: 'Numbers to words',
    explanation:
      'Every number from 0 to 99 and how it is written: "42" becomes "forty-two". The one sample that the model was trained on under this very instruction: here words do as well as a tuned prompt, and they cost nothing. Where a model knows your task by name, just ask.',
    num_epochs: 10,
    instruction: 'Write the number in words.',
    rows: numbers,
    seed: 16,
  }),
  on('seq2seq', {
    name: 'weekday',
    title: 'Find the weekday',
    explanation:
      'A message goes in, the day of the week in it comes out. The model was trained to find other things in sentences, but never this. Expect the tuned prompt to find nearly all; an instruction or solved examples find hardly any.',
    num_epochs: 30,
    instruction: 'Which day of the week?',
    rows: bracketed(DAYS),
    seed: 32,
  }),
  on('seq2seq', {
    name: 'comparative',
    title: 'Comparative',
    explanation:
      'An adjective goes in, its comparative comes out: "cold" becomes "colder", "easy" becomes "easier", "big" becomes "bigger". A form the model never saw asked for. Expect about a third of the held-out adjectives right, the plain ones first, where words get none.',
    num_epochs: 12,
    instruction: 'Give the comparative.',
    rows: comparatives,
    seed: 34,
  }),
  on('seq2seq', {
    name: 'formal',
    title: 'Formal',
    explanation:
      'Short sentences as one says them become sentences as one writes them: "i\'m late" becomes "I am late." Every word counts here, so fewer answers are exactly right; ROUGE-L says how much of the sentence is.',
    num_epochs: 30,
    instruction: 'Write it formally.',
    rows: rewritten(FORMAL),
    seed: 35,
  }),
  on('seq2seq', {
    name: 'weather',
    title: 'Weather report',
    explanation:
      "Sky, degrees and wind go in, a forecaster's sentence comes out, always in the same style, with a word of its own for cold, mild and warm. Expect the style at once, and nearly every word of it right.",
    num_epochs: 40,
    instruction: 'Write a weather report.',
    rows: weather(120),
    seed: 15,
  }),
]
