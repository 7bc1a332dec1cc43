/**
 * The Node half of the command line: builds and serves the app, opens it in a headless Chromium and passes requests to the
 * worker there (see page.ts). The commands (tune.ts, inspect.ts) are written on top of it.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type BrowserContext, type Page } from 'playwright-core'
import type { PromptSummary } from '../src/library/prompt-record'
import type { CommandName, Commands, Failure, Progress, Results } from '../src/protocol'
import { launchOptions } from './chromium'
import type { Outcome } from './page'
import { ensureBuilt, listFiles, serveApp, type AppServer } from './serve'

/** A fixed origin keeps the browser's IndexedDB, and so downloaded models, from run to run. */
const PORT = 41733

/** The worker refused a request; `failure` says what happened and what to do. */
export class CommandFailed extends Error {
  override readonly name = 'CommandFailed'
  constructor(readonly failure: Failure) {
    super(
      [failure.message, ...failure.problems.map((p) => `${p.field}: ${p.message}`), failure.hint]
        .filter((line) => line !== '')
        .join('\n'),
    )
  }
}

function unwrap<T>(outcome: Outcome<T>): T {
  if (outcome.ok) return outcome.result
  throw new CommandFailed(outcome.failure)
}

export class Headless {
  /** Called with every progress report of the request in flight. */
  onProgress: (progress: Progress) => void = () => undefined

  private constructor(
    private readonly server: AppServer,
    private readonly context: BrowserContext,
    private readonly page: Page,
    private readonly temporaryProfile: string | null,
  ) {}

  static async open(log: (line: string) => void): Promise<Headless> {
    await ensureBuilt(log)
    const server = await serveApp(PORT)
    const { context, temporaryProfile } = await openProfile(server.origin.endsWith(`:${PORT}`))
    const page = context.pages()[0] ?? (await context.newPage())
    const headless = new Headless(server, context, page, temporaryProfile)
    page.on('pageerror', (error) => log(`page: ${error.message}`))
    await page.exposeFunction('promptlatheProgress', (progress: Progress) => headless.onProgress(progress))
    await page.exposeFunction('promptlatheNotice', (text: string) => log(text))
    await page.goto(`${server.origin}/headless.html`)
    await page.waitForFunction(() => 'promptlathe' in window)
    return headless
  }

  async request<Name extends CommandName>(type: Name, payload: Commands[Name]): Promise<Results[Name]> {
    // evaluate's own types unwrap handles field by field and lose the generic; a call with one JSON argument needs none of that.
    const call = this.page.evaluate.bind(this.page) as (
      work: (argument: readonly [Name, Commands[Name]]) => Promise<Outcome<Results[Name]>>,
      argument: readonly [Name, Commands[Name]],
    ) => Promise<Outcome<Results[Name]>>
    return unwrap(await call(([name, data]) => window.promptlathe.request(name, data), [type, payload]))
  }

  /** Makes a folder of this machine the model `name`. */
  async addModel(name: string, directory: string, paths: readonly string[] = listFiles(directory)): Promise<void> {
    const mount = this.server.mounts.read(directory)
    unwrap(await this.page.evaluate(([n, m, p]) => window.promptlathe.addModel(n, m, p), [name, mount, paths] as const))
  }

  /** Puts the prompt in a folder of this machine (a PEFT adapter, or .pt files) in the library. */
  async importPrompt(name: string, base_model: string, directory: string): Promise<PromptSummary> {
    const mount = this.server.mounts.read(directory)
    const paths = listFiles(directory)
    return unwrap(
      await this.page.evaluate(([n, b, m, p]) => window.promptlathe.importPrompt(n, b, m, p), [
        name,
        base_model,
        mount,
        paths,
      ] as const),
    )
  }

  /** Writes an export below `directory`. Returns what has to be known of the files. */
  async exportTo(payload: Commands['export_prompt'], directory: string): Promise<readonly string[]> {
    mkdirSync(directory, { recursive: true })
    const mount = this.server.mounts.write(directory)
    return unwrap(await this.page.evaluate(([p, m]) => window.promptlathe.exportTo(p, m), [payload, mount] as const))
  }

  async close(): Promise<void> {
    await this.context.close()
    await this.server.close()
    if (this.temporaryProfile !== null) rmSync(this.temporaryProfile, { recursive: true, force: true })
  }
}

/** The kept profile, or a throw-away one when it is in use (another run) or its origin's port was taken. */
async function openProfile(keep: boolean): Promise<{ context: BrowserContext; temporaryProfile: string | null }> {
  if (keep) {
    const profile = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'promptlathe', 'chromium')
    mkdirSync(profile, { recursive: true })
    try {
      return { context: await chromium.launchPersistentContext(profile, launchOptions()), temporaryProfile: null }
    } catch (error) {
      if (!/ProcessSingleton|profile|user data dir/i.test(String(error))) throw error
    }
  }
  const profile = mkdtempSync(join(tmpdir(), 'promptlathe-'))
  return { context: await chromium.launchPersistentContext(profile, launchOptions()), temporaryProfile: profile }
}
