/** What would be fetched of a model, said before anything large is; and why a model can't be had, as far as its list of files tells. */
import { gatedError } from '../../src/models/hub-errors'
import { hubInfo, type HubInfo } from '../../src/models/hub'
import { isEmbedded, isModelId } from '../../src/models/catalogue'
import { whatIsMissing } from '../../src/models/layout'
import { SMALL_FILES } from '../../src/models/load'
import { ModelError } from '../../src/models/model-error'
import type { Commands, ModelFile, ModelFiles } from '../../src/protocol'
import type { Services } from './services'

/**
 * Kind, licence, and files by dtype. Of a hub model it asks the hub for its list of files, and fetches config.json.
 * @throws ModelError naming what is missing, and what to do; the signal's reason
 */
export async function modelFiles(command: Commands['model_files'], services: Services, signal: AbortSignal): Promise<ModelFiles> {
  const { base_model: id, model_file_name, allow_downloads } = command
  const options = { model_dtype: 'auto', model_file_name, allow_downloads, signal }
  const dropped = services.cache.virtualFiles(id)
  const info = isOfHub(id, services) && allow_downloads ? await inspectedInfo(id, services, signal) : null
  const here = new Map(
    (await services.cache.models()).find((model) => model.id === id)?.parts.map(({ path, bytes }) => [path, bytes]),
  )
  // What the hub answers for is taken from there; without it, what is here is all there is.
  const listed = info?.files ?? (isEmbedded(id) ? null : here)
  const missing = dropped ? whatIsMissing(id, [...dropped.keys()], 'folder') : null
  if (missing) throw missing
  const { kind, architecture, choices, auto } = await services.loader.offer(id, options, listed)
  signal.throwIfAborted()
  const file = (path: string, bytes: number | null): ModelFile => ({ path, bytes, stored: isEmbedded(id) || here.has(path) })
  return {
    id: info?.id ?? id,
    kind,
    architecture,
    licence: info?.licence ?? null,
    choices: choices.map(({ model_dtype, files }) => ({ model_dtype, files: files.map(({ path, bytes }) => file(path, bytes)) })),
    auto,
    small: SMALL_FILES.flatMap((path) => (listed?.has(path) ? [file(path, listed.get(path) ?? null)] : [])),
  }
}

const isOfHub = (id: string, { cache }: Services): boolean =>
  isModelId(id) && !isEmbedded(id) && cache.virtualFiles(id) === undefined

/** @throws ModelError when the hub does not show it, it is gated, or it has not what is needed */
async function inspectedInfo(id: string, services: Services, signal: AbortSignal | undefined): Promise<HubInfo> {
  const info = await hubInfo(id, { fetch: services.fetch, signal })
  if (info.gated) throw gatedError(id, null)
  const missing = whatIsMissing(id, [...info.files.keys()], 'hub')
  if (missing) throw missing
  return info
}

/**
 * A better reason than "not found" why a model could not be opened: the hub's list of its files tells what it lacks. Anything else, or a model
 * of which nothing may be asked, keeps its error.
 */
export async function explained(
  error: unknown,
  { base_model: id, allow_downloads }: { readonly base_model: string; readonly allow_downloads: boolean },
  services: Services,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  if (!(error instanceof ModelError) || error.code !== 'not_found' || signal?.aborted) return error
  const dropped = services.cache.virtualFiles(id)
  if (dropped) return whatIsMissing(id, [...dropped.keys()], 'folder') ?? error
  if (!allow_downloads || !isOfHub(id, services)) return error
  try {
    await inspectedInfo(id, services, signal)
    return error
  } catch (reason) {
    return reason instanceof ModelError && reason.code === 'not_found' ? reason : error
  }
}
