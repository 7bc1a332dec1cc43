/**
 * The page's side of the protocol: numbers the requests, checks every event the worker sends, and turns them into promises.
 * It knows messages only, nothing of models, prompts or of how the page looks.
 */
import { parseEvent, parseResult, ProtocolError } from './protocol'
import type { CommandName, Commands, Failure, Progress, ReceivedEvent, Results } from './protocol'

/** A request the worker could not fulfil; `failure` is made for showing. */
export class RequestFailed extends Error {
  override readonly name = 'RequestFailed'
  constructor(readonly failure: Failure) {
    super(failure.message)
  }
}

export type Notice = Extract<ReceivedEvent, { type: 'notice' }>

/** The promise of a result; `request` is its number, which `stop_generating` takes as `target`. */
export type PendingRequest<Result> = Promise<Result> & { readonly request: number }

/** The part of a Worker the client uses. */
export interface WorkerPort {
  postMessage(message: unknown): void
  addEventListener(type: 'message' | 'messageerror', listener: (event: MessageEvent<unknown>) => void): void
  addEventListener(type: 'error', listener: (event: ErrorEvent) => void): void
  terminate(): void
}

interface Waiting {
  readonly onProgress: ((progress: Progress) => void) | undefined
  readonly succeed: (result: unknown) => void
  readonly fail: (failure: Failure) => void
}

const KEPT =
  'Prompts in the library and the last checkpoint of a run are kept. Reload the page to start again; an interrupted run can then be resumed.'

export class TunerClient {
  private readonly waiting = new Map<number, Waiting>()
  private readonly noticeListeners = new Set<(notice: Notice) => void>()
  private last = 0
  /** Set once the worker can't answer any more: every later request fails with it. */
  private ended: Failure | null = null

  constructor(private readonly worker: WorkerPort) {
    worker.addEventListener('message', (event) => this.receive(event.data))
    worker.addEventListener('messageerror', () => this.crash('A message from the tuning worker could not be read.'))
    worker.addEventListener('error', (event) => {
      const what = typeof event.message === 'string' && event.message !== '' ? event.message : 'it could not be started'
      this.crash(`The tuning worker stopped: ${what}`)
    })
  }

  /**
   * Sends a command. Resolves with its result; rejects with RequestFailed. `onProgress` is called for each report on the way. The
   * payload must be plain data (for Svelte state: $state.snapshot).
   */
  request<Name extends CommandName>(
    type: Name,
    payload: Commands[Name],
    onProgress?: (progress: Progress) => void,
  ): PendingRequest<Results[Name]> {
    const request = ++this.last
    const promise = new Promise<Results[Name]>((resolve, reject) => {
      const fail = (failure: Failure): void => reject(new RequestFailed(failure))
      if (this.ended) return fail(this.ended)
      const succeed = (result: unknown): void => {
        try {
          resolve(parseResult(type, result))
        } catch (error) {
          fail(internal(`The worker's answer to ${type} could not be understood: ${messageOf(error)}`, KEPT))
        }
      }
      this.waiting.set(request, { onProgress, succeed, fail })
      try {
        this.worker.postMessage({ ...payload, type, request })
      } catch (error) {
        this.waiting.delete(request)
        fail(internal(`The command ${type} could not be sent: ${messageOf(error)}`, 'This is a fault of the page. Reload it.'))
      }
    })
    return Object.assign(promise, { request })
  }

  /** Calls `listener` with every notice (storage trouble and the like); returns a function that stops it. */
  onNotice(listener: (notice: Notice) => void): () => void {
    this.noticeListeners.add(listener)
    return () => this.noticeListeners.delete(listener)
  }

  /** Ends the worker at once. What waits is rejected as cancelled. */
  terminate(): void {
    this.worker.terminate()
    this.end({ code: 'cancelled', message: 'The tuning worker was ended.', hint: KEPT, problems: [] })
  }

  private receive(data: unknown): void {
    let event: ReceivedEvent
    try {
      event = parseEvent(data)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.notify({
        type: 'notice',
        request: null,
        level: 'warning',
        text: `The worker said something unknown (${error.message}).`,
      })
      const waiting = error.request === null ? undefined : this.take(error.request)
      waiting?.fail(internal(`The worker's message could not be understood: ${error.message}`, KEPT))
      return
    }
    if (event.type === 'notice') return this.notify(event)
    if (event.type === 'result') return this.take(event.request)?.succeed(event.result)
    if (event.type === 'failed') return this.take(event.request)?.fail(event.failure)
    this.waiting.get(event.request)?.onProgress?.(event)
  }

  private take(request: number): Waiting | undefined {
    const waiting = this.waiting.get(request)
    this.waiting.delete(request)
    return waiting
  }

  private notify(notice: Notice): void {
    for (const listener of this.noticeListeners) listener(notice)
  }

  /** Whatever is left of the worker is in an unknown state, and must not go on holding the device. */
  private crash(message: string): void {
    this.worker.terminate()
    this.end(internal(message, KEPT))
  }

  private end(failure: Failure): void {
    this.ended ??= failure
    const waiting = [...this.waiting.values()]
    this.waiting.clear()
    for (const one of waiting) one.fail(failure)
  }
}

const internal = (message: string, hint: string): Failure => ({ code: 'internal', message, hint, problems: [] })

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
