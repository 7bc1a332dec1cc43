/** Rows of the table of families: every entry in every precision, with what broke. */
import type { Engine } from '../../../src/engine/engine'
import { readModel } from '../../../src/graph/read'
import { PRECISIONS, type Precision } from '../quantize'
import { readFixture, type Entry } from './entries'
import { broken, cutFiles, EXACT, measure, measureFile, type Parity } from './parity'
import { checkTorch } from './torch'

/** One cell of the table. */
export interface Cell {
  readonly parity: Parity | null
  /** Of float32 files with a reference: max relative difference of logits and gradient to torch's. */
  readonly torch: { readonly logits: number; readonly gradient: number } | null
  /** What is wrong, in words. */
  readonly problems: readonly string[]
}

/** The largest of the differences between gradients that a cell knows of: torch's, or the twin's. */
export const gradientOf = ({ parity, torch }: Cell): number | null => torch?.gradient ?? parity?.gradient ?? null

/** @param precision fp32 files are converted to; others are measured as they are */
export async function cellOf(entry: Entry, precision: Precision, engine: Engine, differences = true): Promise<Cell> {
  try {
    const files = entry.files.map(readFixture)
    const parity =
      precision === entry.stored
        ? await measureFile(files, engine, differences)
        : await measure(
            files.map((bytes) => readModel(bytes)),
            precision,
            engine,
          )
    const problems = broken(parity, precision, entry.logits_tolerance)
    if (precision !== 'fp32' || entry.reference === null || problems.length > 0) return { parity, torch: null, problems }
    const torch = await torchOf(entry, engine)
    return { parity, torch, problems: torchProblems(torch) }
  } catch (error) {
    return { parity: null, torch: null, problems: [error instanceof Error ? error.message : String(error)] }
  }
}

/** A float32 entry against its reference file alone. */
export async function torchOf(entry: Entry, engine: Engine): Promise<{ logits: number; gradient: number }> {
  if (entry.reference === null) throw new Error(`${entry.family} ${entry.style} has no reference`)
  const cut = cutFiles(entry.files.map((path) => readModel(readFixture(path))))
  return checkTorch(cut, engine, new TextDecoder().decode(readFixture(entry.reference)))
}

export const torchProblems = (torch: { logits: number; gradient: number }): string[] =>
  (['logits', 'gradient'] as const).flatMap((what) =>
    torch[what] <= EXACT ? [] : [`${what} differ from torch's by ${torch[what].toExponential(1)}, ${EXACT} is allowed`],
  )

/** A precision for each number, so that a few numbers in a row meet all: what a quick test takes instead of the whole table. */
export function rotated(index: number): Precision {
  const others = PRECISIONS.slice(1)
  return others[index % others.length] ?? 'fp16'
}
