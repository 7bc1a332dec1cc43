/** One writer per file: with Web Locks over several tabs, without them within one. */
import { describe, expect, test } from 'vitest'
import { LockManagers } from '../../test/support/lock-manager'
import { FileLocks } from './file-locks'

/** Some work that ends when it is told to. */
function work(log: string[], name: string): { run: () => Promise<string>; end: () => void; began: Promise<void> } {
  let end = (): void => undefined
  let start = (): void => undefined
  const ended = new Promise<void>((resolve) => (end = resolve))
  const began = new Promise<void>((resolve) => (start = resolve))
  const run = async (): Promise<string> => {
    log.push(`${name} begins`)
    start()
    await ended
    log.push(`${name} ends`)
    return name
  }
  return { run, end, began }
}

describe.each([
  ['Web Locks, a tab each', () => new LockManagers()],
  ['no Web Locks, one session', () => null],
])('%s', (_, make) => {
  function tabs(): readonly [FileLocks, FileLocks, FileLocks] {
    const managers = make()
    const one = new FileLocks(managers?.tab() ?? null)
    return managers ? [one, new FileLocks(managers.tab()), new FileLocks(managers.tab())] : [one, one, one]
  }

  test('writers of one file go one after the other, and are told that they wait; other files go on', async () => {
    const [a, b, c] = tabs()
    const log: string[] = []
    const [first, second, third] = [work(log, 'first'), work(log, 'second'), work(log, 'third')]
    const onWait = (): void => void log.push('waits')
    const one = a.exclusively('f', { onWait }, first.run)
    await first.began
    const two = b.exclusively('f', { onWait }, second.run)
    expect(await c.exclusively('g', { onWait }, () => Promise.resolve('other'))).toBe('other')
    const three = c.exclusively('f', { onWait }, third.run)
    await new Promise((resolve) => setTimeout(resolve, 0))
    second.end()
    third.end()
    expect(log).toEqual(['first begins', 'waits', 'waits'])
    first.end()
    expect(await Promise.all([one, two, three])).toEqual(['first', 'second', 'third'])
    expect(log.slice(3)).toEqual(['first ends', 'second begins', 'second ends', 'third begins', 'third ends'])
    expect(await b.ifFree('f', () => Promise.resolve(1))).toEqual({ result: 1 })
  })

  test('whoever gives up waiting is out at once, keeps nobody waiting, and jumps no line', async () => {
    const [a, b, c] = tabs()
    const log: string[] = []
    const [first, third] = [work(log, 'first'), work(log, 'third')]
    const one = a.exclusively('f', {}, first.run)
    await first.began
    const stop = new AbortController()
    const two = b.exclusively('f', { signal: stop.signal }, () => Promise.reject(new Error('never')))
    const three = c.exclusively('f', {}, third.run)
    const reason = new Error('enough')
    stop.abort(reason)
    await expect(two).rejects.toBe(reason)
    await expect(b.exclusively('f', { signal: stop.signal }, () => Promise.resolve())).rejects.toBe(reason)
    expect(log).toEqual(['first begins'])
    third.end()
    first.end()
    expect(await Promise.all([one, three])).toEqual(['first', 'third'])
  })

  test('work that fails lets the next one in, and its error out', async () => {
    const [a, b] = tabs()
    let waited = false
    const failing = a.exclusively('f', {}, () => Promise.reject(new Error('broken')))
    const next = b.exclusively('f', { onWait: () => (waited = true) }, () => Promise.resolve('done'))
    await expect(failing).rejects.toThrow('broken')
    expect(await next).toBe('done')
    expect(waited).toBe(true)
  })

  test('only if it is free: not while someone has it', async () => {
    const [a, b] = tabs()
    const log: string[] = []
    const first = work(log, 'first')
    const one = a.exclusively('f', {}, first.run)
    await first.began
    expect(await b.ifFree('f', () => Promise.resolve('mine'))).toBeNull()
    first.end()
    await one
    expect(await b.ifFree('f', () => Promise.resolve('mine'))).toEqual({ result: 'mine' })
  })
})

test('a browser that rejects with an error of its own: the reason is still what was said', async () => {
  const held = new FileLocks({
    request: ((_: string, options: { signal?: AbortSignal }, run: (lock: null) => unknown) =>
      options.signal
        ? new Promise((__, reject) =>
            options.signal?.addEventListener('abort', () => reject(new DOMException('The request was aborted.', 'AbortError'))),
          )
        : Promise.resolve(run(null))) as LockManager['request'],
  })
  const stop = new AbortController()
  const waiting = held.exclusively('f', { signal: stop.signal }, () => Promise.resolve())
  await new Promise((resolve) => setTimeout(resolve, 0))
  const reason = new Error('enough')
  stop.abort(reason)
  await expect(waiting).rejects.toBe(reason)
})
