/** What is stored, how much room there is, and getting rid of it. */
import type { FileEntry, StorageReport } from '../../src/protocol'
import { isModelId } from '../../src/models/catalogue'
import { CommandError } from './failures'
import type { Models } from './models'
import type { Services } from './services'

export async function storageReport({ cache, storage, library_memory_only }: Services): Promise<StorageReport> {
  // Both are refused in some private windows; the report is worth having without them.
  const estimate: StorageEstimate = (await storage?.estimate().catch(() => null)) ?? {}
  const persisted = (await storage?.persisted().catch(() => false)) ?? false
  return {
    persisted,
    usage_bytes: estimate.usage ?? null,
    quota_bytes: estimate.quota ?? null,
    models: await cache.models(),
    memory_only: cache.files.memory_only ?? library_memory_only,
  }
}

/** Asks the browser not to clear what is stored when the disk is full. It may refuse. */
export async function persistStorage({ storage }: Services): Promise<boolean> {
  return (await storage?.persist().catch(() => false)) ?? false
}

/** Removes prompts, runs and models. @throws what the browser throws: then there is something left */
export async function resetStorage({ cache, promptStore, runStore, generator }: Services): Promise<void> {
  await generator.dispose()
  await cache.files.clear()
  await promptStore.clear()
  await runStore.clear()
}

/** Makes files of this machine a model. A folder in front of all of them (as dropping one gives) is taken off. */
export async function addModelFiles(
  name: string,
  entries: readonly FileEntry[],
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
  const config = entries.map(({ path }) => path).filter((path) => path === 'config.json' || path.endsWith('/config.json'))
  const shortest = config.sort((a, b) => a.length - b.length)[0]
  const prefix = shortest?.slice(0, -'config.json'.length) ?? ''
  const files = new Map<string, Blob>()
  for (const { path, blob } of entries) if (path.startsWith(prefix)) files.set(path.slice(prefix.length), blob)
  await models.forget(name)
  cache.setVirtual(name, inHubLayout(files))
}

/** Transformers.js looks for ONNX files in onnx/; files lying beside config.json are found there too. */
function inHubLayout(files: ReadonlyMap<string, Blob>): ReadonlyMap<string, Blob> {
  if (!files.has('config.json') || [...files.keys()].some((path) => path.startsWith('onnx/'))) return files
  const moved = new Map<string, Blob>()
  for (const [path, blob] of files) moved.set(/^[^/]+\.onnx([._]data.*)?$/.test(path) ? `onnx/${path}` : path, blob)
  return moved
}
