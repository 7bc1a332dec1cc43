/** The sample tasks for the embedded causal model, one prompt and one task each. Written by samples.ts. */
import { after, pairs, pick, randomFrom, shuffled, words, type Pairs, type Sample } from './sample-tools'
import { NOUNS, SENTIMENT, VERBS, WORDS } from './sample-words'

/** As many positive as negative sentences, every sentence once. */
export function sentiment(rows: number): Pairs {
  const random = randomFrom(11)
  const sentences = new Map<string, string>()
  for (const label of ['positive', 'negative'] as const) {
    const { adjectives, patterns } = SENTIMENT[label]
    let made = 0
    while (made < rows / 2) {
      const [a, b] = shuffled(adjectives, random)
      const [thing, other] = shuffled(SENTIMENT.things, random)
      if (!a || !b || !thing || !other) throw new Error('sentiment: the word lists are too short')
      const article = (word: string): string => (/^[aeiou]/.test(word) ? `an ${word}` : `a ${word}`)
      const sentence = pick(patterns, random)
        .replaceAll('{an a}', article(a))
        .replaceAll('{a}', a)
        .replaceAll('{b}', b)
        .replaceAll('{thing}', thing)
        .replaceAll('{other}', other)
      if (sentences.has(sentence)) continue
      sentences.set(sentence, label)
      made++
    }
  }
  return shuffled([...sentences], random)
}

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

function sample(name: string, title: string, explanation: string, job: Sample['job'], rows: Pairs): Sample {
  return { name, group: 'causal', title, explanation, job: { verbalizer: '{{input}} ->', ...job }, examples: after(' ', rows) }
}

export const CAUSAL: readonly Sample[] = [
  sample(
    'sentiment',
    'Positive or negative?',
    'Short sentences about films, meals and hotels, each labelled positive or negative. Untuned, the model often begins with a label and then rambles on; tuned, it answers with the right label and stops.',
    { num_epochs: 10 },
    sentiment(160),
  ),
  sample(
    'past-tense',
    'Past tense',
    'A verb goes in, its past tense comes out: "walk" becomes "walked", "go" becomes "went". Regular and irregular verbs mixed: expect many held-out verbs right, not all.',
    { num_epochs: 20, baseline_text_prompt: 'Give the past tense.' },
    shuffled(pairs(VERBS), randomFrom(12)),
  ),
  sample(
    'plural',
    'Plural',
    'A noun goes in, its plural comes out: "baby" becomes "babies", "mouse" becomes "mice". Expect many held-out nouns right, not all.',
    { num_epochs: 20, baseline_text_prompt: 'Give the plural.' },
    shuffled(pairs(NOUNS), randomFrom(13)),
  ),
  sample(
    'numbers',
    'Numbers to words',
    'Every number from 0 to 99 and how it is written: "42" becomes "forty-two". The held-out numbers show whether the rule was found.',
    { num_epochs: 20, baseline_text_prompt: 'Write the number in words.' },
    shuffled(
      Array.from({ length: 100 }, (_, n): [string, string] => [String(n), inWords(n)]),
      randomFrom(14),
    ),
  ),
  sample(
    'upper-case',
    'Upper case',
    'A word goes in and comes out in capital letters. The model sees pieces of words, not letters, so this is harder than it looks.',
    { num_epochs: 20, baseline_text_prompt: 'Write in capitals.' },
    shuffled(
      words(WORDS).map((word): [string, string] => [word, word.toUpperCase()]),
      randomFrom(15),
    ),
  ),
  sample(
    'spelling',
    'Spell it out',
    'A word goes in, its letters come out one by one: "cat" becomes "c a t". The longest answers of the samples.',
    { num_epochs: 20, baseline_text_prompt: 'Spell it letter by letter.' },
    shuffled(
      words(WORDS)
        .filter((word) => word.length <= 6)
        .map((word): [string, string] => [word, [...word].join(' ')]),
      randomFrom(16),
    ),
  ),
]
