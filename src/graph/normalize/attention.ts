/**
 * What the attention ops of fused exports share: heads apart and together, masks made on the host, and the composite Attention. With a
 * soft cap on the scores or a sink beside them the composite does not apply, and the same is spelt out in plain ops.
 */
import { elementCount } from '../ir'
import { full, fromNumbers, type NdArray } from '../host/array'
import { HostLane, type DeviceLane } from './lanes'
import { fail, reshaped, withoutRepeats, type DeviceCall } from './rule'

/** x [B,S,N*D] as [B,N,S,D]. */
export function toHeads(call: DeviceCall, x: DeviceLane, heads: number): DeviceLane {
  const [batch = 0, length = 0, width = 0] = x.dims
  if (x.dims.length !== 3 || !(heads >= 1) || width % heads !== 0) return fail(`[${x.dims.join(', ')}] is not ${heads} heads`)
  const apart = call.emit.reshape(x, [batch, length, heads, width / heads])
  return call.emit.emit({ op: 'Transpose', attrs: { perm: [0, 2, 1, 3] } }, [apart])
}

/** y [B,N,S,D] as [B,S,N*D]. */
export function fromHeads(call: DeviceCall, y: DeviceLane): DeviceLane {
  const [batch = 0, heads = 0, length = 0, size = 0] = y.dims
  const turned = call.emit.emit({ op: 'Transpose', attrs: { perm: [0, 2, 1, 3] } }, [y])
  return call.emit.reshape(turned, [batch, length, heads * size])
}

/** Tuning has no past: refuses one with positions in it. */
export function refusePast(call: DeviceCall, ...indices: readonly number[]): void {
  for (const i of indices) {
    const past = call.inputs[i]
    if (past && elementCount(past.dims) > 0) fail(`a past of [${past.dims.join(', ')}] is not supported`)
  }
}

/** 0 where a query may look at a key, minus infinity elsewhere: keys up to its own position, and `window` of them at most. */
export function causalMask(call: DeviceCall, queries: number, keys: number, window = Infinity): HostLane {
  const seen = window === Infinity ? '' : `, ${window} back`
  return call.emit.shared(`causal mask ${queries} x ${keys}${seen}`, (name) => {
    const data = Array.from({ length: queries * keys }, (_, i) => {
      const distance = Math.floor(i / keys) - (i % keys)
      return distance >= 0 && distance < window ? 0 : -Infinity
    })
    return HostLane.of(name, fromNumbers('float32', [queries, keys], data))
  })
}

/** 0 where `keep` is true, `fill` elsewhere. */
export function fillMask(call: DeviceCall, keep: HostLane, fill: number): HostLane {
  const filling = call.emit.shared(`fill ${fill}`, (name) => HostLane.of(name, full('float32', [], fill)))
  return call.host('Where', [keep, call.emit.scalar(0), filling])
}

/**
 * onnxruntime's key_padding_mask or mask_index as an additive mask: [B] how many keys of each row count, [B,T] or [B,S,T] which
 * of them (anything above 0).
 */
export function paddingMask(call: DeviceCall, mask: HostLane, keys: number, fill: number): HostLane {
  const zero = HostLane.of('zero', integer([], [0]))
  const [batch = 0] = mask.dims
  switch (mask.dims.length) {
    case 1: {
      const counting = Array.from({ length: keys }, (_, i) => i)
      const positions = call.emit.shared(`keys ${keys}`, (name) => HostLane.of(name, integer([1, keys], counting)))
      const keep = call.host('Less', [positions, reshaped(call, mask, [batch, 1])])
      return reshaped(call, fillMask(call, keep, fill), [batch, 1, 1, keys])
    }
    case 2:
      return reshaped(call, fillMask(call, call.host('Greater', [mask, zero]), fill), [batch, 1, 1, mask.dims[1] ?? 0])
    case 3: {
      const [, queries = 0, length = 0] = mask.dims
      return reshaped(call, fillMask(call, call.host('Greater', [mask, zero]), fill), [batch, 1, queries, length])
    }
    default:
      return fail(`a padding mask of [${mask.dims.join(', ')}] is not supported`)
  }
}

const integer = (dims: readonly number[], values: readonly number[]): NdArray => fromNumbers('int32', dims, values)

export interface AttentionParts {
  /** [B,N,S,D], [B,M,T,D] and [B,M,T,E]; N a multiple of M. */
  readonly q: DeviceLane
  readonly k: DeviceLane
  readonly v: DeviceLane
  readonly scale: number
  /** All added to the scores, each broadcastable to [B,N,S,T]. */
  readonly masks: readonly (HostLane | undefined)[]
  /** Scores s become softcap * tanh(s / softcap); 0 for none. */
  readonly softcap?: number
  /** One more score for every query, [1,N or 1,1,1], that takes its share of the softmax and has no value. */
  readonly sink?: HostLane | undefined
}

/** [B,N,S,E]. */
export function attend(call: DeviceCall, parts: AttentionParts): DeviceLane {
  const { q, k, v, scale, softcap = 0, sink } = parts
  const [batch = 0, heads = 0, queries = 0] = q.dims
  const keys = k.dims[2] ?? 0
  if (queries === 0 || keys === 0) return fail('nothing to attend to')
  const mask = sum(call, parts.masks)
  const like = { ...q, dims: [batch, heads, queries, keys] }
  const operand = mask && withoutRepeats(call, mask, like)
  if (softcap === 0 && !sink) {
    return call.emit.emit({ op: 'Attention', attrs: { scale } }, [q, k, v, ...(operand ? [operand] : [])])
  }
  const { emit } = call
  const binary = (op: 'Mul' | 'Add', a: DeviceLane, b: HostLane) => emit.emit({ op, attrs: {} }, [a, b])
  const product = emit.emit({ op: 'MatMul', attrs: { transA: false, transB: true } }, [q, repeated(call, k, heads)])
  let scores = binary('Mul', product, emit.scalar(softcap === 0 ? scale : scale / softcap))
  if (softcap !== 0) scores = binary('Mul', emit.emit({ op: 'Tanh', attrs: {} }, [scores]), emit.scalar(softcap))
  if (operand?.kind === 'host') scores = binary('Add', scores, operand)
  const beside = sink ? emit.concat([scores, emit.expand(sink, [batch, heads, queries, 1])], 3) : scores
  const softmax = emit.emit({ op: 'Softmax', attrs: { axis: 3 } }, [beside])
  const p = emit.slice(softmax, 3, 0, keys)
  return emit.emit({ op: 'MatMul', attrs: { transA: false, transB: false } }, [p, repeated(call, v, heads)])
}

function sum(call: DeviceCall, masks: readonly (HostLane | undefined)[]): HostLane | undefined {
  return masks.reduce((total, mask) => (total && mask ? call.host('Add', [total, mask]) : (total ?? mask)), undefined)
}

/** x [B,M,T,D] with each head as often as query heads read it. */
function repeated({ emit }: DeviceCall, x: DeviceLane, heads: number): DeviceLane {
  const [batch = 0, own = 1, length = 0, size = 0] = x.dims
  if (own === heads) return x
  if (heads % own !== 0) return fail(`${heads} query heads for ${own} key heads`)
  const apart = emit.reshape(x, [batch, own, 1, length, size])
  return emit.reshape(emit.expand(apart, [batch, own, heads / own, length, size]), [batch, heads, length, size])
}
