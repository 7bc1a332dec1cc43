/**
 * The browser half of the command line: owns the same tuning worker as the app and exposes it to Playwright as
 * `window.promptlathe`. Files cross by HTTP (the mounts of serve.ts), because they may be far larger than a message. It holds no logic of its own.
 */
import { RequestFailed, TunerClient } from '../src/client'
import type { PromptSummary } from '../src/library/prompt-record'
import type { CommandName, Commands, Failure, FileEntry, Progress, Results } from '../src/protocol'

/** A request's outcome as plain JSON: a rejected promise would lose the failure's fields on its way to Node. */
export type Outcome<T> = { readonly ok: true; readonly result: T } | { readonly ok: false; readonly failure: Failure }

export interface HeadlessPage {
  /** Any command whose payload and result are JSON. Progress goes to `window.promptlatheProgress`, which Node binds. */
  request<Name extends CommandName>(type: Name, payload: Commands[Name]): Promise<Outcome<Results[Name]>>
  /** Makes the files below `mount` (an URL prefix) the model `name`. */
  addModel(name: string, mount: string, paths: readonly string[]): Promise<Outcome<null>>
  /** Puts the prompt whose files lie below `mount` in the library. */
  importPrompt(name: string, base_model: string, mount: string, paths: readonly string[]): Promise<Outcome<PromptSummary>>
  /** Exports a prompt and PUTs each file below `mount`; what has to be known of them. */
  exportTo(payload: Commands['export_prompt'], mount: string): Promise<Outcome<readonly string[]>>
}

declare global {
  interface Window {
    promptlathe: HeadlessPage
    /** Bound by Node (page.exposeBinding). */
    promptlatheProgress?: (progress: Progress) => Promise<void>
    promptlatheNotice?: (text: string) => Promise<void>
  }
}

const client = new TunerClient(new Worker(new URL('../workers/tuner.ts', import.meta.url), { type: 'module' }))
client.onNotice((notice) => void window.promptlatheNotice?.(notice.text))

async function outcome<T>(work: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { ok: true, result: await work() }
  } catch (error) {
    if (error instanceof RequestFailed) return { ok: false, failure: error.failure }
    const message = error instanceof Error ? error.message : String(error)
    return { ok: false, failure: { code: 'internal', message, hint: '', problems: [] } }
  }
}

async function fetchFile(mount: string, path: string): Promise<FileEntry> {
  const response = await fetch(`${mount}/${path}`)
  if (!response.ok) throw new Error(`${path}: HTTP ${response.status}`)
  return { path, blob: await response.blob() }
}

async function putFile(mount: string, file: FileEntry): Promise<string> {
  const response = await fetch(`${mount}/${file.path}`, { method: 'PUT', body: file.blob })
  if (!response.ok) throw new Error(`could not write ${file.path}: ${await response.text()}`)
  return file.path
}

window.promptlathe = {
  request: (type, payload) =>
    outcome(() => client.request(type, payload, (progress) => void window.promptlatheProgress?.(progress))),
  addModel: (name, mount, paths) =>
    outcome(async () => {
      const files = await Promise.all(paths.map((path) => fetchFile(mount, path)))
      // Single ONNX files are inspected without the rest of their model.
      const loose = !paths.some((path) => /(^|\/)config\.json$/.test(path))
      return client.request('add_model_files', { name, files, loose })
    }),
  importPrompt: (name, base_model, mount, paths) =>
    outcome(async () => {
      const files = await Promise.all(paths.map((path) => fetchFile(mount, path)))
      return client.request('import_prompt', { name, base_model, files })
    }),
  exportTo: (payload, mount) =>
    outcome(async () => {
      const { files, notices } = await client.request('export_prompt', payload)
      for (const file of files) await putFile(mount, file)
      return notices
    }),
}
