/** Reading one file of examples at a time, in a worker of its own, with progress and a way out. It knows nothing of what the rows are for. */
import { readRecords } from '../../job/records-client'
import type { ColumnMapping, ParsedRecords } from '../../job/records'

/** What is read: a file, or pasted text. Kept, so that it can be read again with other columns. */
export interface Source {
  readonly title: string
  readonly data: Blob | string
}

/** The URL has to be written out like this: it is how the bundler finds the worker. */
const startReader = (): Worker => new Worker(new URL('../../../workers/records.ts', import.meta.url), { type: 'module' })

export class FileReading {
  /** What is being read, and how far it is, 0..1. */
  current = $state.raw<{ readonly title: string; readonly share: number } | null>(null)

  private controller: AbortController | null = null

  /**
   * Reads `source`, giving up whatever was being read.
   * @returns null when it was cancelled, or given up for another.
   * @throws RecordsError, or Error when the worker broke down
   */
  async read({ title, data }: Source, mapping: ColumnMapping | null): Promise<ParsedRecords | null> {
    this.cancel()
    const mine = new AbortController()
    this.controller = mine
    this.current = { title, share: 0 }
    const onProgress = (share: number): void => {
      if (this.controller === mine) this.current = { title, share }
    }
    try {
      return await readRecords(startReader(), { name: title, data, mapping }, { onProgress, signal: mine.signal })
    } catch (error) {
      if (mine.signal.aborted) return null
      throw error
    } finally {
      if (this.controller === mine) this.cancel()
    }
  }

  /** Ends the reading, if there is one. */
  cancel(): void {
    this.controller?.abort()
    this.controller = null
    this.current = null
  }
}
