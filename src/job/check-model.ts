/**
 * What a job asks of its model, as far as the model's config.json (or the catalogue) tells: it runs before any weights are fetched. What
 * only the graph or the tokenizer can tell comes later, in src/models and src/tuning.
 */
import { show } from './json-value'
import type { Job } from './parameters'
import type { Problem } from './problem'

export type OutputModelType = 'ENCODER' | 'DECODER'

/** null: not known. */
export interface ModelFacts {
  readonly kind: 'causal-lm' | 'seq2seq' | null
  /** Positions for virtual tokens and text together, for each of encoder and decoder; null also where there is no limit. */
  readonly max_positions: number | null
}

export interface ModelCheck {
  readonly problems: readonly Problem[]
  /** Where the prompt goes: the job's own choice or the kind's usual one. null: not known, or not possible with this model. */
  readonly output_model_types: readonly OutputModelType[] | null
}

/** As in caikit-nlp; a causal model has nothing else. */
const USUAL: Readonly<Record<'causal-lm' | 'seq2seq', readonly OutputModelType[]>> = {
  'causal-lm': ['DECODER'],
  seq2seq: ['ENCODER'],
}

/** Where a job's virtual tokens go, on a model of this kind. */
export const outputModelTypes = (
  { tuning_config }: Pick<Job, 'tuning_config'>,
  kind: 'causal-lm' | 'seq2seq',
): readonly OutputModelType[] => tuning_config.output_model_types ?? USUAL[kind]

/** A token to read and one to predict must fit beside the virtual ones. */
const LEAST_TEXT = 2

function outputProblem(types: readonly OutputModelType[] | null, { kind }: ModelFacts): Problem | null {
  if (kind !== 'causal-lm' || !types?.includes('ENCODER')) return null
  const message = `${show(types)} is not accepted: the model is a causal language model, which has no encoder; give ["DECODER"] or null`
  return { field: 'tuning_config.output_model_types', message }
}

function positionsProblem(num_virtual_tokens: number, { max_positions }: ModelFacts): Problem | null {
  if (max_positions === null || num_virtual_tokens <= max_positions - LEAST_TEXT) return null
  const most = max_positions - LEAST_TEXT
  const give = most < 1 ? 'pick another base_model' : `give a whole number from 1 to ${most}`
  const message = `${num_virtual_tokens} is not accepted: the model has ${max_positions} positions for virtual tokens and text together; ${give}`
  return { field: 'tuning_config.num_virtual_tokens', message }
}

/** @param job as checkJob gave it */
export function checkAgainstModel(job: Job, model: ModelFacts): ModelCheck {
  const { num_virtual_tokens, output_model_types } = job.tuning_config
  const output = outputProblem(output_model_types, model)
  const types = model.kind === null ? output_model_types : outputModelTypes(job, model.kind)
  return {
    problems: [output, positionsProblem(num_virtual_tokens, model)].filter((problem) => problem !== null),
    output_model_types: output === null ? types : null,
  }
}
