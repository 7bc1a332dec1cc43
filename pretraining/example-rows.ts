/** The rows of the job files in examples/: tasks the embedded models know from their training, made of word lists and sentence patterns. Written by samples.ts. */
import { after, pairs, pick, randomFrom, shuffled, words, type Pairs, type SampleExample } from './sample-tools'
import { NAMES, NOUNS, SENTIMENT, VERBS, WORDS } from './sample-words'

const ROWS_PER_TASK = 70

/** As many positive as negative sentences, every sentence once. */
function sentiment(rows: number): Pairs {
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

const some = <Item>(items: readonly Item[], seed: number): Item[] => shuffled(items, randomFrom(seed)).slice(0, ROWS_PER_TASK)

const capital = (word: string): string => word.slice(0, 1).toUpperCase() + word.slice(1)

/** Three tasks. */
const wordForms = (): SampleExample[] =>
  shuffled(
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
  )

/** Two of them for the encoder-decoder, whose answers start without a space. */
function formsOfTwo(): SampleExample[] {
  const [nouns, verbs] = [shuffled(pairs(NOUNS), randomFrom(22)), shuffled(pairs(VERBS), randomFrom(21))]
  const rows = [...after('', nouns.slice(0, 50), 'plural'), ...after('', verbs.slice(0, 50), 'past tense')]
  return shuffled(rows, randomFrom(26))
}

const names = (): SampleExample[] =>
  after(
    ' ',
    shuffled(words(NAMES), randomFrom(25)).map((name) => [name, capital(name)]),
  )

/** Texts by file name: JSON lines. */
export function exampleFiles(): ReadonlyMap<string, string> {
  const opinions = sentiment(160)
  const good = opinions.map(([text, label]): [string, string] => [text, label === 'positive' ? 'good' : 'bad'])
  const rows: readonly [string, readonly SampleExample[]][] = [
    ['sentiment', after(' ', opinions)],
    ['word-forms', wordForms()],
    ['names', names()],
    ['good-or-bad', after('', good)],
    ['word-forms-seq2seq', formsOfTwo()],
  ]
  const text = (examples: readonly SampleExample[]): string => examples.map((row) => `${JSON.stringify(row)}\n`).join('')
  return new Map(rows.map(([name, examples]) => [`${name}.jsonl`, text(examples)]))
}
