/**
 * Runs test code in a real Chromium with WebGPU: bundles an entry file, serves it with the app's own headers from the loopback
 * address, opens it, and hands over the page. The entry puts what the test calls on `window` (see ops-page.ts).
 *
 * Which flags give a WebGPU adapter is cli/chromium.ts' knowledge. Measured on Chromium 156 without a GPU: the full browser's
 * `--headless=new` with `--enable-unsafe-webgpu` offers SwiftShader (vendor google, architecture swiftshader, isFallbackAdapter true);
 * `--enable-features=Vulkan`, `--use-webgpu-adapter=swiftshader` and `--ignore-gpu-blocklist` change nothing there.
 * chromium-headless-shell has no WebGPU at all.
 */
import { createServer, type Server } from 'node:http'
import { chromium, type Browser, type Page } from 'playwright-core'
import { build } from 'vite'
import { launchOptions } from '../../cli/chromium'
import { HEADERS } from '../../headers'

/** A headless Chromium with WebGPU ($CHROMIUM, or the one cli/chromium.ts finds or installs). */
export function launchChromium(): Promise<Browser> {
  return chromium.launch(launchOptions())
}

export interface ServedPage {
  readonly url: string
  close(): Promise<void>
}

const HTML = '<!doctype html><meta charset="utf-8"><title>test page</title><script type="module" src="/page.js"></script>'

/**
 * Bundles `entry` (an absolute path of a .ts file) and serves a page that loads it.
 * @param more what else to serve: paths (from /) and their contents
 */
export async function servePage(entry: string, more: ReadonlyMap<string, Uint8Array> = new Map()): Promise<ServedPage> {
  const files = await bundle(entry)
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname
    const body = path === '/' ? HTML : (files.get(path) ?? more.get(path))
    for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value)
    if (body === undefined) return response.writeHead(404).end()
    const type =
      path === '/'
        ? 'text/html'
        : /\.m?js$/.test(path)
          ? 'text/javascript'
          : path.endsWith('.wasm')
            ? 'application/wasm'
            : 'application/octet-stream'
    response.writeHead(200, { 'Content-Type': type }).end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { url: `http://localhost:${portOf(server)}/`, close: () => closed(server) }
}

/** Served paths and their contents. */
async function bundle(entry: string): Promise<Map<string, string | Uint8Array>> {
  const result = await build({
    configFile: false,
    logLevel: 'warn',
    publicDir: false,
    worker: { format: 'es' },
    build: {
      write: false,
      target: 'es2023',
      minify: false,
      modulePreload: false,
      chunkSizeWarningLimit: 1e5,
      rollupOptions: { input: entry, output: { entryFileNames: 'page.js' } },
    },
  })
  const files = new Map<string, string | Uint8Array>()
  for (const output of Array.isArray(result) ? result : [result]) {
    if (!('output' in output)) throw new Error('vite watched instead of building')
    for (const file of output.output) files.set(`/${file.fileName}`, file.type === 'chunk' ? file.code : file.source)
  }
  return files
}

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the test server has no port')
  return address.port
}

function closed(server: Server): Promise<void> {
  server.closeAllConnections()
  return new Promise((resolve, reject) => server.close((error) => (error ? reject(error) : resolve())))
}

/**
 * Opens a served page in a fresh context and waits until the entry has run. An error the page does not catch makes this
 * (or, when it comes later, `body`'s result) reject with it.
 */
export async function withPage<T>(browser: Browser, served: ServedPage, body: (page: Page) => Promise<T>): Promise<T> {
  const context = await browser.newContext()
  try {
    const page = await context.newPage()
    const uncaught: Error[] = []
    page.on('pageerror', (error) => uncaught.push(error))
    await page.goto(served.url, { waitUntil: 'load' })
    throwFirst(uncaught)
    return await body(page).finally(() => throwFirst(uncaught))
  } finally {
    await context.close()
  }
}

function throwFirst(errors: readonly Error[]): void {
  const [first] = errors
  if (first !== undefined) throw first
}
