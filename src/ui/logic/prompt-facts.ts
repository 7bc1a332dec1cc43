/** What a prompt of the library is, in words. Pure. */
import type { PromptSummary } from '../../library/prompt-record'
import { plural } from './format'

/** Kinds of models for people. */
export const KIND_NAMES = { 'causal-lm': 'causal', seq2seq: 'encoder-decoder' } as const

export const KIND_SENTENCES = {
  'causal-lm': 'Causal: it goes on with the text.',
  seq2seq: 'Encoder-decoder: it reads the whole text, then answers.',
} as const

/** Names listed one by one; a prompt of a hundred tasks is not read. */
const MOST_NAMES = 6

/** "plural, past tense and 3 more". */
export function nameList(names: readonly string[], most = MOST_NAMES): string {
  const more = names.length - most
  if (more > 0) return `${names.slice(0, most).join(', ')} and ${more} more`
  return names.length > 1 ? `${names.slice(0, -1).join(', ')} and ${names.at(-1) ?? ''}` : (names[0] ?? '')
}

type Shape = Pick<PromptSummary, 'num_virtual_tokens' | 'output_model_types' | 'multitask'>

/** "20 virtual tokens", and where each half of an encoder-decoder has its own: "20 virtual tokens each in encoder and decoder". */
export function placeOf(prompt: Shape & Pick<PromptSummary, 'base_model'>): string {
  const tokens = plural(prompt.num_virtual_tokens, 'virtual token')
  const halves = prompt.output_model_types.map((type) => type.toLowerCase())
  if (prompt.base_model.kind === 'causal-lm') return tokens
  return halves.length > 1 ? `${tokens} each in ${halves.join(' and ')}` : `${tokens} in the ${halves[0] ?? 'encoder'}`
}

/** "one task" or "3 tasks (a, b and c), rank 1"; null for a plain prompt. */
export function tasksOf({ multitask }: Pick<Shape, 'multitask'>): string | null {
  if (multitask === null) return null
  const { num_tasks, num_ranks, task_names } = multitask
  const tasks = num_tasks === 1 ? '1 task' : `${plural(num_tasks, 'task')} (${nameList(task_names)})`
  return `${tasks}, rank ${num_ranks}`
}

/** One line for a list to choose from. */
export const summaryLine = (prompt: Shape & Pick<PromptSummary, 'base_model'>): string =>
  [prompt.multitask === null ? 'one task, plain' : `multitask: ${tasksOf(prompt) ?? ''}`, placeOf(prompt)].join(' · ')
