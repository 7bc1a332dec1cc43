/**
 * The models the form offers: the embedded ones, served from our own origin, and a few small ones of the hub. Any other hub id may be
 * typed as well. Sizes are those of the file that model_dtype "auto" takes.
 */

export interface CatalogueModel {
  readonly id: string
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
    embedded: true,
    label: 'Tiny causal model (embedded)',
    about: 'Comes with the page and works offline: small enough to tune in seconds, made for the sample tasks.',
    parameters_millions: 4,
    megabytes: 16,
    licence: 'Apache-2.0',
  },
  {
    id: 'Xenova/llama2.c-stories15M',
    embedded: false,
    label: 'TinyStories 15M (Llama)',
    about: 'Writes simple English stories; small and quick, knows little else.',
    parameters_millions: 15,
    megabytes: 61,
    licence: 'MIT',
  },
  {
    id: 'Xenova/distilgpt2',
    embedded: false,
    label: 'DistilGPT-2',
    about: 'A general English model, the smallest that does well on classification and rewriting.',
    parameters_millions: 82,
    megabytes: 85,
    licence: 'Apache-2.0',
  },
  {
    id: 'Xenova/gpt2',
    embedded: false,
    label: 'GPT-2 small',
    about: 'A general English model; better than DistilGPT-2 and about twice as slow.',
    parameters_millions: 124,
    megabytes: 127,
    licence: 'MIT',
  },
  {
    id: 'HuggingFaceTB/SmolLM2-135M-Instruct',
    embedded: false,
    label: 'SmolLM2 135M Instruct',
    about: 'A recent small model that follows instructions; wants a GPU, or patience.',
    parameters_millions: 135,
    megabytes: 137,
    licence: 'Apache-2.0',
  },
]

const EMBEDDED: ReadonlySet<string> = new Set(CATALOGUE.filter((model) => model.embedded).map((model) => model.id))

/** Whether the model is served from our own origin, below models/. */
export const isEmbedded = (id: string): boolean => EMBEDDED.has(id)

/** About how large an embedded model's file is. */
export const embeddedBytes = (id: string): number => 1e6 * (CATALOGUE.find((model) => model.id === id)?.megabytes ?? 0)

/** What transformers.js accepts as a model id: `name` or `owner/name`. */
export function isModelId(id: string): boolean {
  return /^(\b[\w\-.]+\b\/)?\b[\w\-.]{1,96}\b$/.test(id) && !/\.\.|--|\.git$|\.ipynb$/.test(id)
}
