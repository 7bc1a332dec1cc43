/**
 * A visit to the built app as a person makes it: the real build, served with its own headers, in a Chromium profile that keeps what it
 * stores. It also keeps a list of every request made during the visit. It knows nothing of what the page shows (steps.ts does).
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type BrowserContext, type Page } from 'playwright-core'
import { launchOptions } from '../../cli/chromium'
import { ensureBuilt, serveApp } from '../../cli/serve'

/** What Chromium itself asks its maker for, whatever page is open; none of it can carry anything of a page. */
const BROWSERS_OWN = /(^|\.)(google|googleapis|gvt1|gstatic)\.com:?\d*$/

export interface Visit {
  readonly origin: string
  readonly context: BrowserContext
  readonly page: Page
  /** URLs asked for by pages and workers, in order; blob: and data: are no requests. */
  readonly requests: readonly string[]
  /** Hosts of other machines that anything in this browser tried to reach, by whatever means. */
  readonly hosts: ReadonlySet<string>
  /** Errors no page caught. */
  readonly errors: readonly Error[]
  end(): Promise<void>
}

export async function startVisit(): Promise<Visit> {
  await ensureBuilt((line) => console.log(line))
  const server = await serveApp(0)
  const hosts = new Set<string>()
  const { proxy, port } = await refusingProxy(hosts)
  const profile = mkdtempSync(join(tmpdir(), 'promptlathe-e2e-'))
  const options = launchOptions()
  const context = await chromium.launchPersistentContext(profile, {
    ...options,
    // Loopback addresses go past it (Playwright's own proxy option would send them through); all else has no other way.
    args: [...(options.args ?? []), `--proxy-server=http://127.0.0.1:${port}`],
    viewport: { width: 1280, height: 900 },
    acceptDownloads: true,
  })
  const requests: string[] = []
  const errors: Error[] = []
  context.on('request', (request) => {
    if (!/^(blob|data):/.test(request.url())) requests.push(request.url())
  })
  context.on('weberror', (error) => errors.push(error.error()))
  return {
    origin: server.origin,
    context,
    page: context.pages()[0] ?? (await context.newPage()),
    requests,
    hosts,
    errors,
    async end() {
      await context.close()
      await server.close()
      proxy.closeAllConnections()
      proxy.close()
      rmSync(profile, { recursive: true, force: true })
    },
  }
}

/** A proxy that notes who is asked for and refuses. It sees what Playwright may not: workers of workers, beacons, sockets. */
async function refusingProxy(hosts: Set<string>): Promise<{ proxy: Server; port: number }> {
  const note = (host: string) => {
    if (!BROWSERS_OWN.test(host)) hosts.add(host)
  }
  const proxy = createServer((request, response) => {
    note(new URL(request.url ?? '/', 'http://unknown').host)
    response.writeHead(403).end()
  })
  proxy.on('connect', (request, socket) => {
    note(request.url ?? 'unknown')
    socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  const address = proxy.address()
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port')
  return { proxy, port: address.port }
}
