/** The sample tasks as files: those of public/samples/ with their list. Pure; samples.ts writes them. */
import { checked, type Sample, type SampleExample, type SampleGroup } from './sample-tools'
import { CLASSES } from './samples-classes'
import { MULTITASK } from './samples-multitask'
import { TEXTS } from './samples-texts'

const SINGLE = [...CLASSES, ...TEXTS]
const of = (wanted: SampleGroup): readonly Sample[] => SINGLE.filter(({ group }) => group === wanted)
/** In the order of the page. */
const SAMPLES: readonly Sample[] = [...of('causal'), ...of('seq2seq'), ...MULTITASK].map(checked)

/** Texts by file name, in public/samples/. */
export function sampleFiles(): ReadonlyMap<string, string> {
  const files = new Map<string, string>()
  for (const sample of SAMPLES) {
    const { examples, validation, ...head } = sample
    const list = (name: string, rows: readonly SampleExample[]): string =>
      `  "${name}": [\n${rows.map((row) => `    ${JSON.stringify(row)}`).join(',\n')}\n  ]`
    const text = `${JSON.stringify(head, null, 2).slice(0, -2)},\n${list('examples', examples)},\n${list('validation', validation)}\n}\n`
    files.set(`${sample.name}.json`, text)
  }
  const index = SAMPLES.map(({ name, group, title, explanation, examples, validation }) => {
    return { name, group, title, explanation, examples: examples.length, validation: validation.length }
  })
  return files.set('index.json', `${JSON.stringify(index, null, 2)}\n`)
}
