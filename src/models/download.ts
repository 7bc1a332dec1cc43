/**
 * One download that outlasts broken connections: it goes on at the byte where it was cut, as long as the server still has the same content.
 * It fetches and checks what the server says of the content; storing it, and hashing it, is someone else's.
 *
 * "The same" is told by a validator: the content's hash where the hub's listing gives it, else a strong ETag. It is compared here and not
 * sent as If-Range: that header would make browsers ask first (a CORS preflight), which the hosts the hub redirects to need not answer.
 */
import { networkError } from './hub-errors'
import { ModelError } from './model-error'
import { TruncatedError } from './shards'

/** What is known of the content beforehand, from the hub. */
export interface Expected {
  readonly size: number
  /** null for files that are not in large file storage. */
  readonly sha256: string | null
}

export interface DownloadOptions {
  /** For messages. */
  readonly what: string
  /** Any status but success, 404 and 416 throws. */
  readonly fetch: (headers: Readonly<Record<string, string>>) => Promise<Response>
  readonly expected: Expected | null
  /** Waits before the connection is made anew; rejects when it is no longer wanted. */
  readonly pause: (ms: number) => Promise<void>
}

/** Where an earlier download stopped. */
export interface StartingPoint {
  readonly offset: number
  readonly validator: string
  readonly total: number | null
}

export interface Download {
  /** The content from `from` on. It errors with ModelError, ChangedError, or what `pause` or `fetch` throws. */
  readonly stream: ReadableStream<Uint8Array<ArrayBuffer>>
  /** The starting point's offset, or 0 where the content is another one by now. */
  readonly from: number
  /** null: there is none, and the download can't be gone on with later. */
  readonly validator: string | null
  /** Bytes of the whole content as it was announced; null where it wasn't. Of what is packed in transit it may be less than they are. */
  readonly total: number | null
  /** Whether `total` is certain, and not the length of what may be packed in transit. */
  readonly exact: boolean
  readonly sha256: string | null
  readonly revision: string | null
}

/** The server has other content than when the download began: it has to begin again. */
export class ChangedError extends Error {
  override readonly name = 'ChangedError'
}

/** Times the connection is made anew without a byte in between. */
const RECONNECTS = 4
const FIRST_PAUSE_MS = 500

interface Connection {
  readonly response: Response
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>>
  /** Bytes of the body in front of what was asked for: the server ignored the range. */
  readonly skip: number
  readonly validator: string | null
  readonly total: number | null
}

/**
 * Connects and begins, or goes on.
 * @returns null when there is no such file
 * @throws ModelError; what `fetch` throws
 */
export async function openDownload(options: DownloadOptions, start: StartingPoint | null): Promise<Download | null> {
  let from = start?.offset ?? 0
  let connection: Connection | null = null
  if (start) {
    connection = await connect(options, start).catch((error: unknown) => {
      if (error instanceof ChangedError) return null
      throw error
    })
    if (!connection) from = 0
  }
  connection ??= await connect(options, null)
  if (!connection) return null
  const { response, validator, total } = connection
  const exact = options.expected !== null || response.headers.has('x-linked-size')
  return {
    stream: resumingStream(options, connection, from, exact),
    from,
    validator,
    total,
    exact,
    sha256: hashOf(response.headers.get('x-linked-etag')) ?? options.expected?.sha256 ?? null,
    revision: response.headers.get('x-repo-commit'),
  }
}

/** @throws ChangedError when the content is not the starting point's */
async function connect(options: DownloadOptions, start: StartingPoint | null): Promise<Connection | null> {
  const response = await options.fetch(start ? { range: `bytes=${start.offset}-` } : {})
  const { body } = response
  if (response.status === 416 && start) throw await changed(response, 'it ends before where the download stopped')
  if (!response.ok || !body) {
    await body?.cancel()
    return null
  }
  const validator = validatorOf(response, options.expected)
  const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers.get('content-range') ?? '')
  if (response.status !== 206)
    return {
      response,
      body,
      skip: await toSkip(response, validator, start),
      validator,
      total: totalOf(response, options.expected),
    }
  const [, first, whole] = range ?? []
  const total = whole === undefined || whole === '*' ? (start?.total ?? null) : Number(whole)
  if (!start || Number(first) !== start.offset) throw await changed(response, 'the server sent another part than was asked for')
  if (start.total !== null && total !== start.total) throw await changed(response, `it has ${total ?? 'unknown'} bytes now`)
  if (validator !== start.validator) throw await changed(response, 'it was replaced')
  return { response, body, skip: 0, validator: start.validator, total }
}

/** The whole file came although a part was asked for: what is there already is passed over, if it is of this file. */
async function toSkip(response: Response, validator: string | null, start: StartingPoint | null): Promise<number> {
  if (!start) return 0
  if (validator !== start.validator) throw await changed(response, 'it was replaced')
  return start.offset
}

async function changed(response: Response, why: string): Promise<ChangedError> {
  await response.body?.cancel().catch(() => undefined)
  return new ChangedError(why)
}

/** The body, and when it breaks off, the bodies of new connections, as one stream. */
function resumingStream(
  options: DownloadOptions,
  first: Connection,
  from: number,
  exact: boolean,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  let at = from
  let { skip } = first
  let reader = first.body.getReader()
  let failures = 0
  const reconnect = async (broken: unknown): Promise<void> => {
    const { validator, total } = first
    for (let cause = broken; ;) {
      const error = cause instanceof ModelError || cause instanceof TruncatedError ? cause : networkError(options.what, cause)
      // Without a validator what comes might be of another file.
      const isFinal = error instanceof ModelError && error.code !== 'network'
      if (validator === null || failures >= RECONNECTS || isFinal) throw error
      await options.pause(FIRST_PAUSE_MS * 2 ** failures++)
      try {
        const connection = await connect(options, { offset: at, validator, total })
        if (!connection) throw error
        reader = connection.body.getReader()
        skip = connection.skip
        return
      } catch (next) {
        if (next instanceof ChangedError) throw next
        cause = next
      }
    }
  }
  const next = async (): Promise<Uint8Array<ArrayBuffer> | null> => {
    for (;;) {
      try {
        const { done, value } = await reader.read()
        if (done && (first.total === null || at >= first.total)) return null
        if (done) throw new TruncatedError(at, first.total ?? at)
        const passed = Math.min(skip, value.byteLength)
        skip -= passed
        if (passed < value.byteLength) return value.subarray(passed)
      } catch (cause) {
        // Broken off behind the last byte.
        if (exact && at === first.total) return null
        await reconnect(cause)
      }
    }
  }
  return new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      async pull(controller) {
        const bytes = await next()
        if (bytes === null) return controller.close()
        failures = 0
        at += bytes.byteLength
        controller.enqueue(bytes)
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}

/** What a later part must have in common with this one; null when the server gives nothing that can be trusted. */
function validatorOf({ headers }: Response, expected: Expected | null): string | null {
  const linked = headers.get('x-linked-etag')
  const etag = linked ?? headers.get('etag')
  if (expected?.sha256) {
    const said = hashOf(linked)
    return said !== null && said !== expected.sha256 ? `sha256:${said}` : `sha256:${expected.sha256}`
  }
  return etag === null || etag.startsWith('W/') ? null : etag
}

const hashOf = (etag: string | null): string | null => /^"?([0-9a-f]{64})"?$/.exec(etag ?? '')?.[1] ?? null

function totalOf(response: Response, expected: Expected | null): number | null {
  if (expected) return expected.size
  const length = response.headers.get('x-linked-size') ?? response.headers.get('content-length')
  return length !== null && /^\d+$/.test(length) ? Number(length) : null
}
