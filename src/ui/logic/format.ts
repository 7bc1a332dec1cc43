/** Numbers, sizes, durations and dates as the page shows them. Pure; English with a decimal point, as in the job file. */

const WHOLE = new Intl.NumberFormat('en')
const DATE = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  year: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
  hour12: false,
})

/** 1234567 -> "1,234,567". */
export const count = (n: number): string => WHOLE.format(n)

/** "1 example", "2 examples". */
export const plural = (n: number, one: string, many = `${one}s`): string => `${count(n)} ${n === 1 ? one : many}`

/** Parameter counts: 3162048 -> "3.2 M". */
export function magnitude(n: number): string {
  if (n >= 1e9) return `${(n / 1e9).toFixed(1)} B`
  if (n >= 1e6) return `${(n / 1e6).toFixed(1)} M`
  if (n >= 1e4) return `${(n / 1e3).toFixed(0)} k`
  return count(n)
}

/** Binary sizes: 4718592 -> "4.5 MiB". */
export function bytes(n: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let size = n
  let unit = 0
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024
    unit++
  }
  return `${unit === 0 || size >= 100 ? size.toFixed(0) : size.toFixed(1)} ${units[unit] ?? 'B'}`
}

/** A rate 0..1 as "86 %"; null, where the measure does not apply, as a dash. */
export const percent = (rate: number | null | undefined): string =>
  rate === null || rate === undefined || !Number.isFinite(rate) ? '–' : `${(rate * 100).toFixed(0)} %`

/** Losses and the like: three significant digits, small and large ones in scientific notation. */
export function figure(x: number | null | undefined, digits = 3): string {
  if (x === null || x === undefined || Number.isNaN(x)) return '–'
  if (!Number.isFinite(x)) return x > 0 ? '∞' : '-∞'
  if (x === 0) return '0'
  const size = Math.abs(x)
  if (size >= 1e3 && size < 1e5) return count(Number(x.toPrecision(digits)))
  return size < 1e-3 || size >= 1e5 ? x.toExponential(Math.max(0, digits - 2)).replace('e+', 'e') : x.toPrecision(digits)
}

/** Learning rates without padding zeros: 0.01, 0.00255, 3e-5. */
export const rate = (x: number): string =>
  x > 0 && x < 1e-3 ? x.toExponential(2).replace(/\.?0+e/, 'e') : String(Number(x.toPrecision(3)))

/** Seconds as "34 ms", "8 s", "3 min 20 s", "2 h 5 min". */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return '–'
  if (seconds < 0.1) return `${Math.round(seconds * 1000)} ms`
  if (seconds < 9.95) return `${seconds < 1 ? seconds.toFixed(1) : seconds.toFixed(0)} s`
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  const minutes = Math.floor(whole / 60)
  if (minutes < 60) return whole % 60 === 0 || minutes >= 10 ? `${minutes} min` : `${minutes} min ${whole % 60} s`
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/** ISO 8601 as "24 Nov 2026, 14:05" in the visitor's time zone; what is no date is shown as it is. */
export function date(iso: string): string {
  const time = Date.parse(iso)
  return Number.isNaN(time) ? iso : DATE.format(time)
}

/** White space at the ends matters to a model, so it is made visible: " babies" -> "␣babies", line ends as "⏎". */
export const visible = (text: string): string =>
  text
    .replace(/^ +| +$/g, (spaces) => '␣'.repeat(spaces.length))
    .replaceAll('\n', '⏎')
    .replaceAll('\t', '⇥')

/** The beginning of a long text: a table cell is no place for a book. */
export const clipped = (text: string, most = 400): string =>
  text.length <= most ? text : `${text.slice(0, most).replace(/[\uD800-\uDBFF]$/, '')}…`

/** A name fit for a file: letters, digits, dot, dash. */
export function fileName(name: string, extension: string): string {
  const safe = name
    .normalize('NFKD')
    .replace(/[^\w.-]+/g, '-')
    .replace(/^[-.]+|[-.]+$/g, '')
    .slice(0, 60)
  return `${safe === '' ? 'prompt' : safe}.${extension}`
}

/** A name not taken yet: "Plural", then "Plural 2", "Plural 3". */
export function freshName(wanted: string, taken: readonly string[]): string {
  const base = wanted.trim() === '' ? 'Prompt' : wanted.trim()
  if (!taken.includes(base)) return base
  let n = 2
  while (taken.includes(`${base} ${n}`)) n++
  return `${base} ${n}`
}
