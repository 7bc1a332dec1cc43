/**
 * Writes the sample tasks in public/samples/: `npx tsx pretraining/samples.ts`. Every example is made here, from word
 * lists and sentence patterns of our own, in an order fixed by a seed, so running it again writes the same bytes. The
 * outputs start with a space because that is how the embedded model writes a word after "->".
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { NOUNS, SENTIMENT, VERBS, WORDS } from './sample-words'

interface Sample {
  readonly name: string
  readonly title: string
  readonly explanation: string
  readonly job: Readonly<Record<string, unknown>>
  readonly examples: readonly { readonly input: string; readonly output: string }[]
}

/** mulberry32: a small seeded generator, uniform in [0, 1). */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

function shuffled<Item>(items: readonly Item[], random: () => number): Item[] {
  const result = [...items]
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    const [a, b] = [result[i], result[j]]
    if (a !== undefined && b !== undefined) [result[i], result[j]] = [b, a]
  }
  return result
}

const pick = <Item>(items: readonly Item[], random: () => number): Item => {
  const item = items[Math.floor(random() * items.length)]
  if (item === undefined) throw new Error('pick: an empty list')
  return item
}

type Pairs = [input: string, output: string][]

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

const pairs = (text: string): Pairs =>
  text
    .trim()
    .split(/\s*[\n,]\s*/)
    .map((line) => {
      const [input, output] = line.split('/')
      if (!input || !output) throw new Error(`"${line}" is not input/output`)
      return [input, output]
    })

function sample(name: string, title: string, explanation: string, job: Sample['job'], rows: Pairs): Sample {
  if (new Set(rows.map(([input]) => input)).size !== rows.length) throw new Error(`${name}: an input occurs twice`)
  if (rows.length < 80 || rows.length > 200) throw new Error(`${name}: ${rows.length} examples`)
  return {
    name,
    title,
    explanation,
    job: { verbalizer: '{{input}} ->', ...job },
    examples: rows.map(([input, output]) => ({ input, output: ` ${output}` })),
  }
}

const SAMPLES: readonly Sample[] = [
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
    { num_epochs: 20 },
    shuffled(pairs(VERBS), randomFrom(12)),
  ),
  sample(
    'plural',
    'Plural',
    'A noun goes in, its plural comes out: "baby" becomes "babies", "mouse" becomes "mice". Expect many held-out nouns right, not all.',
    { num_epochs: 20 },
    shuffled(pairs(NOUNS), randomFrom(13)),
  ),
  sample(
    'numbers',
    'Numbers to words',
    'Every number from 0 to 99 and how it is written: "42" becomes "forty-two". The held-out numbers show whether the rule was found.',
    { num_epochs: 20 },
    shuffled(
      Array.from({ length: 100 }, (_, n): [string, string] => [String(n), inWords(n)]),
      randomFrom(14),
    ),
  ),
  sample(
    'upper-case',
    'Upper case',
    'A word goes in and comes out in capital letters. The model sees pieces of words, not letters, so this is harder than it looks.',
    { num_epochs: 20 },
    shuffled(
      WORDS.trim()
        .split(/\s+/)
        .map((word): [string, string] => [word, word.toUpperCase()]),
      randomFrom(15),
    ),
  ),
  sample(
    'spelling',
    'Spell it out',
    'A word goes in, its letters come out one by one: "cat" becomes "c a t". The longest answers of the samples.',
    { num_epochs: 20 },
    shuffled(
      WORDS.trim()
        .split(/\s+/)
        .filter((word) => word.length <= 6)
        .map((word): [string, string] => [word, [...word].join(' ')]),
      randomFrom(16),
    ),
  ),
]

const folder = join(dirname(fileURLToPath(import.meta.url)), '..', 'public', 'samples')
mkdirSync(folder, { recursive: true })
for (const one of SAMPLES) {
  const { examples, ...head } = one
  const lines = examples.map((example) => `    ${JSON.stringify(example)}`).join(',\n')
  writeFileSync(
    join(folder, `${one.name}.json`),
    `${JSON.stringify(head, null, 2).slice(0, -2)},\n  "examples": [\n${lines}\n  ]\n}\n`,
  )
}
const index = SAMPLES.map(({ name, title, explanation, examples }) => ({ name, title, explanation, examples: examples.length }))
writeFileSync(join(folder, 'index.json'), `${JSON.stringify(index, null, 2)}\n`)
