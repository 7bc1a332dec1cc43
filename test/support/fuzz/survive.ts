/**
 * What a file from a stranger goes through before anything runs, and the promise that is fuzzed: it ends in a Program that is one, or in a
 * GraphError; soon, and without taking memory out of proportion.
 */
import { coverage } from '../../../src/graph/coverage'
import { cutGraphs, cutModel, cutSeq2Seq, type CutModel } from '../../../src/graph/cut'
import { readEmbeddingRows } from '../../../src/graph/embedding'
import { fuse } from '../../../src/graph/fuse'
import { GraphError } from '../../../src/graph/ir'
import { readModel } from '../../../src/graph/read'
import { specialize, specializeSeq2Seq } from '../../../src/graph/specialize'
import { validateProgram } from '../../../src/graph/validate'

/** An encoder before its decoder; one file of a causal model. */
export type Files = readonly Uint8Array[]

/** How far a file got: for the fuzzer to show that it reaches something. */
export type Outcome = 'refused by the reader' | 'refused by the cut' | 'refused by an op' | 'runs'

export const MOST_SECONDS = 5
/** Growth of the process beyond its highest mark so far, in one run. */
export const MOST_GROWTH = 1.5e9

const SHAPE = { batch_size: 1, sequence_length: 3, simulate_rounding: true } as const

export interface Survived {
  readonly outcome: Outcome
  /** The GraphError's words; '' where there is none. */
  readonly message: string
}

/** @throws any error that is no GraphError; Error for a run that takes too long or too much memory, or gives a broken Program */
export function survive(files: Files): Survived {
  const before = process.resourceUsage().maxRSS
  const start = performance.now()
  const survived = read(files)
  const seconds = (performance.now() - start) / 1000
  const growth = (process.resourceUsage().maxRSS - before) * 1024
  if (seconds > MOST_SECONDS) throw new Error(`took ${seconds.toFixed(1)} s`)
  if (growth > MOST_GROWTH) throw new Error(`took ${(growth / 1e9).toFixed(1)} GB`)
  if (survived.message.length > 1000 || /\p{Cc}/u.test(survived.message)) throw new Error('a message that cannot be shown')
  return survived
}

function read(files: Files): Survived {
  let outcome: Outcome = 'refused by the reader'
  try {
    const models = files.map((bytes) => readModel(bytes))
    outcome = 'refused by the cut'
    const [first, second] = models
    if (!first) throw new RangeError('no files')
    const cut: CutModel = second ? cutSeq2Seq(first, second) : cutModel(first)
    for (const { embedding } of cutGraphs(cut)) readEmbeddingRows(embedding, [0])
    outcome = 'refused by an op'
    coverage(...cutGraphs(cut))
    const { program } =
      cut.kind === 'seq2seq'
        ? specializeSeq2Seq(cut, { ...SHAPE, encoder_length: 3 })
        : specialize(cut, { ...SHAPE, mask: 'fed' })
    outcome = 'runs'
    mustBeValid(() => validateProgram(program))
    mustBeValid(() => validateProgram(fuse(program)))
    return { outcome, message: '' }
  } catch (error) {
    if (!(error instanceof GraphError)) throw error
    return { outcome, message: error.message }
  }
}

function mustBeValid(check: () => void): void {
  try {
    check()
  } catch (error) {
    throw new Error(`not a Program: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
}
