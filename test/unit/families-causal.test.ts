/** Causal families in every export style of test/fixtures/exports, and the older exports: see test/support/families/suite.ts. */
import { exportEntries, OLDER_ENTRIES, STORED_ENTRIES } from '../support/families/entries'
import { testEntries } from '../support/families/suite'

testEntries([...exportEntries(), ...OLDER_ENTRIES, ...STORED_ENTRIES].filter(({ files }) => files.length === 1))
