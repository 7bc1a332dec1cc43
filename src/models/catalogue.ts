/**
 * The models the form offers: the embedded ones, served from our own origin, and a few small ones of the hub. Any other hub id may be
 * typed as well. Sizes are about those of the files that model_dtype "auto" takes (seq2seq: both files together).
 */

import type { ModelKind } from './config'

export interface CatalogueModel {
  readonly id: string
  /** A causal model goes on with the text; an encoder-decoder (seq2seq) reads it all, then answers. */
  readonly kind: ModelKind
  readonly embedded: boolean
  readonly label: string
  /** What it is good for, in a sentence. */
  readonly about: string
  /** Millions of weights. */
  readonly parameters_millions: number
  /** Size of the download in MB, approximately. */
  readonly megabytes: number
  /** SPDX id, or the name its authors gave it. */
  readonly licence: string
}

export const CATALOGUE: readonly CatalogueModel[] = [
  {
    id: 'promptlathe/tiny-causal',
    kind: 'causal-lm',
    embedded: true,
    label: 'Tiny causal model (embedded)',
    about: 'Comes with the page and works offline: small enough to tune in seconds, made for the sample tasks.',
    parameters_millions: 4,
    megabytes: 16,
    licence: 'Apache-2.0',
  },
  {
    id: 'promptlathe/tiny-seq2seq',
    kind: 'seq2seq',
    embedded: true,
    label: 'Tiny encoder-decoder (embedded)',
    about: 'Comes with the page and works offline: a small T5, for trying prompts in an encoder, a decoder or both.',
    parameters_millions: 5,
    megabytes: 23,
    licence: 'Apache-2.0',
  },
  {
    id: 'Xenova/llama2.c-stories15M',
    kind: 'causal-lm',
    embedded: false,
    label: 'TinyStories 15M (Llama)',
    about: 'Writes simple English stories; small and quick, knows little else.',
    parameters_millions: 15,
    megabytes: 61,
    licence: 'MIT',
  },
  {
    id: 'Xenova/distilgpt2',
    kind: 'causal-lm',
    embedded: false,
    label: 'DistilGPT-2',
    about: 'A general English model, the smallest that does well on classification and rewriting.',
    parameters_millions: 82,
    megabytes: 85,
    licence: 'Apache-2.0',
  },
  {
    id: 'Xenova/gpt2',
    kind: 'causal-lm',
    embedded: false,
    label: 'GPT-2 small',
    about: 'A general English model; better than DistilGPT-2 and about twice as slow.',
    parameters_millions: 124,
    megabytes: 127,
    licence: 'MIT',
  },
  {
    id: 'HuggingFaceTB/SmolLM2-135M-Instruct',
    kind: 'causal-lm',
    embedded: false,
    label: 'SmolLM2 135M Instruct',
    about: 'A recent small model that follows instructions; wants a GPU, or patience.',
    parameters_millions: 135,
    megabytes: 137,
    licence: 'Apache-2.0',
  },
  {
    id: 'Xenova/t5-small',
    kind: 'seq2seq',
    embedded: false,
    label: 'T5 small',
    about: 'The smallest original T5: translation and summaries; with a prompt, short labels.',
    parameters_millions: 60,
    megabytes: 95,
    licence: 'Apache-2.0',
  },
  {
    id: 'Xenova/flan-t5-small',
    kind: 'seq2seq',
    embedded: false,
    label: 'FLAN-T5 small',
    about: 'T5 trained on instructions: the usual base for prompt tuning on short answers.',
    parameters_millions: 77,
    megabytes: 95,
    licence: 'Apache-2.0',
  },
  {
    id: 'Xenova/LaMini-Flan-T5-77M',
    kind: 'seq2seq',
    embedded: false,
    label: 'LaMini FLAN-T5 77M',
    about: 'FLAN-T5 small, trained further on instructions; not for commercial use.',
    parameters_millions: 77,
    megabytes: 95,
    licence: 'CC-BY-NC-4.0',
  },
]

const EMBEDDED: ReadonlySet<string> = new Set(CATALOGUE.filter((model) => model.embedded).map((model) => model.id))

/** Whether the model is served from our own origin, below models/. */
export const isEmbedded = (id: string): boolean => EMBEDDED.has(id)

/** About how large one file of an embedded model is. */
export function embeddedBytes(id: string): number {
  const model = CATALOGUE.find((known) => known.id === id)
  return model === undefined ? 0 : (1e6 * model.megabytes) / (model.kind === 'seq2seq' ? 2 : 1)
}

/** What transformers.js accepts as a model id: `name` or `owner/name`. */
export function isModelId(id: string): boolean {
  return /^(\b[\w\-.]+\b\/)?\b[\w\-.]{1,96}\b$/.test(id) && !/\.\.|--|\.git$|\.ipynb$/.test(id)
}
