/** The page's side of reading a file: starts a worker for it, gathers the rows it sends, and ends it. */
import type { ParsedRecords, SkippedRow } from './records'
import { RecordsError } from './records-error'
import { parseReport, type RecordsReport, type RecordsRequest } from './records-messages'
import type { Example } from './records-row'

/** The part of a Worker this uses. */
export interface ReaderPort {
  postMessage(message: unknown): void
  addEventListener(type: 'message' | 'messageerror', listener: (event: MessageEvent<unknown>) => void): void
  addEventListener(type: 'error', listener: (event: ErrorEvent) => void): void
  terminate(): void
}

export interface ReadOptions {
  /** 0..1. */
  readonly onProgress?: (share: number) => void
  /** Ends the worker at once; the promise rejects with an AbortError. */
  readonly signal?: AbortSignal
}

/**
 * Reads one file in `worker`, which is ended afterwards, however it went.
 * @throws RecordsError as parseRecords does; Error when the worker breaks down (too little memory, above all).
 */
export function readRecords(worker: ReaderPort, request: RecordsRequest, options: ReadOptions = {}): Promise<ParsedRecords> {
  const { onProgress, signal } = options
  return new Promise<ParsedRecords>((resolve, reject) => {
    const examples: Example[] = []
    const skipped: SkippedRow[] = []
    const duplicates: { line: number; first_line: number }[] = []
    const take = (report: RecordsReport): void => {
      switch (report.type) {
        case 'progress':
          return onProgress?.(report.read / Math.max(1, report.total))
        case 'rows':
          for (const example of report.examples) examples.push(example)
          for (const row of report.skipped) skipped.push(row)
          for (const row of report.duplicates) duplicates.push(row)
          return
        case 'done':
          return resolve({ examples, skipped, duplicates, converted: report.converted, ...report.found })
        case 'failed':
          return reject(new RecordsError(report.message, report.line, report.found))
      }
    }
    const crash = (what: string): void => reject(new Error(`${request.name} could not be read: ${what}`))
    const cancelled = (): void => reject(new DOMException(`Reading ${request.name} was cancelled.`, 'AbortError'))
    signal?.addEventListener('abort', cancelled)
    if (signal?.aborted === true) return cancelled()
    worker.addEventListener('message', ({ data }) => {
      try {
        take(parseReport(data))
      } catch (error) {
        crash(error instanceof Error ? error.message : String(error))
      }
    })
    worker.addEventListener('messageerror', () => crash('a message of its reader arrived damaged'))
    worker.addEventListener('error', ({ message }) => crash(message || 'its reader could not be started'))
    worker.postMessage(request)
  }).finally(() => worker.terminate())
}
