/**
 * One writer per stored file at a time: in all tabs of this page where the browser has Web Locks, else in this session. It knows nothing of
 * what is written. A lock is gone with its tab, so a tab that is closed or crashes keeps nobody waiting.
 */

/** What this needs of a LockManager (https://w3c.github.io/web-locks/). */
export type Locks = Pick<LockManager, 'request'>

export interface LockOptions {
  /** Ends the waiting; what is done under the lock has to look at it itself. */
  readonly signal?: AbortSignal | undefined
  /** Told once, when someone else has the lock. */
  readonly onWait?: (() => void) | undefined
}

const lockName = (path: string): string => `promptlathe-file:${path}`

export class FileLocks {
  /** Where there are no Web Locks: what the last one in line for a path waits for. */
  private readonly tails = new Map<string, Promise<void>>()

  /** @param locks null: only this session's own writers know of each other */
  constructor(private readonly locks: Locks | null) {}

  /**
   * Does the work while no one else has the path's lock, after waiting for it. It must not ask for the same path again.
   * @throws the signal's reason while waiting; what the work throws
   */
  async exclusively<T>(path: string, { signal, onWait }: LockOptions, work: () => Promise<T>): Promise<T> {
    signal?.throwIfAborted()
    const free = await this.ifFree(path, work)
    if (free) return free.result
    onWait?.()
    const { locks } = this
    if (!locks) return this.afterOthers(path, signal, work)
    let began = false
    try {
      return await locks.request(lockName(path), signal ? { signal } : {}, () => {
        began = true
        return work()
      })
    } catch (error) {
      // Some browsers reject with an error of their own.
      if (!began) signal?.throwIfAborted()
      throw error
    }
  }

  /** Does the work if no one has the path's lock, under it. @returns null when someone has */
  async ifFree<T>(path: string, work: () => Promise<T>): Promise<{ readonly result: T } | null> {
    if (this.locks) {
      return this.locks.request(lockName(path), { ifAvailable: true }, async (lock) => lock && { result: await work() })
    }
    return this.tails.has(path) ? null : { result: await this.afterOthers(path, undefined, work) }
  }

  private async afterOthers<T>(path: string, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    const before = this.tails.get(path)
    let done = (): void => undefined
    const mine = new Promise<void>((resolve) => (done = resolve))
    // Whoever gives up waiting still stands in line until those before are done.
    const tail = before ? before.then(() => mine) : mine
    this.tails.set(path, tail)
    void tail.then(() => this.tails.get(path) === tail && this.tails.delete(path))
    try {
      if (before) await unless(signal, before)
      return await work()
    } finally {
      done()
    }
  }
}

/** @throws the signal's reason as soon as it has one */
async function unless(signal: AbortSignal | undefined, wait: Promise<void>): Promise<void> {
  if (!signal) return wait
  signal.throwIfAborted()
  let stop = (): void => undefined
  const stopped = new Promise<void>((resolve) => (stop = resolve))
  signal.addEventListener('abort', stop, { once: true })
  await Promise.race([wait, stopped])
  signal.removeEventListener('abort', stop)
  signal.throwIfAborted()
}
