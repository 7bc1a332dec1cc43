/** The catalogue as a person looks through it, and one model's files as a choice. Pure. */
import { autoDtype, type CatalogueModel, type Suited } from '../../models/catalogue'
import type { ModelFiles, StoredModel } from '../../protocol'
import { bytes } from './format'

export const SUITED_NAMES: Readonly<Record<Suited, string>> = {
  labels: 'labels',
  rewriting: 'rewriting',
  summaries: 'summaries',
  translation: 'translation',
  languages: 'other languages',
  code: 'code',
}

export interface Filter {
  readonly kind: 'any' | CatalogueModel['kind']
  readonly suits: 'any' | Suited
  /** Largest download in MB; null: any. */
  readonly megabytes: number | null
}

/** MB of what "auto" takes; Infinity where no size is known. */
const sizeOf = (model: CatalogueModel): number => autoDtype(model.megabytes)?.megabytes ?? Infinity

export const filterModels = (models: readonly CatalogueModel[], { kind, suits, megabytes }: Filter): readonly CatalogueModel[] =>
  models.filter(
    (model) =>
      (kind === 'any' || model.kind === kind) &&
      (suits === 'any' || model.suits.includes(suits)) &&
      (megabytes === null || sizeOf(model) <= megabytes),
  )

/** "251 MB (fp16; also fp32 501 MB, q4 500 MB)". A size that was worked out says "about". */
export function sizeLine({ megabytes, checked }: Pick<CatalogueModel, 'megabytes' | 'checked'>): string {
  const auto = autoDtype(megabytes)
  if (auto === null) return 'size not known'
  const others = Object.entries(megabytes).filter(([model_dtype]) => model_dtype !== auto.model_dtype)
  const also = others.length === 0 ? '' : `; also ${others.map(([model_dtype, size]) => `${model_dtype} ${size}`).join(', ')} MB`
  return `${checked ? '' : 'about '}${auto.megabytes} MB (${auto.model_dtype}${also})`
}

export interface DtypeRow {
  readonly model_dtype: string
  readonly files: ModelFiles['small']
  /** null where one's size is not known. */
  readonly bytes: number | null
  /** What is not here yet, with config and tokenizer. */
  readonly to_fetch: number | null
}

const sum = (files: ModelFiles['small']): number | null =>
  files.reduce<number | null>((all, file) => (all === null || file.bytes === null ? null : all + file.bytes), 0)

export const dtypeRows = ({ choices, small }: ModelFiles): readonly DtypeRow[] =>
  choices.map(({ model_dtype, files }) => ({
    model_dtype,
    files,
    bytes: sum(files),
    to_fetch: sum([...files, ...small].filter((file) => !file.stored)),
  }))

/** What the model_dtype of the settings takes of them. */
export const chosenDtype = ({ auto, choices }: ModelFiles, model_dtype: string): string | null =>
  choices.some((choice) => choice.model_dtype === model_dtype) ? model_dtype : model_dtype.startsWith('auto') ? auto : null

/** Bytes by path of what is still to come of the precision that the settings ask for; null where there is no such. */
export function filesToFetch(files: ModelFiles, model_dtype: string): ReadonlyMap<string, number | null> | null {
  const dtype = chosenDtype(files, model_dtype)
  const chosen = files.choices.find((choice) => choice.model_dtype === dtype)
  if (!chosen) return null
  return new Map([...files.small, ...chosen.files].filter(({ stored }) => !stored).map(({ path, bytes }) => [path, bytes]))
}

/** "95 MB to download", "nothing to download: it is in this browser". */
export function fetchLine(row: DtypeRow | undefined): string {
  if (!row) return ''
  if (row.to_fetch === null) return 'a download of unknown size'
  return row.to_fetch === 0 ? 'nothing to download: it is in this browser' : `${bytes(row.to_fetch)} to download`
}

/** Can it be opened with what is stored? */
export function isStored(models: readonly StoredModel[], id: string, model_dtype: string): boolean {
  const model = models.find((stored) => stored.id === id)
  if (!model || model.lacks !== null) return false
  return model_dtype.startsWith('auto') || model.parts.some((part) => part.model_dtype === model_dtype)
}
