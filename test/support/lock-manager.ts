/**
 * Web Locks as https://w3c.github.io/web-locks/ has them, exclusive ones only, for several sessions in one process: Node 20 has none. One
 * tab is one `tab()`; what a closed tab holds or waits for is given up.
 */
import type { Locks } from '../../src/models/file-locks'

interface Request {
  readonly grant: () => void
}

export class LockManagers {
  /** By name: the one that holds it, and those in line. */
  private readonly lines = new Map<string, Request[]>()
  /** Requests that had to wait, by name, in order. */
  readonly waited: string[] = []

  tab(): Locks {
    const request = async (name: string, ...rest: unknown[]): Promise<unknown> => {
      const work = rest.at(-1) as (lock: { name: string; mode: 'exclusive' } | null) => unknown
      const options = (rest.length > 1 ? rest[0] : {}) as { ifAvailable?: boolean; signal?: AbortSignal }
      if (options.ifAvailable && options.signal) throw new DOMException('both', 'NotSupportedError')
      options.signal?.throwIfAborted()
      const line = this.lines.get(name) ?? []
      if (options.ifAvailable && line.length > 0) return await work(null)
      this.lines.set(name, line)
      if (line.length > 0) this.waited.push(name)
      await new Promise<void>((resolve, reject) => {
        const mine: Request = { grant: resolve }
        line.push(mine)
        if (line.length === 1) resolve()
        options.signal?.addEventListener('abort', () => {
          const at = line.indexOf(mine)
          // Granted already: the signal says nothing any more.
          if (at < 1) return
          line.splice(at, 1)
          reject(options.signal?.reason instanceof Error ? options.signal.reason : new Error('aborted'))
        })
      })
      try {
        return await work({ name, mode: 'exclusive' })
      } finally {
        line.shift()
        if (line.length === 0) this.lines.delete(name)
        line[0]?.grant()
      }
    }
    return { request }
  }
}
