/**
 * Arithmetic on dimensions: broadcasting, and bringing a shape to as few dimensions as an operation allows without moving
 * data (merging neighbours that are treated alike, dropping ones). Pure; it knows nothing of tfjs.
 */

export function sameDims(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i])
}

/** The product of the dimensions before and after `axis`. */
export function around(dims: readonly number[], axis: number): { before: number; after: number } {
  let before = 1
  let after = 1
  dims.forEach((dim, i) => {
    if (i < axis) before *= dim
    else if (i > axis) after *= dim
  })
  return { before, after }
}

/** numpy broadcasting. @throws Error when the shapes don't fit each other */
export function broadcastDims(shapes: readonly (readonly number[])[]): number[] {
  const rank = Math.max(...shapes.map((shape) => shape.length))
  return Array.from({ length: rank }, (_, i) => {
    let dim = 1
    for (const shape of shapes) {
      const own = shape[i - rank + shape.length] ?? 1
      if (own === 1) continue
      if (dim !== 1 && own !== dim) throw new Error(`cannot broadcast [${shapes.map((s) => s.join(', ')).join('] and [')}]`)
      dim = own
    }
    return dim
  })
}

/** Broadcast shapes with neighbouring dimensions merged where every shape either keeps or repeats both; all of one rank. */
export function mergeBroadcast(shapes: readonly (readonly number[])[]): number[][] {
  const rank = Math.max(...shapes.map((shape) => shape.length))
  const out = broadcastDims(shapes)
  const merged: number[][] = shapes.map(() => [])
  let pattern = ''
  for (let i = 0; i < rank; i++) {
    if (out[i] === 1) continue
    const own = shapes.map((shape) => shape[i - rank + shape.length] ?? 1)
    const now = own.map((dim) => (dim === 1 ? '1' : 'n')).join('')
    merged.forEach((dims, s) => {
      const dim = own[s] ?? 1
      if (now === pattern) dims.push((dims.pop() ?? 1) * dim)
      else dims.push(dim)
    })
    pattern = now
  }
  return merged
}

/** A permutation of the merged dimensions that moves the data as `perm` does. */
export function mergePermutation(dims: readonly number[], perm: readonly number[]): { dims: number[]; perm: number[] } {
  // Runs of axes that stay neighbours in the output, in output order; dimensions of one move nothing.
  const runs: number[][] = []
  for (const axis of perm) {
    if (dims[axis] === 1) continue
    const run = runs.at(-1)
    const last = run?.at(-1)
    if (run !== undefined && last !== undefined && dims.slice(last + 1, axis).every((dim) => dim === 1) && axis > last)
      run.push(axis)
    else runs.push([axis])
  }
  const inInputOrder = [...runs].sort((a, b) => (a[0] ?? 0) - (b[0] ?? 0))
  return {
    dims: inInputOrder.map((run) => run.reduce((size, axis) => size * (dims[axis] ?? 1), 1)),
    perm: runs.map((run) => inInputOrder.indexOf(run)),
  }
}

/** Neighbouring dimensions merged where both are reduced or both kept; dimensions of one are dropped. */
export function mergeReduction(dims: readonly number[], reduced: ReadonlySet<number>): { dims: number[]; axes: number[] } {
  const merged: number[] = []
  const axes: number[] = []
  let before: boolean | null = null
  dims.forEach((dim, i) => {
    if (dim === 1) return
    const now = reduced.has(i)
    if (now === before) merged.push((merged.pop() ?? 1) * dim)
    else {
      if (now) axes.push(merged.length)
      merged.push(dim)
    }
    before = now
  })
  return { dims: merged, axes }
}
