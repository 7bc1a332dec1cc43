/**
 * `npm run fuzz -- [--minutes M] [--seed S]`
 *
 * Damages the exports of test/fixtures/onnx and looks whether they are refused as they should be (test/support/fuzz). Prints the seed of every
 * batch that fails and saves the smallest failing files it finds to test-results/fuzz. Exit 0 when nothing failed, 1 when something did, 2 for
 * wrong arguments. A file that hangs the reader shows in .current, which holds what is being read.
 */
import fc from 'fast-check'
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { arbitraryDamage, fuzzFixtures, type Damage } from '../test/support/fuzz/property'
import { survive, type Outcome } from '../test/support/fuzz/survive'

const FOLDER = 'test-results/fuzz'
const BATCH = 100

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '10' }, seed: { type: 'string' } } })
const minutes = Number(values.minutes)
const first = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed)
if (!(minutes > 0) || !Number.isSafeInteger(first)) {
  console.error('usage: npm run fuzz -- [--minutes M] [--seed S]')
  process.exit(2)
}
mkdirSync(FOLDER, { recursive: true })
console.log(`seeds from ${first}, ${BATCH} files each, for ${minutes} min`)

const save = (name: string, { files, description }: Damage): void => {
  files.forEach((bytes, i) => writeFileSync(`${FOLDER}/${name}-${i}.onnx`, bytes))
  writeFileSync(`${FOLDER}/${name}.txt`, description)
}

const damage = arbitraryDamage(fuzzFixtures())
const outcomes = new Map<Outcome, number>()
const end = Date.now() + minutes * 60_000
let [seed, runs, failures] = [first, 0, 0]
for (; Date.now() < end; seed++) {
  const property = fc.property(damage, (one) => {
    runs++
    save('.current', one)
    const { outcome } = survive(one.files)
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
  })
  const result = fc.check(property, { seed, numRuns: BATCH })
  if (!result.failed) continue
  failures++
  const [smallest] = result.counterexample ?? []
  if (smallest) save(`seed-${seed}`, smallest)
  const error = result.errorInstance
  console.log(`seed ${seed}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
  console.log(`  saved as ${FOLDER}/seed-${seed}: ${smallest?.description ?? ''}`)
}
for (const name of readdirSync(FOLDER)) if (name.startsWith('.current')) rmSync(`${FOLDER}/${name}`)
console.log(`seeds ${first} to ${seed - 1}: ${runs} files, ${failures} batches failed`)
for (const [outcome, count] of outcomes) console.log(`  ${count} ${outcome}`)
process.exit(failures === 0 ? 0 : 1)
