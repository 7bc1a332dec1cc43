/**
 * The library of tuned prompts in a key-value store. A record that can't be read is passed over with a notice, never thrown
 * away: a newer version of the page may understand it.
 */
import * as v from 'valibot'
import type { PromptRecord, PromptSummary } from './prompt-record'
import { PromptRecordSchema } from './record-schema'
import type { KeyValueStore } from './store'

/** There is no prompt with that id. */
export class PromptNotFound extends Error {
  override readonly name = 'PromptNotFound'
  constructor(readonly id: string) {
    super(`There is no prompt "${id.slice(0, 80)}" in the library.`)
  }
}

export class PromptLibrary {
  /** Records a notice was given for already. */
  private readonly noticed = new Set<string>()

  constructor(
    private readonly store: KeyValueStore,
    private readonly onNotice: (text: string) => void,
  ) {}

  /** All readable prompts, the newest first, without their rows. */
  async list(): Promise<readonly PromptSummary[]> {
    const found: PromptSummary[] = []
    for (const key of await this.store.keys()) {
      const record = this.read(key, await this.store.get(key))
      if (record) found.push(summaryOf(record))
    }
    return found.sort((a, b) => (a.created < b.created ? 1 : a.created > b.created ? -1 : a.name.localeCompare(b.name)))
  }

  /** @throws PromptNotFound, also for a record that can't be read */
  async get(id: string): Promise<PromptRecord> {
    const record = this.read(id, await this.store.get(id))
    if (!record) throw new PromptNotFound(id)
    return record
  }

  /** @throws TypeError when the record is not one, naming the field */
  async save(record: PromptRecord): Promise<PromptSummary> {
    const checked = v.safeParse(PromptRecordSchema, record)
    if (!checked.success) {
      const [issue] = checked.issues
      throw new TypeError(`The prompt can't be saved: ${v.getDotPath(issue) ?? 'record'}: ${issue.message}`)
    }
    await this.store.set(record.id, checked.output)
    return summaryOf(checked.output)
  }

  /** @throws PromptNotFound */
  async rename(id: string, name: string): Promise<void> {
    await this.store.set(id, { ...(await this.get(id)), name })
  }

  /** A prompt that isn't there is as good as deleted. */
  delete(id: string): Promise<void> {
    return this.store.delete(id)
  }

  private read(key: string, stored: unknown): PromptRecord | null {
    if (stored === undefined) return null
    const parsed = v.safeParse(PromptRecordSchema, stored)
    if (parsed.success && parsed.output.id === key) return parsed.output
    if (!this.noticed.has(key)) {
      this.noticed.add(key)
      const where = parsed.success ? 'id' : (v.getDotPath(parsed.issues[0]) ?? 'record')
      this.onNotice(`A prompt in the library can't be read and is left out (${key.slice(0, 40)}: ${where}). It stays stored.`)
    }
    return null
  }
}

function summaryOf(record: PromptRecord): PromptSummary {
  const { rows, prefix_task_cols, prefix_task_rows, ...summary } = record
  void [rows, prefix_task_cols, prefix_task_rows]
  return summary
}

/** A new id: time first, so that ids sort as prompts were made. */
export function newId(now: number = Date.now()): string {
  const random = crypto.getRandomValues(new Uint32Array(2))
  return `${now.toString(36)}-${[...random].map((word) => word.toString(36)).join('')}`
}
