/** Learning curves made small enough to draw: decimation that keeps the spikes, smoothing, and sparkline paths. Pure. */

export interface Curve {
  readonly x: readonly number[]
  readonly y: readonly number[]
}

/**
 * At most about `limit` points (at least 4), keeping the first and the last and, of each stretch between, the lowest and the
 * highest: a spike stays visible however long the run is. x must ascend.
 */
export function decimate(curve: Curve, limit: number): Curve {
  const { x, y } = curve
  const n = Math.min(x.length, y.length)
  if (n <= Math.max(4, limit)) return { x: x.slice(0, n), y: y.slice(0, n) }
  const stretches = Math.max(1, Math.floor((limit - 2) / 2))
  const keep: number[] = [0]
  for (let s = 0; s < stretches; s++) {
    const from = 1 + Math.floor((s * (n - 2)) / stretches)
    const to = 1 + Math.floor(((s + 1) * (n - 2)) / stretches)
    if (from >= to) continue
    let low = from
    let high = from
    for (let i = from; i < to; i++) {
      if ((y[i] ?? 0) < (y[low] ?? 0)) low = i
      if ((y[i] ?? 0) > (y[high] ?? 0)) high = i
    }
    keep.push(Math.min(low, high))
    if (low !== high) keep.push(Math.max(low, high))
  }
  keep.push(n - 1)
  return { x: keep.map((i) => x[i] ?? 0), y: keep.map((i) => y[i] ?? 0) }
}

/** Exponential moving average with bias correction (as Adam's): the first value is the first loss, not a fraction of it. */
export function smooth(values: readonly number[], weight = 0.9): number[] {
  let average = 0
  let correction = 1
  return values.map((value) => {
    average = weight * average + (1 - weight) * value
    correction *= weight
    return average / (1 - correction)
  })
}

/** An SVG path through the curve, filling `width` x `height`; '' without points. Not finite values are left out. */
export function sparkline(curve: Curve, width: number, height: number): string {
  const points: [number, number][] = []
  for (const [i, x] of curve.x.entries()) {
    const y = curve.y[i]
    if (y !== undefined && Number.isFinite(x) && Number.isFinite(y)) points.push([x, y])
  }
  if (points.length === 0) return ''
  const [left, right] = extent(points.map(([x]) => x))
  const [low, high] = extent(points.map(([, y]) => y))
  const at = ([x, y]: [number, number]): string => {
    const px = right > left ? ((x - left) / (right - left)) * width : 0
    const py = high > low ? height - ((y - low) / (high - low)) * height : height / 2
    return `${px.toFixed(1)} ${py.toFixed(1)}`
  }
  if (points.length === 1) return `M0 ${(height / 2).toFixed(1)}L${width} ${(height / 2).toFixed(1)}`
  return `M${points.map(at).join('L')}`
}

/** Puts curves with different x on one ascending x axis, null where a curve has no point there (as uPlot wants it). */
export function align(curves: readonly Curve[]): { x: number[]; ys: (number | null)[][] } {
  const x = [...new Set(curves.flatMap((curve) => curve.x))].sort((a, b) => a - b)
  const ys = curves.map((curve) => {
    const values = new Map(curve.x.map((at, i) => [at, curve.y[i] ?? null]))
    return x.map((at) => values.get(at) ?? null)
  })
  return { x, ys }
}

function extent(values: readonly number[]): [number, number] {
  let low = Infinity
  let high = -Infinity
  for (const value of values) {
    if (value < low) low = value
    if (value > high) high = value
  }
  return [low, high]
}
