/**
 * The hub's public API, asked only when a person asked for it: a search for models that transformers.js can load, and one model's facts and
 * files. It downloads no model file and keeps nothing.
 */
import * as v from 'valibot'
import { isModelId } from './catalogue'
import type { ModelKind } from './config'
import { hubError, networkError } from './hub-errors'
import { ModelError } from './model-error'

/** The host the models come from too (transformers.js' env.remoteHost). */
export const HUB = 'https://huggingface.co/'

/** Most results of a search. */
export const SEARCH_LIMIT = 20
/** A search may be for everything, and part of that is no text model. */
const ASKED = 60
const LONGEST_QUERY = 200

export interface HubModel {
  readonly id: string
  readonly kind: ModelKind
  /** Of the last 30 days. */
  readonly downloads: number
  readonly likes: number
  /** As the model card says; null where it says none. */
  readonly licence: string | null
  /** Terms have to be accepted on the hub before the files can be had. */
  readonly gated: boolean
  /** ISO 8601. */
  readonly last_modified: string | null
}

export interface HubInfo {
  /** Another one than was asked for when it was renamed. */
  readonly id: string
  readonly gated: boolean
  readonly licence: string | null
  readonly last_modified: string | null
  /** Path -> bytes; null where the hub does not say. */
  readonly files: ReadonlyMap<string, number | null>
}

export interface HubAccess {
  readonly fetch: typeof fetch
  readonly signal?: AbortSignal | undefined
}

const count = v.fallback(v.pipe(v.number(), v.safeInteger(), v.minValue(0)), 0)
const optionalText = v.fallback(v.nullish(v.string()), null)
const FactsSchema = v.looseObject({
  id: v.pipe(v.string(), v.check(isModelId)),
  gated: v.fallback(v.optional(v.union([v.boolean(), v.string()]), false), false),
  downloads: v.optional(count, 0),
  likes: v.optional(count, 0),
  lastModified: optionalText,
  pipeline_tag: optionalText,
  tags: v.fallback(v.optional(v.array(v.string()), []), []),
  cardData: v.fallback(v.nullish(v.looseObject({ license: v.fallback(v.nullish(v.unknown()), null) })), null),
})
const FilesSchema = v.looseObject({
  siblings: v.array(v.looseObject({ rfilename: v.string(), size: v.fallback(v.nullish(count), null) })),
})
type Facts = v.InferOutput<typeof FactsSchema>

const SEQ2SEQ = ['text2text-generation', 'translation', 'summarization']

/** What the hub's tags say of a model's kind; null: it is no text model. */
function kindOf({ pipeline_tag, tags }: Facts): ModelKind | null {
  const said = [...(typeof pipeline_tag === 'string' ? [pipeline_tag] : []), ...tags]
  if (SEQ2SEQ.some((tag) => said.includes(tag))) return 'seq2seq'
  return said.includes('text-generation') ? 'causal-lm' : null
}

/** "license:apache-2.0" among the tags, or the model card's own field. */
function licenceOf({ tags, cardData }: Facts): string | null {
  const tag = tags.find((one) => one.startsWith('license:'))?.slice('license:'.length)
  const card = cardData?.license
  return (tag ?? (typeof card === 'string' ? card : null))?.slice(0, 60) ?? null
}

/** The address of a search. `kind` null: both kinds. */
export function searchAddress(query: string, kind: ModelKind | null): string {
  const parameters = new URLSearchParams({ search: query.trim().slice(0, LONGEST_QUERY), filter: 'transformers.js' })
  if (kind === 'causal-lm') parameters.append('pipeline_tag', 'text-generation')
  if (kind === 'seq2seq') parameters.append('filter', 'text2text-generation')
  parameters.append('sort', 'downloads')
  parameters.append('direction', '-1')
  parameters.append('limit', String(kind === null ? ASKED : SEARCH_LIMIT))
  for (const field of ['downloads', 'likes', 'gated', 'lastModified', 'pipeline_tag', 'tags'])
    parameters.append('expand[]', field)
  return `${HUB}api/models?${parameters.toString()}`
}

/** What a search answered; entries that are no text models, or make no sense, are left out. @throws ModelError when it is no list */
export function parseSearch(answer: unknown, kind: ModelKind | null): readonly HubModel[] {
  if (!Array.isArray(answer)) throw notUnderstood('search')
  const found = answer.flatMap((entry: unknown) => {
    const facts = v.safeParse(FactsSchema, entry)
    if (!facts.success) return []
    const { id, downloads, likes, gated, lastModified } = facts.output
    const its = kindOf(facts.output)
    if (its === null || (kind !== null && its !== kind)) return []
    const licence = licenceOf(facts.output)
    return [{ id, kind: its, downloads, likes, licence, gated: gated !== false, last_modified: lastModified ?? null }]
  })
  return found.slice(0, SEARCH_LIMIT)
}

/** What the hub says of one model. @throws ModelError when it makes no sense */
export function parseInfo(answer: unknown): HubInfo {
  const facts = v.safeParse(FactsSchema, answer)
  const files = v.safeParse(FilesSchema, answer)
  if (!facts.success || !files.success) throw notUnderstood('list of files')
  const { id, gated, lastModified } = facts.output
  return {
    id,
    gated: gated !== false,
    licence: licenceOf(facts.output),
    last_modified: lastModified ?? null,
    files: new Map(files.output.siblings.map(({ rfilename, size }) => [rfilename, size ?? null])),
  }
}

const notUnderstood = (what: string): ModelError =>
  new ModelError(
    'network',
    `The hub's answer to the ${what} could not be understood`,
    'A sign-in page or a proxy may stand before it. Try again later; a model can also be opened by its id.',
  )

/** Models of the hub that transformers.js can load, most downloaded first. @throws ModelError; the signal's reason */
export const searchHub = async (query: string, kind: ModelKind | null, access: HubAccess): Promise<readonly HubModel[]> =>
  parseSearch(await ask(searchAddress(query, kind), 'The search', access), kind)

/** Facts and files of one model, without downloading any. @throws ModelError naming it; the signal's reason */
export const hubInfo = async (id: string, access: HubAccess): Promise<HubInfo> =>
  parseInfo(await ask(`${HUB}api/models/${id}?blobs=true`, id, access))

async function ask(address: string, what: string, { fetch, signal }: HubAccess): Promise<unknown> {
  let response: Response
  try {
    // No cookie goes along: the hub answers the same to everybody.
    response = await fetch(address, { signal: signal ?? null, credentials: 'omit', headers: { accept: 'application/json' } })
  } catch (error) {
    signal?.throwIfAborted()
    throw networkError(what, error)
  }
  if (!response.ok) {
    await response.body?.cancel()
    throw hubError(what, null, response)
  }
  try {
    const answer: unknown = await response.json()
    return answer
  } catch (error) {
    signal?.throwIfAborted()
    throw error instanceof SyntaxError
      ? notUnderstood(what === 'The search' ? 'search' : 'list of files')
      : networkError(what, error)
  }
}
