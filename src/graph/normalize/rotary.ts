/**
 * Rotary position embedding where an export has one op for it: com.microsoft.RotaryEmbedding, ONNX's own (operator set 23), and the part
 * inside GroupQueryAttention. All become the composite RotaryEmbedding, which turns halves; interleaved pairs are brought into halves
 * and back, and what is beyond the rotary dimensions is laid beside.
 */
import { elementCount, GraphError, type Tensor } from '../ir'
import { byteLength, someBytes } from '../tensor'
import { fromNumbers, integers } from '../host/array'
import { floatAttribute, intAttribute } from '../host/attributes'
import { HostLane, type DeviceLane } from './lanes'
import { deviceInput, fail, hostInput, optionalHost, reshaped, withoutRepeats, type DeviceCall, type DeviceRule } from './rule'

/** Cosines and sines, each [..., R/2] and broadcastable to half of the R dimensions that are turned. */
export interface RotaryTables {
  readonly cos: HostLane
  readonly sin: HostLane
}

/** Rows of both caches [positions, R/2] for 0, 1, ... length - 1: [length, R/2]. */
export function firstRows(call: DeviceCall, { cos, sin }: RotaryTables, length: number): RotaryTables {
  return { cos: rowsOf(call, cos, length), sin: rowsOf(call, sin, length) }
}

/** Rows of both caches for positions [B,S] (or one offset [1], which counts on from there): [B or 1, S, R/2]. */
export function rowsAt(call: DeviceCall, caches: RotaryTables, positions: HostLane, length: number): RotaryTables {
  if (elementCount(positions.dims) === 1 && positions.dims.length < 2) {
    const offset = positions.constant.data[0] ?? 0
    const counting = call.emit.shared(`positions ${offset} to ${offset + length}`, (name) =>
      HostLane.of(
        name,
        fromNumbers(
          'int64',
          [1, length],
          Array.from({ length }, (_, i) => offset + i),
        ),
      ),
    )
    return rowsAt(call, caches, counting, length)
  }
  if (positions.dims.length !== 2 || positions.dims[1] !== length)
    return fail(`positions [${positions.dims.join(', ')}] for ${length} tokens`)
  // No more of a cache is decoded than is read, where that is known: long contexts have long caches.
  const last = positions.taint ? undefined : integers(positions.constant).reduce((most, row) => Math.max(most, row), 0)
  const rows = (cache: HostLane) =>
    call.host('Gather', [last === undefined ? cache : rowsOf(call, cache, last + 1), positions], {
      axis: { type: 'int', value: 0 },
    })
  return { cos: rows(caches.cos), sin: rows(caches.sin) }
}

function rowsOf(call: DeviceCall, cache: HostLane, count: number): HostLane {
  const [rows = 0, width = 0] = cache.dims
  if (cache.dims.length !== 2) return fail(`a rotary cache of [${cache.dims.join(', ')}], two dimensions were expected`)
  if (count > rows) throw new GraphError(`${count} positions, but the rotary cache has ${rows}`)
  if (count === rows) return cache
  return call.emit.shared(`${cache.name} to ${count} of ${cache.id}`, (name) => {
    const { file } = cache
    if (!file || file.bytes.length % rows !== 0) {
      const { dtype, data } = cache.constant
      return HostLane.of(name, { dtype, dims: [count, width], data: data.subarray(0, count * width) })
    }
    const bytes = someBytes(file, 0, (byteLength(file) / rows) * count)
    const tensor: Tensor = { dtype: file.dtype, dims: [count, width], bytes }
    return HostLane.ofTensor(name, tensor).forThisKey()
  })
}

/** Turns the first R = twice the tables' width of the last axis of x. */
export function rotate(call: DeviceCall, x: DeviceLane, { cos, sin }: RotaryTables, interleaved: boolean): DeviceLane {
  const { emit } = call
  const last = x.dims.length - 1
  const size = x.dims[last] ?? 0
  const turned = (cos.dims.at(-1) ?? 0) * 2
  if (turned === 0 || turned > size) return fail(`a rotary cache for ${turned} dimensions of heads of ${size}`)
  const whole = (half: HostLane) =>
    withoutRepeats(call, call.host('Concat', [half, half], { axis: { type: 'int', value: -1 } }), x)
  const part = emit.slice(x, last, 0, turned)
  const halves = interleaved ? pairsApart(call, part) : part
  const result = emit.emit({ op: 'RotaryEmbedding', attrs: {} }, [halves, whole(cos), whole(sin)])
  const back = interleaved ? pairsTogether(call, result) : result
  return turned === size ? back : emit.concat([back, emit.slice(x, last, turned, size)], last)
}

/** x0 y0 x1 y1 ... of the last axis as x0 x1 ... y0 y1 ... */
function pairsApart(call: DeviceCall, x: DeviceLane): DeviceLane {
  return swapped(call, x, [(x.dims.at(-1) ?? 0) / 2, 2])
}

/** The reverse of pairsApart. */
function pairsTogether(call: DeviceCall, x: DeviceLane): DeviceLane {
  return swapped(call, x, [2, (x.dims.at(-1) ?? 0) / 2])
}

/** The last axis read as a matrix [rows, columns] and transposed. */
function swapped({ emit }: DeviceCall, x: DeviceLane, matrix: readonly [number, number]): DeviceLane {
  const lead = x.dims.slice(0, -1)
  const perm = [...lead.map((_, axis) => axis), lead.length + 1, lead.length]
  const transposed = emit.emit({ op: 'Transpose', attrs: { perm } }, [emit.reshape(x, [...lead, ...matrix])])
  return emit.reshape(transposed, x.dims)
}

/**
 * x [B,S,N*D] or [B,N,S,D], its heads turned in that layout.
 * @param headCount N where x has three dimensions; 0 for heads as wide as the tables
 */
function rotateHeads(call: DeviceCall, x: DeviceLane, tables: RotaryTables, headCount: number): DeviceLane {
  const interleaved = intAttribute(call.node, 'interleaved', 0) === 1
  const width = cacheWidth(tables.cos)
  const [batch = 0, length = 0, hidden = 0] = x.dims
  const rows = (lane: HostLane, perHead: 1 | 2) => {
    const dims = lane.dims.length === 2 ? [1, ...lane.dims] : lane.dims
    const [tableBatch = 1, tableLength = 0] = dims
    return reshaped(call, lane, perHead === 1 ? [tableBatch, 1, tableLength, width] : [tableBatch, tableLength, 1, width])
  }
  if (x.dims.length === 4) return rotate(call, x, { cos: rows(tables.cos, 1), sin: rows(tables.sin, 1) }, interleaved)
  if (x.dims.length !== 3) return fail(`a value of [${x.dims.join(', ')}], 3 or 4 dimensions were expected`)
  const heads = headCount > 0 ? headCount : hidden / (width * 2)
  if (!Number.isInteger(heads) || hidden % heads !== 0) return fail(`${hidden} numbers do not make ${heads} heads`)
  const apart = call.emit.reshape(x, [batch, length, heads, hidden / heads])
  const turned = rotate(call, apart, { cos: rows(tables.cos, 2), sin: rows(tables.sin, 2) }, interleaved)
  return call.emit.reshape(turned, x.dims)
}

const cacheWidth = (cache: HostLane): number => cache.dims.at(-1) ?? 0

/** Length of the sequence of [B,S,H] or [B,N,S,D]. */
const lengthOf = (x: DeviceLane): number => x.dims.at(-2) ?? 0

/** com.microsoft: (x, position_ids, cos_cache, sin_cache). */
export const ContribRotaryEmbedding: DeviceRule = (call) => {
  const x = deviceInput(call, 0)
  if (intAttribute(call.node, 'is_packed_batching', 0) === 1) return fail('packed batches are not supported')
  if (floatAttribute(call.node, 'scale', 1) !== 1) return fail('a scale is not supported')
  const tables = rowsAt(call, { cos: hostInput(call, 2), sin: hostInput(call, 3) }, hostInput(call, 1), lengthOf(x))
  return [rotateHeads(call, x, checkedWidth(call, tables), intAttribute(call.node, 'num_heads', 0))]
}

/** ONNX (operator set 23): (x, cos_cache, sin_cache, position_ids?); without positions the caches are rows for each token. */
export const RotaryEmbedding: DeviceRule = (call) => {
  const x = deviceInput(call, 0)
  const caches = { cos: hostInput(call, 1), sin: hostInput(call, 2) }
  const positions = optionalHost(call, 3)
  const tables = positions ? rowsAt(call, caches, positions, lengthOf(x)) : caches
  return [rotateHeads(call, x, checkedWidth(call, tables), intAttribute(call.node, 'num_heads', 0))]
}

function checkedWidth(call: DeviceCall, tables: RotaryTables): RotaryTables {
  const declared = intAttribute(call.node, 'rotary_embedding_dim', 0)
  const width = cacheWidth(tables.cos) * 2
  if (declared !== 0 && declared !== width) return fail(`rotary_embedding_dim is ${declared}, the caches are for ${width}`)
  return tables
}
