/**
 * Einsum of one or two operands as sums, transpositions and one matrix product: what dynamo-style exports write for attention and for
 * projections with heads in their weights.
 */
import { elementCount } from '../ir'
import { withDims } from '../host/array'
import { stringAttribute } from '../host/attributes'
import { readEinsum } from '../host/einsum'
import { transpose } from '../host/movement'
import { sameDims } from '../op-types'
import { HostLane, type Lane } from './lanes'
import { product } from './linear'
import { fail, input, type DeviceCall, type DeviceRule } from './rule'

/** A value with a label for each axis. */
interface Labelled {
  readonly lane: Lane
  readonly labels: readonly string[]
}

export const Einsum: DeviceRule = (call) => {
  const lanes = call.inputs.map((_, i) => input(call, i))
  const { operands, result, sizes } = readEinsum(
    stringAttribute(call.node, 'equation'),
    lanes.map(({ dims }) => dims),
  )
  const labelled = lanes.map((lane, i): Labelled => ({ lane, labels: operands[i] ?? [] }))
  const sizesOf = (labels: readonly string[]) => labels.map((label) => sizes.get(label) ?? 1)
  const [first, second, ...others] = labelled
  if (!first || others.length > 0) return fail(`${labelled.length} operands, one or two are supported`)
  if (!second) {
    const summed = withoutLabels(call, first, (label) => result.includes(label))
    return [call.emit.reshape(ordered(call, summed, result), sizesOf(result))]
  }

  const a = withoutLabels(call, first, (label) => result.includes(label) || second.labels.includes(label))
  const b = withoutLabels(call, second, (label) => result.includes(label) || first.labels.includes(label))
  const shared = a.labels.filter((label) => b.labels.includes(label))
  const contracted = shared.filter((label) => !result.includes(label))
  const batch = shared.filter((label) => result.includes(label))
  const [left, right] = [a, b].map(({ labels }) => labels.filter((label) => !shared.includes(label)))
  if (!left || !right) return fail('no operands')
  for (const { lane, labels } of [a, b]) {
    const stretched = labels.find((label, axis) => contracted.includes(label) && lane.dims[axis] !== sizes.get(label))
    if (stretched !== undefined) return fail(`'${stretched}' is summed over and broadcast`)
  }
  const own = ({ lane, labels }: Labelled, wanted: readonly string[]) =>
    wanted.map((label) => lane.dims[labels.indexOf(label)] ?? 1)
  /** [...batch, rows, columns], batch axes of 1 where they broadcast. */
  const matrix = (x: Labelled, rows: readonly string[], columns: readonly string[]) => {
    const dims = [...own(x, batch), elementCount(sizesOf(rows)), elementCount(sizesOf(columns))]
    return shaped(call, ordered(call, x, [...batch, ...rows, ...columns]), dims)
  }
  // A matrix that lies the other way is multiplied as it is, with a flag.
  const transB = sameLabels(b.labels, [...batch, ...right, ...contracted])
  const factor = transB ? matrix(b, right, contracted) : matrix(b, contracted, right)
  // Without a batch the rows need not be one axis.
  const flat = batch.length > 0 || left.length === 0
  const rows = flat
    ? matrix(a, left, contracted)
    : shaped(call, ordered(call, a, [...left, ...contracted]), [...own(a, left), elementCount(sizesOf(contracted))])
  const labels = [...batch, ...left, ...right]
  const apart = call.emit.reshape(product(call, rows, factor, false, transB), sizesOf(labels))
  return [call.emit.reshape(ordered(call, { lane: apart, labels }, result), sizesOf(result))]
}

/** Summed over the labels that nothing else has. */
function withoutLabels({ emit }: DeviceCall, { lane, labels }: Labelled, isKept: (label: string) => boolean): Labelled {
  const axes = labels.flatMap((label, axis) => (isKept(label) ? [] : [axis]))
  if (axes.length === 0) return { lane, labels }
  return { lane: emit.emit({ op: 'ReduceSum', attrs: { axes, keepdims: false } }, [lane]), labels: labels.filter(isKept) }
}

const sameLabels = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((label, i) => label === b[i])

/** With its axes in the order of `wanted`, which has the same labels. A weight is turned once for all programs. */
function ordered({ emit }: DeviceCall, { lane, labels }: Labelled, wanted: readonly string[]): Lane {
  const perm = wanted.map((label) => labels.indexOf(label))
  if (perm.every((axis, i) => axis === i)) return lane
  if (lane.kind !== 'host' || !lane.isStatic) return emit.emit({ op: 'Transpose', attrs: { perm } }, [lane])
  return emit.derive(lane, `transposed ${perm.join()}`, ({ name, constant }) =>
    HostLane.of(`${name}~transposed`, transpose(constant, perm), { isStatic: true }),
  )
}

/** Under another shape; a weight stays the bytes of the file. */
function shaped({ emit }: DeviceCall, lane: Lane, dims: readonly number[]): Lane {
  if (sameDims(lane.dims, dims)) return lane
  if (lane.kind !== 'host' || !lane.isStatic) return emit.reshape(lane, dims)
  return emit.derive(lane, `as ${dims.join()}`, ({ name, file, constant }) =>
    file ? HostLane.ofTensor(name, { ...file, dims }) : HostLane.of(name, withDims(constant, dims), { isStatic: true }),
  )
}
