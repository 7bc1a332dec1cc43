/** What the examples become under a job's settings, before anything is trained. Needs the tokenizer, not the model. */
import type { MemoryEstimate, StepShape } from '../engine/memory'
import type { Job } from '../job/parameters'
import type { Example } from '../job/records'
import { renderVerbalizer } from '../job/verbalizer'
import { largestStep, prepare } from './prepare'
import type { ModelShape } from './prepare'
import type { Tokenizer } from './tokenizer'

const ROWS_SHOWN = 20

/** What the examples become under these settings, shown before training. */
export interface Preview {
  readonly rows: readonly {
    readonly source: string
    readonly target: string
    readonly source_tokens: number
    readonly target_tokens: number
    readonly truncated: boolean
  }[]
  readonly truncated_sources: number
  readonly truncated_targets: number
  readonly longest: number
  /** Optimizer steps of the whole job. */
  readonly total_steps: number
  /** What the largest step needs of the open model's device; null while none is open. */
  readonly memory: MemoryEstimate | null
}

/**
 * The first training rows as the model will read them (cut where they will be cut), and counts over all rows.
 * @throws TuningError as the run itself would.
 */
export function previewTuning(
  job: Job,
  model: ModelShape,
  tokenizer: Tokenizer,
  examples: readonly Example[],
  validation: readonly Example[] | null,
  memoryOf: (shape: StepShape) => MemoryEstimate | null = () => null,
): Preview {
  const prepared = prepare(job, model, tokenizer, examples, validation)
  const { train, train_examples, truncated_sources, truncated_targets, longest, total_steps } = prepared
  const rows = train.slice(0, ROWS_SHOWN).map((sequence, index) => {
    const { input = '', output = '' } = train_examples[index] ?? {}
    const { truncated_source, truncated_target } = sequence
    const source = sequence.encoder ?? sequence.source
    return {
      source: truncated_source
        ? tokenizer.decode(source, { skip_special_tokens: true })
        : renderVerbalizer(job.verbalizer, input),
      target: truncated_target ? tokenizer.decode(sequence.target, { skip_special_tokens: true }) : output,
      source_tokens: source.length,
      target_tokens: sequence.target.length,
      truncated: truncated_source || truncated_target,
    }
  })
  return { rows, truncated_sources, truncated_targets, longest, total_steps, memory: memoryOf(largestStep(prepared)) }
}
