/** What tests of the tuning loop say again and again: jobs from the fields that matter, layouts, scorers that never stop. */
import type { FrozenModel } from '../../src/engine/frozen-model'
import { checkJob } from '../../src/job/check-job'
import type { Job } from '../../src/job/parameters'
import { Assembler, needOf, type VirtualTokens } from '../../src/tuning/assemble'
import type { TuneResult } from '../../src/tuning/result'
import type { Scorer } from '../../src/tuning/score'
import type { TokenSequence } from '../../src/tuning/sequences'
import { Shapes } from '../../src/tuning/shapes'
import type { PromptLayout } from '../../src/tuning/soft-prompt'

/** A whole job from some of its fields; throws the problems of one that is not accepted. */
export function jobOf(more: object = {}, tuning_config: object = {}): Job {
  const checked = checkJob({ base_model: 'm', ...more, tuning_config })
  if (!checked.ok) throw new Error(JSON.stringify(checked.problems))
  return checked.job
}

/** A gate that is never closed. */
export const open = (): Promise<boolean> => Promise.resolve(true)

/** One prompt of n rows for the stack that makes the logits; `more` makes it another. */
export const layoutOf = (num_virtual_tokens: number, hidden_size: number, more: Partial<PromptLayout> = {}): PromptLayout => ({
  tuning_type: 'PROMPT_TUNING',
  stacks: ['decoder'],
  num_virtual_tokens,
  hidden_size,
  num_tasks: 1,
  num_ranks: 1,
  ...more,
})

/** A scorer with shapes for these rows behind so many virtual tokens. `extra`: label slots beyond their own. */
export function scorerOf(
  model: FrozenModel,
  batch_size: number,
  sequences: readonly TokenSequence[],
  tokens: VirtualTokens,
  extra = 8,
): Scorer {
  const needs = sequences.map((sequence) => needOf(sequence, tokens))
  return {
    model,
    assembler: new Assembler(model, batch_size),
    shapes: new Shapes(needs, model.max_positions, extra),
    batch_size,
    gate: open,
    onBatch: () => undefined,
  }
}

/** What two runs must have in common to the bit: everything but times and memory. */
export function essence({ parameters, report, ...rest }: TuneResult): object {
  return {
    ...rest,
    parameters: [...parameters],
    report: {
      ...report,
      steps: report.steps.map((step) => ({ ...step, ms: 0 })),
      seconds: 0,
      counters: null,
      peak_memory_bytes: 0,
    },
  }
}
