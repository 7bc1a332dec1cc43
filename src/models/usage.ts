/** When each model was last opened, for the storage view. A note beside the files: losing it loses nothing. */
import type { KeyValueStore } from '../library/store'

export class ModelUsage {
  constructor(
    private readonly store: KeyValueStore,
    private readonly now: () => Date = () => new Date(),
  ) {}

  /** Notes that a model was opened just now. What can't be stored is not noted. */
  async note(id: string): Promise<void> {
    await this.store.set(id, this.now().toISOString()).catch(() => undefined)
  }

  async forget(id: string): Promise<void> {
    await this.store.delete(id).catch(() => undefined)
  }

  /** ISO 8601; null when it was never noted. */
  async lastUsed(id: string): Promise<string | null> {
    const noted: unknown = await this.store.get(id).catch(() => undefined)
    return typeof noted === 'string' ? noted : null
  }

  async clear(): Promise<void> {
    await this.store.clear().catch(() => undefined)
  }
}
