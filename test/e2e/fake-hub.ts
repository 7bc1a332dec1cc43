/**
 * The model hub as a browser sees it, answered on the spot: repositories made of the embedded model's files, the API's list of a
 * repository's files, and its search. Every request is noted. Anything it does not know is refused as the hub refuses it.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { BrowserContext, Route } from 'playwright-core'
import { ROOT } from '../../cli/serve'

const HUB = 'https://huggingface.co'
/** What the hub lets pages of other origins read. */
const CORS = {
  'access-control-allow-origin': '*',
  'access-control-expose-headers': 'X-Repo-Commit,X-Error-Code,X-Error-Message,ETag,Content-Range,Content-Length',
}
const MODEL = join(ROOT, 'public', 'models', 'promptlathe', 'tiny-causal')

export interface Repository {
  /** Path -> file of the embedded model. */
  readonly files: Readonly<Record<string, string>>
  /** What the API says besides: tags, gated, downloads, likes. */
  readonly facts?: Readonly<Record<string, unknown>>
}

export interface FakeHub {
  /** Paths and queries asked for, in order. */
  readonly asked: string[]
  /** Paths that get no answer, as on a line that broke. */
  readonly hanging: Set<string>
  /** Paths that are answered only then. */
  readonly held: Map<string, Promise<void>>
  /** Status to answer searches with instead of results; null: results. */
  searchStatus: number | null
}

/** Answers everything the context asks of the hub. */
export async function serveHub(context: BrowserContext, repositories: Readonly<Record<string, Repository>>): Promise<FakeHub> {
  const hub: FakeHub = { asked: [], hanging: new Set(), held: new Map(), searchStatus: null }
  await context.route(`${HUB}/**`, async (route) => {
    const url = new URL(route.request().url())
    hub.asked.push(decodeURIComponent(url.pathname + url.search))
    await answer(route, url, hub, repositories)
  })
  return hub
}

const json = (route: Route, value: unknown, status = 200, headers: Record<string, string> = {}): Promise<void> =>
  route.fulfill({ status, json: value, headers: { ...CORS, ...headers } })

async function answer(route: Route, url: URL, hub: FakeHub, repositories: Readonly<Record<string, Repository>>): Promise<void> {
  const facts = ([id, { facts = {} }]: [string, Repository]) => ({ id, gated: false, downloads: 7, likes: 1, tags: [], ...facts })
  if (route.request().method() === 'OPTIONS') {
    return route.fulfill({
      status: 204,
      headers: { ...CORS, 'access-control-allow-headers': '*', 'access-control-allow-methods': '*' },
    })
  }
  if (url.pathname === '/api/models') {
    if (hub.searchStatus !== null) return json(route, { error: 'no' }, hub.searchStatus)
    const words = url.searchParams.get('search') ?? ''
    return json(
      route,
      Object.entries(repositories)
        .filter(([id]) => id.includes(words))
        .map(facts),
    )
  }
  const [, tree = '', folder = ''] = /^\/api\/models\/(.+)\/tree\/main\/?(.*)$/.exec(url.pathname) ?? []
  if (tree !== '') {
    const inside = Object.entries(repositories[tree]?.files ?? {}).filter(([path]) => path.startsWith(folder))
    return json(
      route,
      inside.map(([path, from]) => ({ path, size: contentOf(from).byteLength })),
    )
  }
  const [, listed] = /^\/api\/models\/(.+)$/.exec(url.pathname) ?? []
  const [, id = '', path = ''] = /^\/(.+?)\/resolve\/main\/(.+)$/.exec(url.pathname) ?? []
  const repository = repositories[listed ?? id]
  if (!repository) return json(route, { error: 'Repository not found' }, 401, { 'x-error-code': 'RepoNotFound' })
  if (listed !== undefined) {
    const siblings = Object.entries(repository.files).map(([rfilename, from]) => ({
      rfilename,
      size: contentOf(from).byteLength,
    }))
    return json(route, { ...facts([listed, repository]), siblings })
  }
  if (repository.facts?.['gated']) return json(route, { error: 'gated' }, 403, { 'x-error-code': 'GatedRepo' })
  // Left without an answer: the page gives up, or is told to.
  if (hub.hanging.has(path)) return
  const from = repository.files[path]
  if (from === undefined) return json(route, { error: 'Entry not found' }, 404, { 'x-error-code': 'EntryNotFound' })
  const body = contentOf(from)
  const headers = { ...CORS, 'x-repo-commit': 'c0ffee' }
  if (route.request().headers()['range'] !== undefined) {
    const one = { ...headers, 'content-range': `bytes 0-0/${body.byteLength}` }
    return route.fulfill({ status: 206, body: body.subarray(0, 1), headers: one })
  }
  await hub.held.get(path)
  return route.fulfill({ status: 200, body, headers, contentType: 'application/octet-stream' })
}

const contentOf = (from: string): Buffer => readFileSync(join(MODEL, from))
