/** The fuzzer for seconds (`npm run fuzz` for minutes): damaged exports end in a Program or a GraphError. The seed is in the failure's message. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { arbitraryDamage, fuzzFixtures } from '../support/fuzz/property'
import { survive, type Outcome } from '../support/fuzz/survive'

it('damaged exports end in a Program or in a GraphError, soon', () => {
  const outcomes = new Map<Outcome, number>()
  fc.assert(
    fc.property(arbitraryDamage(fuzzFixtures()), ({ files }) => {
      const { outcome } = survive(files)
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    }),
    { numRuns: 150 },
  )
  // It would find nothing if all damage were refused at the door.
  expect([...outcomes.keys()].sort()).toEqual(['refused by an op', 'refused by the cut', 'refused by the reader', 'runs'])
})
