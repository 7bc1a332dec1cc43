/**
 * `npm run cards [-- --seeds 3] [--device D] [NAME ...]`: tunes the sample tasks on the embedded model through the same worker as the
 * page, with the settings each sample suggests, and prints one table: held-out exact match untuned and tuned (mean and spread over the
 * seeds), steps and seconds. Saved to bench/results/samples.md with the machine named.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import * as v from 'valibot'
import { Headless } from '../cli/headless'
import { ROOT } from '../cli/serve'

const IndexSchema = v.array(v.object({ name: v.string() }))
const SampleSchema = v.object({
  title: v.string(),
  job: v.record(v.string(), v.unknown()),
  examples: v.array(v.object({ input: v.string(), output: v.string() })),
})
const FIRST_SEED = 73

const readJson = (path: string): unknown => JSON.parse(readFileSync(join(ROOT, path), 'utf8'))
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length
const percent = (value: number): string => `${(100 * value).toFixed(0)} %`

function spread(values: readonly number[]): string {
  return values.length < 2
    ? percent(mean(values))
    : `${percent(mean(values))} (${percent(Math.min(...values))} to ${percent(Math.max(...values))})`
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { seeds: { type: 'string', default: '3' }, device: { type: 'string', default: 'auto' } },
  })
  const names =
    positionals.length > 0 ? positionals : v.parse(IndexSchema, readJson('public/samples/index.json')).map(({ name }) => name)
  const lines = ['| sample | rows | untuned | tuned, seeds: mean (range) | steps | seconds |', '|---|---|---|---|---|---|']
  const headless = await Headless.open((line) => console.error(line))
  let device = ''
  try {
    for (const name of names) {
      const sample = v.parse(SampleSchema, readJson(`public/samples/${name}.json`))
      const reports = []
      for (let k = 0; k < Number(values.seeds); k += 1) {
        const job = { base_model: 'promptlathe/tiny-causal', ...sample.job, seed: FIRST_SEED + k, device: values.device }
        const { prompt, report } = await headless.request('tune', { job, name, train: sample.examples, validation: null })
        await headless.request('delete_prompt', { prompt: prompt.id })
        reports.push(report)
      }
      device = reports[0]?.device ?? ''
      const untuned = reports.map((report) => report.baseline?.metrics.exact_match ?? NaN)
      const tuned = reports.map((report) => report.tuned?.metrics.exact_match ?? NaN)
      lines.push(
        `| ${sample.title} | ${sample.examples.length} | ${spread([mean(untuned)])} | ${spread(tuned)} | ${reports[0]?.steps.length ?? 0} | ${mean(reports.map((report) => report.seconds)).toFixed(0)} |`,
      )
      console.log(lines.at(-1))
    }
  } finally {
    await headless.close()
  }
  const machine = `${cpus().length} cores, ${cpus()[0]?.model ?? 'unknown CPU'}; device ${device}; promptlathe/tiny-causal; exact match on the held-out fifth`
  const text = `${lines.join('\n')}\n\n${machine}; made by \`npm run cards -- --seeds ${values.seeds}\`.\n`
  mkdirSync(join(ROOT, 'bench', 'results'), { recursive: true })
  writeFileSync(join(ROOT, 'bench', 'results', 'samples.md'), text)
  console.log(`\n${text}`)
}

await main()
