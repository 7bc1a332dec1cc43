/** What is stored, how much room there is, and getting rid of it. */
import type { CachedModel } from '../../src/models/cache'
import { isModelId } from '../../src/models/catalogue'
import { arrange, checkPaths, splitName, whatIsMissing } from '../../src/models/layout'
import type { Commands, StorageReport, StoredModel } from '../../src/protocol'
import { CommandError } from './failures'
import type { Models } from './models'
import type { Services } from './services'
import type { Runs } from './tune'

export async function storageReport(services: Services): Promise<StorageReport> {
  const { cache, storage, library_memory_only } = services
  // Both are refused in some private windows; the report is worth having without them.
  const estimate: StorageEstimate = (await storage?.estimate().catch(() => null)) ?? {}
  const persisted = (await storage?.persisted().catch(() => false)) ?? false
  return {
    persisted,
    usage_bytes: estimate.usage ?? null,
    quota_bytes: estimate.quota ?? null,
    models: await Promise.all((await cache.models()).map((model) => storedModel(model, services))),
    memory_only: cache.files.memory_only ?? library_memory_only,
  }
}

/** Removes prompts, runs and models. @throws what the browser throws: then there is something left */
export async function resetStorage({ cache, promptStore, runStore, generator, usage }: Services): Promise<void> {
  await generator.dispose()
  await cache.files.clear()
  await promptStore.clear()
  await runStore.clear()
  await usage.clear()
}

/**
 * Makes files of this machine a model, as they are (nothing is read into memory). What lies around the model is taken off.
 * @throws CommandError; ModelError naming what is missing
 */
export async function addModelFiles(
  { name, files: entries, loose = false }: Commands['add_model_files'],
  { cache }: Services,
  models: Models,
): Promise<void> {
  if (!isModelId(name)) {
    throw new CommandError(
      'invalid',
      `"${name.slice(0, 100)}" can't be the name of a model`,
      'Use letters, digits, dots and dashes, with at most one slash.',
    )
  }
  if (entries.length === 0)
    throw new CommandError('invalid', 'There are no files to add.', "Choose the model's folder, with config.json in it.")
  checkPaths(
    name,
    entries.map(({ path }) => path),
  )
  const blobs = new Map(entries.map(({ path, blob }) => [path, blob]))
  const files = loose ? blobs : inLayout(name, blobs)
  await models.forget(name)
  cache.setVirtual(name, files)
}

/** @throws ModelError naming what is missing */
function inLayout(name: string, blobs: ReadonlyMap<string, Blob>): ReadonlyMap<string, Blob> {
  const files = new Map<string, Blob>()
  for (const [path, from] of arrange(name, [...blobs.keys()])) {
    const blob = blobs.get(from)
    if (blob) files.set(path, blob)
  }
  const missing = whatIsMissing(name, [...files.keys()], 'folder')
  if (missing) throw missing
  return files
}

/** Removes one model's files. @throws CommandError while a run uses it, or a download goes on */
export async function removeModel(id: string, { cache, generator, usage }: Services, models: Models, runs: Runs): Promise<void> {
  if (runs.uses(id)) {
    throw new CommandError(
      'busy',
      `${id} is in use: a run is tuning on it.`,
      'Wait until the run is done, or cancel it; then the model can be removed.',
    )
  }
  await generator.dispose()
  await models.forget(id)
  const left = await cache.removeModel(id)
  if (left.length > 0) {
    throw new CommandError(
      'busy',
      `${left.join(', ')} of ${id} is being downloaded, in another tab perhaps; its other files were removed.`,
      'Wait until the download is done, or cancel it there; then the rest can be removed.',
    )
  }
  await usage.forget(id)
}

/** One line of the storage view. */
async function storedModel({ id, dropped, parts, unfinished_bytes }: CachedModel, { usage }: Services): Promise<StoredModel> {
  const lacks = whatIsMissing(
    id,
    parts.map(({ path }) => path),
    'browser',
  )
  return {
    id,
    files: parts.length,
    bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0),
    unfinished_bytes,
    dropped,
    last_used: await usage.lastUsed(id),
    // The name stands beside it already.
    lacks: lacks === null ? null : lacks.message.slice(id.length + 1),
    parts: parts.map((part) => ({ ...part, model_dtype: part.path.endsWith('.onnx') ? splitName(part.path).model_dtype : null })),
  }
}
