/** How far a download is, over all of its files, and what of it is kept when it ends early. Pure. */
import { bytes, plural } from './format'

export interface FileState {
  readonly file: string
  readonly loaded: number
  /** null: not said. */
  readonly total: number | null
  readonly stage: 'wait' | 'download' | 'read' | 'prepare'
  /** Bytes per second; null: not known. */
  readonly speed: number | null
}

export interface Overall {
  readonly loaded: number
  /** null while some file's size is not known. */
  readonly total: number | null
  /** Bytes per second. */
  readonly speed: number | null
  readonly seconds_left: number | null
}

/**
 * @param expected bytes by path of the files that are to come, where they are known beforehand; null: not known
 */
export function overall(files: readonly FileState[], expected: ReadonlyMap<string, number | null> | null): Overall {
  const downloads = files.filter(({ stage }) => stage !== 'prepare')
  const sizes = new Map<string, number | null>(expected ?? [])
  for (const { file, loaded, total } of downloads) {
    // Compressed in transit, less is announced than arrives.
    sizes.set(file, total === null ? (sizes.get(file) ?? null) : Math.max(total, loaded))
  }
  const loaded = downloads.reduce((sum, file) => sum + file.loaded, 0)
  const all = [...sizes.values()]
  const total = expected === null || all.includes(null) ? null : all.reduce<number>((sum, size) => sum + (size ?? 0), 0)
  const running = downloads.filter((file) => file.speed !== null && file.loaded !== file.total)
  const speed = running.length === 0 ? null : running.reduce((sum, file) => sum + (file.speed ?? 0), 0)
  return { loaded, total, speed, seconds_left: timeLeft(loaded, total, speed) }
}

/** Seconds; null while it can't be told. */
export const timeLeft = (loaded: number, total: number | null, speed: number | null): number | null =>
  total === null || speed === null || speed <= 0 || loaded > total ? null : (total - loaded) / speed

/**
 * What a download that ended early leaves, in a sentence; null when nothing had begun.
 * @param unfinished bytes kept of files that are not whole
 */
export function keptSentence(files: readonly FileState[], unfinished: number): string | null {
  const downloads = files.filter(({ stage }) => stage === 'download')
  const whole = downloads.filter(({ loaded, total }) => total !== null && loaded >= total)
  const broken = downloads.filter((file) => !whole.includes(file))
  if (downloads.length === 0) return null
  const kept =
    whole.length === 0
      ? 'No file had arrived whole yet'
      : `${plural(whole.length, 'file')} that had arrived whole (${bytes(whole.reduce((sum, { loaded }) => sum + loaded, 0))}) ${whole.length === 1 ? 'is' : 'are'} kept`
  const parts = unfinished > 0 ? `; of those that had not, ${bytes(unfinished)} are kept` : ''
  const next = broken[0] ? `; trying again goes on with ${broken[0].file}` : ''
  return `${kept}${parts}${next}.`
}
