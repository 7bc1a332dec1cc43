/** The sample tasks as files: those of public/samples/ with their list, and the rows that the job files of examples/ train on. Pure; samples.ts writes them. */
import { after, checked, pairs, randomFrom, shuffled, type Sample, type SampleExample } from './sample-tools'
import { CAUSAL } from './samples-causal'
import { MULTITASK } from './samples-multitask'
import { SEQ2SEQ } from './samples-seq2seq'
import { NOUNS, VERBS } from './sample-words'

const SAMPLES: readonly Sample[] = [...CAUSAL, ...SEQ2SEQ, ...MULTITASK].map(checked)

/** Texts by file name, in public/samples/. */
export function sampleFiles(): ReadonlyMap<string, string> {
  const files = new Map<string, string>()
  for (const sample of SAMPLES) {
    const { examples, ...head } = sample
    const lines = examples.map((example) => `    ${JSON.stringify(example)}`).join(',\n')
    const text = `${JSON.stringify(head, null, 2).slice(0, -2)},\n  "examples": [\n${lines}\n  ]\n}\n`
    files.set(`${sample.name}.json`, text)
  }
  const index = SAMPLES.map(({ name, group, title, explanation, examples }) => {
    return { name, group, title, explanation, examples: examples.length }
  })
  return files.set('index.json', `${JSON.stringify(index, null, 2)}\n`)
}

/** Two of the tasks of "Word forms" for the encoder-decoder, whose answers start without a space. */
function forms(): SampleExample[] {
  const [nouns, verbs] = [shuffled(pairs(NOUNS), randomFrom(22)), shuffled(pairs(VERBS), randomFrom(21))]
  const rows = [...after('', nouns.slice(0, 50), 'plural'), ...after('', verbs.slice(0, 50), 'past tense')]
  return shuffled(rows, randomFrom(26))
}

const examplesOf = (name: string): readonly SampleExample[] => {
  const sample = SAMPLES.find((one) => one.name === name)
  if (!sample) throw new Error(`there is no sample ${name}`)
  return sample.examples
}

/** Texts by file name, in examples/: JSON lines. */
export function exampleFiles(): ReadonlyMap<string, string> {
  const rows: readonly [string, readonly SampleExample[]][] = [
    ['sentiment', examplesOf('sentiment')],
    ['word-forms', examplesOf('word-forms')],
    ['names', examplesOf('names')],
    ['good-or-bad', examplesOf('good-or-bad')],
    ['word-forms-seq2seq', forms()],
  ]
  const text = (examples: readonly SampleExample[]): string => examples.map((row) => `${JSON.stringify(row)}\n`).join('')
  return new Map(rows.map(([name, examples]) => [`${name}.jsonl`, text(examples)]))
}
