/** Notices: things to say at any time that answer no request. Each stays until it is closed; the same text shows once. */
import type { TunerClient } from '../../client'

export interface ShownNotice {
  readonly id: number
  readonly level: 'info' | 'warning'
  readonly text: string
}

/** Older ones make room: a page full of notices is not read. */
const MOST = 5

export class Notices {
  list = $state.raw<readonly ShownNotice[]>([])
  private last = 0

  listen(client: TunerClient): void {
    client.onNotice((notice) => this.add(notice.text, notice.level))
  }

  add(text: string, level: 'info' | 'warning' = 'info'): void {
    if (this.list.some((notice) => notice.text === text)) return
    this.list = [...this.list, { id: ++this.last, level, text }].slice(-MOST)
  }

  close(id: number): void {
    this.list = this.list.filter((notice) => notice.id !== id)
  }
}
