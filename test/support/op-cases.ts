/**
 * One table of cases for every op of the device dialect, which every engine's tests run: shapes of rank 0 to 5, size-1
 * dimensions, broadcasting, extreme numbers, constants beside fed values. Expected values come from evaluate-program.ts.
 */
import type { OpCase } from './op-case'
import { compositeCases } from './op-cases-composite'
import { standardCases } from './op-cases-standard'

export { errorOf, type OpCase } from './op-case'

let table: readonly OpCase[] | undefined

/** Every case, built once (so the seeded numbers are the same in every test of a run and in every run). */
export function opCases(): readonly OpCase[] {
  table ??= [...standardCases(), ...compositeCases()]
  return table
}
