/** The fuzzer for seconds (`npm run fuzz` for minutes): damaged exports end in a Program or a GraphError. The seed is in the failure's message. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { arbitraryDamage, fuzzFixtures } from '../support/fuzz/property'
import { survive, type Outcome } from '../support/fuzz/survive'

const EVERY_OUTCOME: readonly Outcome[] = ['refused by an op', 'refused by the cut', 'refused by the reader', 'runs']
/** Of 150 files each. The rarest outcome, an op that refuses, is one file in two hundred (7 of 1,500): all four are seen within a few batches. */
const MOST_BATCHES = 20

it('damaged exports end in a Program or in a GraphError, soon', { timeout: 120_000 }, () => {
  const seen = new Set<Outcome>()
  const property = fc.property(arbitraryDamage(fuzzFixtures()), ({ files }) => {
    seen.add(survive(files).outcome)
  })
  let batches = 0
  do fc.assert(property, { numRuns: 150 })
  while (seen.size < EVERY_OUTCOME.length && ++batches < MOST_BATCHES)
  // It would find nothing if all damage were refused at the door.
  expect([...seen].sort()).toEqual(EVERY_OUTCOME)
})
