/**
 * The models the form offers: the embedded ones, served from our own origin, and small ones of the hub. Any other hub id may be
 * typed or searched as well. The list itself is in catalogue-models.ts; nothing here asks the network.
 */
import { EMBEDDED_MODELS, HUB_MODELS } from './catalogue-models'
import type { ModelKind } from './config'
import type { ModelDtype } from './locate'

/** What a model is good for, as far as its training and its vocabulary say. */
export type Suited = 'labels' | 'rewriting' | 'summaries' | 'translation' | 'languages' | 'code'

export interface CatalogueModel {
  readonly id: string
  /** A causal model goes on with the text; an encoder-decoder (seq2seq) reads it all, then answers. */
  readonly kind: ModelKind
  /** As their authors call the architecture. */
  readonly family: string
  readonly embedded: boolean
  readonly label: string
  /** What to expect of it, in a sentence. */
  readonly about: string
  readonly suits: readonly Suited[]
  /** Millions of weights. */
  readonly parameters_millions: number
  /** Size of the model files in MB by dtype, those known of; of an encoder-decoder, both files together. */
  readonly megabytes: Readonly<Partial<Record<ModelDtype, number>>>
  /** SPDX id, or the name its authors gave it. */
  readonly licence: string
  /** Whether layout and sizes were read from the hub's own file list; else they are worked out. */
  readonly checked: boolean
}

export const CATALOGUE: readonly CatalogueModel[] = [...EMBEDDED_MODELS, ...HUB_MODELS]

const EMBEDDED: ReadonlySet<string> = new Set(EMBEDDED_MODELS.map((model) => model.id))

/** Whether the model is served from our own origin, below models/. */
export const isEmbedded = (id: string): boolean => EMBEDDED.has(id)

/** fp32 is taken as long as it has at most this many bytes: it is the most exact, and not yet slow. */
export const FP32_LIMIT = 256 * 1000 * 1000

/** What model_dtype "auto" takes of these sizes (as locate.ts does), and how many MB that is; null where no size is known. */
export function autoDtype(
  megabytes: CatalogueModel['megabytes'],
): { readonly model_dtype: string; readonly megabytes: number } | null {
  const { fp32, fp16, q8, ...others } = megabytes
  const smallest = (sizes: CatalogueModel['megabytes']) =>
    Object.entries(sizes)
      .map(([model_dtype, size]) => ({ model_dtype, megabytes: size }))
      .sort((a, b) => a.megabytes - b.megabytes)[0]
  if (fp32 !== undefined && fp32 * 1e6 <= FP32_LIMIT) return { model_dtype: 'fp32', megabytes: fp32 }
  const usual = { ...(fp16 === undefined ? {} : { fp16 }), ...(q8 === undefined ? {} : { q8 }) }
  return smallest(usual) ?? (fp32 === undefined ? (smallest(others) ?? null) : { model_dtype: 'fp32', megabytes: fp32 })
}

/** About how large one file of an embedded model is. */
export function embeddedBytes(id: string): number {
  const model = EMBEDDED_MODELS.find((known) => known.id === id)
  return model === undefined ? 0 : (1e6 * (model.megabytes.fp32 ?? 0)) / (model.kind === 'seq2seq' ? 2 : 1)
}

/** What transformers.js accepts as a model id: `name` or `owner/name`. */
export function isModelId(id: string): boolean {
  return /^(\b[\w\-.]+\b\/)?\b[\w\-.]{1,96}\b$/.test(id) && !/\.\.|--|\.git$|\.ipynb$/.test(id)
}
