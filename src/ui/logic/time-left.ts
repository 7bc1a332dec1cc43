/** Step rate and time left, from the wall time of the latest steps. Pure. */

/** How many of the latest steps are looked at: enough to be calm, few enough to notice a slower device. */
const WINDOW = 40

/** Median of the latest step times in ms: one slow step (compiling, an evaluation beside it) must not move it. Null without steps. */
export function typicalStep(times: readonly number[]): number | null {
  const latest = times.slice(-WINDOW).filter((ms) => Number.isFinite(ms) && ms >= 0)
  if (latest.length === 0) return null
  latest.sort((a, b) => a - b)
  const middle = latest.length >> 1
  const upper = latest[middle] ?? 0
  return latest.length % 2 === 1 ? upper : ((latest[middle - 1] ?? upper) + upper) / 2
}

/** Seconds until `total` steps are done, null while it can't be told (fewer than three steps). */
export function secondsLeft(times: readonly number[], done: number, total: number): number | null {
  const typical = typicalStep(times)
  if (typical === null || times.length < 3) return null
  return (Math.max(0, total - done) * typical) / 1000
}

/** Download speed in bytes per second over the latest samples [{at: ms, loaded}], null while unknown. */
export function speed(samples: readonly { readonly at: number; readonly loaded: number }[]): number | null {
  const first = samples[0]
  const last = samples.at(-1)
  if (!first || !last || last.at - first.at < 200) return null
  return Math.max(0, ((last.loaded - first.loaded) * 1000) / (last.at - first.at))
}
