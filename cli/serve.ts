/**
 * Serves the built app to the headless browser, with two private mounts: folders of this machine to read models from, and
 * one to write results to. Bound to the loopback address; mount paths carry a random token, so nothing else on this machine can guess them.
 */
import { randomBytes } from 'node:crypto'
import { createReadStream, createWriteStream, existsSync, readdirSync, statSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { build, preview, type Plugin } from 'vite'

export const ROOT = resolve(import.meta.dirname, '..')

/** What the build is made of; it is remade when any of it is newer than the build. */
const SOURCES = [
  'src',
  'workers',
  'cli',
  'public',
  'index.html',
  'headless.html',
  'headers.ts',
  'vite.config.ts',
  'svelte.config.js',
  'package-lock.json',
]

function newestChange(path: string): number {
  const stat = statSync(path)
  if (!stat.isDirectory()) return stat.mtimeMs
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newestChange(join(path, name))))
}

/** Builds the app unless the last build is newer than every source. */
export async function ensureBuilt(log: (line: string) => void): Promise<void> {
  const built = join(ROOT, 'dist', 'headless.html')
  const sources = SOURCES.map((name) => join(ROOT, name)).filter((path) => existsSync(path))
  if (existsSync(built) && Math.max(...sources.map(newestChange)) < statSync(built).mtimeMs) return
  log('building the app')
  const before = process.env.NODE_ENV
  // A test runner says "test" here, and vite would build the development variant.
  process.env.NODE_ENV = 'production'
  try {
    await build({ root: ROOT, logLevel: 'warn' })
  } finally {
    if (before === undefined) delete process.env.NODE_ENV
    else process.env.NODE_ENV = before
  }
}

export interface Mounts {
  /** URL path under which `directory` can be read. */
  read(directory: string): string
  /** URL path under which files PUT land in `directory`. */
  write(directory: string): string
}

export interface AppServer {
  readonly origin: string
  readonly mounts: Mounts
  close(): Promise<void>
}

interface Mount {
  readonly directory: string
  readonly writable: boolean
}

/** The file a request path names below the mount's folder, or null when it tries to leave it. */
function inside(mount: Mount, path: string): string | null {
  const file = resolve(mount.directory, decodeURIComponent(path))
  return file.startsWith(mount.directory + sep) ? file : null
}

async function answer(mount: Mount, path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const file = inside(mount, path)
  const fail = (status: number, text: string) => response.writeHead(status, { 'Content-Type': 'text/plain' }).end(text)
  if (file === null) return void fail(400, 'outside the mount')
  if (request.method === 'GET') {
    if (!existsSync(file) || !statSync(file).isFile()) return void fail(404, 'no such file')
    response.writeHead(200, { 'Content-Length': statSync(file).size, 'Cross-Origin-Resource-Policy': 'same-origin' })
    return pipeline(createReadStream(file), response)
  }
  if (request.method !== 'PUT' || !mount.writable) return void fail(405, 'not allowed here')
  await mkdir(dirname(file), { recursive: true })
  await pipeline(request, createWriteStream(file))
  response.writeHead(204).end()
}

function mountsPlugin(mounts: ReadonlyMap<string, Mount>): Plugin {
  return {
    name: 'promptlathe-cli-mounts',
    configurePreviewServer(server) {
      server.middlewares.use((request, response, next) => {
        const [, token, path] = /^\/__mount\/([0-9a-f]+)\/([^?#]*)/.exec(request.url ?? '') ?? []
        const mount = token === undefined ? undefined : mounts.get(token)
        if (mount === undefined || path === undefined) return next()
        answer(mount, path, request, response).catch((error: unknown) => {
          if (!response.headersSent) response.writeHead(500)
          response.end(error instanceof Error ? error.message : String(error))
        })
      })
    },
  }
}

/** Starts the server. With `port` taken it moves to a free one. */
export async function serveApp(port: number): Promise<AppServer> {
  const table = new Map<string, Mount>()
  const mount = (directory: string, writable: boolean): string => {
    const token = randomBytes(16).toString('hex')
    table.set(token, { directory: resolve(directory), writable })
    return `/__mount/${token}`
  }
  const server = await preview({
    root: ROOT,
    logLevel: 'warn',
    preview: { host: '127.0.0.1', port, strictPort: false, open: false },
    plugins: [mountsPlugin(table)],
  })
  const address = server.httpServer.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return {
    origin: `http://127.0.0.1:${address.port}`,
    mounts: { read: (directory) => mount(directory, false), write: (directory) => mount(directory, true) },
    close: () => server.close(),
  }
}

/** Files below a folder, relative with forward slashes; hidden ones and anything but plain files left out. */
export function listFiles(directory: string): string[] {
  const files: string[] = []
  const walk = (folder: string) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (entry.name.startsWith('.')) continue
      const path = join(folder, entry.name)
      if (entry.isDirectory()) walk(path)
      else if (entry.isFile()) files.push(relative(directory, path).split(sep).join('/'))
    }
  }
  walk(directory)
  return files.sort()
}
