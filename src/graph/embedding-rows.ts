/**
 * Rows of an embedding table as the graph looks them up. Only the rows asked for are read and dequantised; where the table is not in memory,
 * rows that were read lately are kept, since texts have few tokens many times.
 */
import type { Embedding } from './embedding'
import { elementCount, GraphError, type Tensor } from './ir'
import { ReadBuffer } from './source'
import { byteLength, someBytes, toFloat32 } from './tensor'

/** Floats of a table's rows that are kept. */
const KEPT_FLOATS = 4 * 2 ** 20
/** Rows this near to each other (in bytes) are read together with what lies between: a read costs more than its bytes. */
const GAP_BYTES = 64 * 1024
/** Most bytes of one read. */
const RUN_BYTES = 4 * 2 ** 20

/** Rows read lately, by id; insertion order is use order. Of tables that are not in memory. */
const kept = new WeakMap<Tensor, Map<number, Float32Array>>()

/**
 * Rows of the table as the graph would look them up, [ids.length, hidden_size].
 * @throws GraphError for an id outside the table
 */
export function readEmbeddingRows(embedding: Embedding, ids: ArrayLike<number>): Float32Array {
  const { table, vocab_size, hidden_size } = embedding
  for (let r = 0; r < ids.length; r++) {
    const id = ids[r] ?? NaN
    if (!Number.isInteger(id) || id < 0 || id >= vocab_size) {
      throw new GraphError(`token id ${id} is outside the embedding table, which has ${vocab_size} rows`)
    }
  }
  const out = new Float32Array(ids.length * hidden_size)
  const places = new Map<number, number[]>()
  for (let r = 0; r < ids.length; r++) {
    const id = ids[r] ?? 0
    const known = places.get(id)
    if (known) known.push(r)
    else places.set(id, [r])
  }
  const give = (id: number, row: Float32Array): void => {
    for (const r of places.get(id) ?? []) out.set(row, r * hidden_size)
  }
  const cache = table.stored ? cacheOf(table) : null
  const missing: number[] = []
  for (const id of places.keys()) {
    const row = cache?.get(id)
    if (row === undefined || !cache) {
      missing.push(id)
      continue
    }
    cache.delete(id)
    cache.set(id, row)
    give(id, row)
  }
  eachEmbeddingRow(embedding, missing, (id, row) => {
    give(id, row)
    cache?.set(id, row)
  })
  if (cache) trim(cache, Math.floor(KEPT_FLOATS / Math.max(1, hidden_size)))
  return out
}

function cacheOf(table: Tensor): Map<number, Float32Array> {
  const known = kept.get(table)
  if (known) return known
  const cache = new Map<number, Float32Array>()
  kept.set(table, cache)
  return cache
}

function trim(cache: Map<number, Float32Array>, rows: number): void {
  for (const id of cache.keys()) {
    if (cache.size <= rows) return
    cache.delete(id)
  }
}

/**
 * Calls `give` with the rows of ids of the table, lowest id first (of a transposed table in the order of `ids`), keeping none. Each row is an
 * array of its own.
 */
export function eachEmbeddingRow(
  embedding: Embedding,
  ids: readonly number[],
  give: (id: number, row: Float32Array) => void,
): void {
  if (ids.length === 0) return
  const dequantise = dequantiser(embedding, ids)
  const each = (id: number, stored: Float32Array): void => give(id, dequantise(id, stored))
  if (embedding.transposed) readColumns(embedding, ids, each)
  else forRows(embedding.table, embedding.vocab_size, ids, each)
}

/** Calls `each` with the rows of a [rows, ...] table as floats; each row is an array of its own. */
function forRows(table: Tensor, rows: number, ids: readonly number[], each: (id: number, row: Float32Array) => void): void {
  const rowBytes = byteLength(table) / rows
  if (!Number.isInteger(rowBytes)) {
    throw new GraphError(`an embedding table of ${table.dims.join(' x ')} ${table.dtype} has rows that share bytes`)
  }
  const width = elementCount(table.dims) / rows
  const sorted = [...ids].sort((a, b) => a - b)
  const buffer = table.stored ? new ReadBuffer(Math.max(RUN_BYTES, rowBytes)) : null
  try {
    for (let from = 0; from < sorted.length;) {
      const first = sorted[from] ?? 0
      let to = from + 1
      for (; to < sorted.length; to++) {
        const [before, next] = [sorted[to - 1] ?? 0, sorted[to] ?? 0]
        if ((next - before - 1) * rowBytes > GAP_BYTES || (next - first + 1) * rowBytes > RUN_BYTES) break
      }
      const last = sorted[to - 1] ?? first
      const run = someBytes(table, first * rowBytes, (last - first + 1) * rowBytes, buffer)
      for (; from < to; from++) {
        const id = sorted[from] ?? 0
        const bytes = run.subarray((id - first) * rowBytes, (id - first + 1) * rowBytes)
        const row = toFloat32({ dtype: table.dtype, dims: [1, width], bytes })
        // Not a view, which the next read would overwrite and whoever gets the row may write to.
        each(id, table.dtype === 'float32' ? new Float32Array(row) : row)
      }
    }
  } finally {
    buffer?.free()
  }
}

/** Columns of a [hidden_size, vocab_size] table: all of it is gone through, a line at a time. */
function readColumns(
  { table, hidden_size, vocab_size }: Embedding,
  ids: readonly number[],
  each: (id: number, row: Float32Array) => void,
): void {
  const rows = ids.map((id) => ({ id, row: new Float32Array(hidden_size) }))
  const lineBytes = byteLength(table) / hidden_size
  for (let h = 0; h < hidden_size; h++) {
    const bytes = someBytes(table, h * lineBytes, lineBytes)
    const line = toFloat32({ dtype: table.dtype, dims: [1, vocab_size], bytes })
    for (const { id, row } of rows) row[h] = line[id] ?? 0
  }
  for (const { id, row } of rows) each(id, row)
}

/** What makes a stored row the row the graph looks up, in place. */
function dequantiser(embedding: Embedding, ids: readonly number[]): (id: number, stored: Float32Array) => Float32Array {
  const { scale, zero_point, block_size, axis, transposed, vocab_size, hidden_size } = embedding
  if (!scale) return (_, stored) => stored
  if (block_size === null) {
    const scales = toFloat32(scale)
    const zeros = zero_point ? toFloat32(zero_point) : null
    return (id, stored) => {
      for (let h = 0; h < hidden_size; h++) {
        const along = axis === null ? 0 : (axis === 0) !== transposed ? id : h
        stored[h] = ((stored[h] ?? 0) - (zeros?.[along] ?? 0)) * (scales[along] ?? NaN)
      }
      return stored
    }
  }
  const scales = new Map<number, Float32Array>()
  forRows(scale, vocab_size, ids, (id, row) => scales.set(id, row))
  const zeros = new Map<number, Float32Array>()
  const isOne = zero_point !== null && elementCount(zero_point.dims) === 1
  const one = zero_point && isOne ? (toFloat32(zero_point)[0] ?? 0) : 0
  if (zero_point && !isOne) forRows(zero_point, vocab_size, ids, (id, row) => zeros.set(id, row))
  return (id, stored) => {
    const [rowScales, rowZeros] = [scales.get(id), zeros.get(id)]
    for (let h = 0; h < hidden_size; h++) {
      const block = Math.floor(h / block_size)
      stored[h] = ((stored[h] ?? 0) - (rowZeros?.[block] ?? one)) * (rowScales?.[block] ?? NaN)
    }
    return stored
  }
}
