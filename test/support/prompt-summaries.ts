/** Prompts as the library lists them, for tests of the page's logic. */
import type { PromptSummary } from '../../src/library/prompt-record'

export const TINY = 'promptlathe/tiny-causal'

export function promptNamed(name: string, differing: Partial<PromptSummary> = {}): PromptSummary {
  return {
    id: `id-${name}`,
    name,
    created: '2026-11-24T12:00:00Z',
    origin: 'tuned',
    base_model: {
      id: TINY,
      revision: 'embedded',
      model_dtype: 'fp32',
      file_sha256: '00',
      kind: 'causal-lm',
      hidden_size: 192,
      vocab_size: 4096,
    },
    job: null,
    num_virtual_tokens: 20,
    output_model_types: ['DECODER'],
    multitask: null,
    report: null,
    ...differing,
  }
}

export const multitaskOf = (task_names: readonly string[], num_ranks = 1): PromptSummary['multitask'] => ({
  num_tasks: task_names.length,
  num_ranks,
  task_names,
})
