/**
 * The attention ops of fused exports, one function each: com.microsoft's GroupQueryAttention, MultiHeadAttention and Attention
 * (https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md), ONNX's Attention (operator set 23). Tuning has no past,
 * so the key and value caches are the keys and values themselves.
 */
import { GraphError } from '../ir'
import { floatAttribute, intAttribute, intsAttribute } from '../host/attributes'
import { attend, causalMask, fillMask, fromHeads, paddingMask, refusePast, toHeads } from './attention'
import { HostLane, type DeviceLane } from './lanes'
import { add, product } from './linear'
import { firstRows, rotate, rowsAt } from './rotary'
import { deviceInput, fail, hostInput, optionalDevice, optionalHost, reshaped, type DeviceCall, type DeviceRule } from './rule'

/** onnxruntime adds this to the scores of padding where the node does not say what. */
const MASK_FILTER_VALUE = -10000

/** The attribute 'scale', where 0 stands for the default as well as its absence does. */
function scaleOf(call: DeviceCall, headSize: number): number {
  const scale = floatAttribute(call.node, 'scale', 0)
  return scale === 0 ? 1 / Math.sqrt(headSize) : scale
}

/** Refuses inputs from `first` on, which newer versions of an op may have. */
function refuseInputs(call: DeviceCall, first: number): void {
  const given = call.inputs.findIndex((lane, i) => i >= first && lane !== null)
  if (given >= 0) fail(`input ${given} is not supported`)
}

/** x [B,S,...] cut in columns of the last axis, of these sizes. */
function columns({ emit }: DeviceCall, x: DeviceLane, sizes: readonly number[]): DeviceLane[] {
  const axis = x.dims.length - 1
  let start = 0
  return sizes.map((size) => emit.slice(x, axis, start, (start += size)))
}

/**
 * (query, key?, value?, past_key?, past_value?, seqlens_k, total_sequence_length, cos_cache?, sin_cache?, position_ids?, attention_bias?,
 * head_sink?, k_scale?, v_scale?, q_norm_weight?, k_norm_weight?). Always causal. seqlens_k is the number of tokens in each row less one, which says that padding stands on the right: no
 * token sees it, so nothing here depends on it.
 */
export const GroupQueryAttention: DeviceRule = (call) => {
  const { node } = call
  const [heads, keyHeads] = [intAttribute(node, 'num_heads'), intAttribute(node, 'kv_num_heads')]
  refusePast(call, 3, 4)
  if (call.inputs[12] || call.inputs[13]) return fail('quantised keys and values are not supported')
  const query = deviceInput(call, 0)
  const [batch = 0, length = 0, width = 0] = query.dims
  const packed = !call.inputs[1] && !call.inputs[2]
  const size = packed ? width / (heads + 2 * keyHeads) : width / heads
  if (query.dims.length !== 3 || !Number.isInteger(size)) return fail(`a query of [${query.dims.join(', ')}] for ${heads} heads`)
  const parts = packed
    ? columns(call, query, [heads * size, keyHeads * size, keyHeads * size])
    : [query, deviceInput(call, 1), deviceInput(call, 2)]
  const [q, k, v] = parts.map((part, i) => toHeads(call, part, i === 0 ? heads : keyHeads))
  if (!q || !k || !v || k.dims[2] !== length || v.dims[2] !== length) return fail(`keys or values are not of ${length} positions`)
  const turn = groupRotary(call, batch, length)
  const [turnedQ, turnedK] = [turn(normed(call, q, 14)), turn(normed(call, k, 15))]
  const window = intAttribute(node, 'local_window_size', -1)
  const y = attend(call, {
    q: turnedQ,
    k: turnedK,
    v,
    scale: scaleOf(call, size),
    masks: [causalMask(call, length, length, window < 0 ? Infinity : window), optionalHost(call, 10)],
    softcap: floatAttribute(node, 'softcap', 0),
    sink: sinkOf(call, heads),
  })
  return [fromHeads(call, y), turnedK, v]
}

/** Heads [B,N,S,D] divided by their root mean square, times the weight [D] of input `i`, where there is one. */
function normed(call: DeviceCall, x: DeviceLane, i: number): DeviceLane {
  const weight = optionalHost(call, i)
  if (!weight) return x
  const epsilon = floatAttribute(call.node, 'qk_norm_epsilon', 1e-6)
  return call.emit.emit({ op: 'RMSNorm', attrs: { epsilon } }, [x, weight])
}

/** The rotation inside GroupQueryAttention, of heads [B,N,S,D]; positions count from 0 unless they are given. */
function groupRotary(call: DeviceCall, batch: number, length: number): (x: DeviceLane) => DeviceLane {
  if (intAttribute(call.node, 'do_rotary', 0) === 0) return (x) => x
  const caches = { cos: hostInput(call, 7), sin: hostInput(call, 8) }
  const positions = optionalHost(call, 9)
  const interleaved = intAttribute(call.node, 'rotary_interleaved', 0) === 1
  if (!positions) {
    const rows = firstRows(call, caches, length)
    return (x) => rotate(call, x, rows, interleaved)
  }
  const { cos, sin } = rowsAt(call, caches, positions, length)
  const [rows = batch, , width = 0] = cos.dims
  const perHead = (table: HostLane) => reshaped(call, table, [rows, 1, length, width])
  return (x) => rotate(call, x, { cos: perHead(cos), sin: perHead(sin) }, interleaved)
}

/** The extra score of each head: learnt ones, or 0 for smooth_softmax. */
function sinkOf(call: DeviceCall, heads: number): HostLane | undefined {
  const sink = optionalHost(call, 11)
  if (sink) return reshaped(call, sink, [1, heads, 1, 1])
  return intAttribute(call.node, 'smooth_softmax', 0) === 1 ? reshaped(call, call.emit.scalar(0), [1, 1, 1, 1]) : undefined
}

/**
 * (query, key?, value?, bias?, key_padding_mask?, attention_bias?, past_key?, past_value?). Query [B,S,H] with key and value of three
 * dimensions or as heads of four; or packed, query [B,S,N,3,D] alone, or query [B,S,H] and key [B,T,N,2,D].
 */
export const MultiHeadAttention: DeviceRule = (call) => {
  const { node } = call
  const heads = intAttribute(node, 'num_heads')
  refusePast(call, 6, 7)
  refuseInputs(call, 8)
  const { q, k, v } = multiHeads(call, heads)
  const [queries = 0, size = 0] = q.dims.slice(2)
  const keys = k.dims[2] ?? 0
  const padding = optionalHost(call, 4)
  const fill = floatAttribute(node, 'mask_filter_value', MASK_FILTER_VALUE)
  const causal = intAttribute(node, 'unidirectional', 0) === 1
  const y = attend(call, {
    q,
    k,
    v,
    scale: scaleOf(call, size),
    masks: [
      causal ? causalMask(call, queries, keys) : undefined,
      optionalHost(call, 5),
      padding && paddingMask(call, padding, keys, fill),
    ],
  })
  return [fromHeads(call, y), k, v]
}

function multiHeads(call: DeviceCall, heads: number): Record<'q' | 'k' | 'v', DeviceLane> {
  const query = deviceInput(call, 0)
  const [key, value] = [optionalDevice(call, 1), optionalDevice(call, 2)]
  const bias = optionalHost(call, 3)
  if (query.dims.length === 5) {
    if (bias) return fail('a bias of packed queries, keys and values is not supported')
    const [q, k, v] = unpacked(call, query, 3)
    return q && k && v ? { q, k, v } : fail('queries, keys and values are not packed in threes')
  }
  if (!key) return fail('keys are missing')
  const width = query.dims.at(-1) ?? 0
  // The bias lies as [of queries, of keys, of values].
  const biased = (x: DeviceLane, start: number) =>
    bias ? add(call, x, piece(call, bias, start, start + (x.dims.at(-1) ?? 0))) : x
  const q = toHeads(call, biased(query, 0), heads)
  if (key.dims.length === 5) {
    const [k, v] = unpacked(call, key, 2)
    return k && v ? { q, k, v } : fail('keys and values are not packed in twos')
  }
  if (!value) return fail('values are missing')
  if (key.dims.length === 4) return { q, k: key, v: value }
  return { q, k: toHeads(call, biased(key, width), heads), v: toHeads(call, biased(value, 2 * width), heads) }
}

/** x [B,S,N,count,D] as `count` values [B,N,S,D]. */
function unpacked({ emit }: DeviceCall, x: DeviceLane, count: number): DeviceLane[] {
  const [batch = 0, length = 0, heads = 0, parts = 0, size = 0] = x.dims
  if (parts !== count) return []
  return Array.from({ length: count }, (_, i) => {
    const part = emit.reshape(emit.slice(x, 3, i, i + 1), [batch, length, heads, size])
    return emit.emit({ op: 'Transpose', attrs: { perm: [0, 2, 1, 3] } }, [part])
  })
}

/** Elements [start, end) of a constant vector. */
function piece(call: DeviceCall, vector: HostLane, start: number, end: number): HostLane {
  if (vector.dims.length !== 1 || (vector.dims[0] ?? 0) < end)
    return fail(`a bias of [${vector.dims.join(', ')}] has no ${end} entries`)
  return call.emit.derive(vector, `${start} to ${end}`, ({ name, constant: { dtype, data }, isStatic }) =>
    HostLane.of(`${name}~${start}`, { dtype, dims: [end - start], data: data.subarray(start, end) }, { isStatic }),
  )
}

/** (input [B,S,H], weights [H, 3 widths], bias?, mask_index?, past?, attention_bias?): the projections are inside the op. */
export const ContribAttention: DeviceRule = (call) => {
  const { node } = call
  const heads = intAttribute(node, 'num_heads')
  refusePast(call, 4)
  refuseInputs(call, 6)
  if (intAttribute(node, 'do_rotary', 0) === 1) return fail('a rotary embedding inside is not supported')
  const weights = hostInput(call, 1)
  const each = (weights.dims[1] ?? 0) / 3
  const sizes = intsAttribute(node, 'qkv_hidden_sizes') ?? [each, each, each]
  const projected = product(call, deviceInput(call, 0), weights)
  const bias = optionalHost(call, 2)
  const [q, k, v] = columns(call, bias ? add(call, projected, bias) : projected, sizes).map((x) => toHeads(call, x, heads))
  if (!q || !k || !v) return fail(`qkv_hidden_sizes [${sizes.join(', ')}] are not three`)
  const length = q.dims[2] ?? 0
  const padding = optionalHost(call, 3)
  const fill = floatAttribute(node, 'mask_filter_value', MASK_FILTER_VALUE)
  const y = attend(call, {
    q,
    k,
    v,
    scale: scaleOf(call, q.dims[3] ?? 0),
    masks: [
      intAttribute(node, 'unidirectional', 0) === 1 ? causalMask(call, length, length) : undefined,
      optionalHost(call, 5),
      padding && paddingMask(call, padding, length, fill),
    ],
  })
  return [fromHeads(call, y)]
}

/**
 * ONNX (operator set 23): (Q, K, V, attn_mask?, past_key?, past_value?), heads apart in four dimensions or together in three. A mask of
 * bools keeps where it is true.
 */
export const Attention: DeviceRule = (call) => {
  const { node } = call
  refusePast(call, 4, 5)
  refuseInputs(call, 6)
  const parts = [0, 1, 2].map((i) => deviceInput(call, i))
  const together = parts[0]?.dims.length === 3
  const heads = (i: number) => intAttribute(node, i === 0 ? 'q_num_heads' : 'kv_num_heads')
  const [q, k, v] = parts.map((x, i) => (together ? toHeads(call, x, heads(i)) : x))
  if (q?.dims.length !== 4 || !k || !v) throw new GraphError('queries, keys and values have neither 3 nor 4 dimensions')
  const [queries = 0, size = 0] = q.dims.slice(2)
  const mask = optionalHost(call, 3)
  const y = attend(call, {
    q,
    k,
    v,
    scale: scaleOf(call, size),
    masks: [
      intAttribute(node, 'is_causal', 0) === 1 ? causalMask(call, queries, k.dims[2] ?? 0) : undefined,
      mask?.dtype === 'bool' ? fillMask(call, mask, -Infinity) : mask,
    ],
    softcap: floatAttribute(node, 'softcap', 0),
  })
  return [together ? fromHeads(call, y) : y, k, v]
}
