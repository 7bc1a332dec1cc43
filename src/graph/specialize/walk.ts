/**
 * Walks a cut graph once for one input shape and sorts every value into its lane (lanes.ts): shapes and constants are evaluated
 * on the spot, what depends on a fed mask is evaluated for a sample and recorded, what depends on the embeddings goes through
 * its normalisation rule. Branches of an If with a constant condition are walked in place.
 */
import { elementCount, GraphError, type Attribute, type Graph, type Node, type Tensor } from '../ir'
import { fromNumbers, ndDType, type NdArray } from '../host/array'
import { atNode, graphAttribute, intAttribute, opKey } from '../host/attributes'
import { transposePerm, transpose } from '../host/movement'
import { elementType, shapeSlice } from '../host/shape'
import { evaluateNode } from '../host/table'
import type { DerivedCache, Emitter } from '../normalize/emitter'
import { HostLane, type Lane, type Taint } from '../normalize/lanes'
import { dequantizedWeight } from '../normalize/packed'
import { HOST_OPSET } from '../normalize/rule'
import { DEVICE_RULES } from '../normalize/table'
import type { HostBudget } from './budget'
import { isTokenTest, noToken } from './token-test'

/** Ops that only look at their input's shape, which is always known. */
export const SHAPE_ONLY: ReadonlySet<string> = new Set(['Shape', 'Size'])
/** Operands with more elements than this are worth recognising an op as one already done. */
const SMALL = 64
const DEEPEST_IF = 16
/** Operator sets onnxruntime takes for granted; its own optimizer writes files that do not import them. */
const IMPLIED_OPSETS: ReadonlyMap<string, number> = new Map([['com.microsoft', 1]])

/** What all walks over one model share: values that depend on the file alone. */
export class StaticCache {
  readonly tensors = new Map<Tensor, HostLane>()
  readonly nodes = new Map<Node, readonly HostLane[]>()
  readonly derived: DerivedCache = new WeakMap()
}

/** Names and their values; a branch of an If sees what is around it. */
class Scope {
  private readonly own = new Map<string, Lane>()
  constructor(private readonly outer: Scope | null) {}

  get(name: string): Lane {
    return this.own.get(name) ?? this.outer?.get(name) ?? undefinedValue(name)
  }

  set(name: string, lane: Lane): void {
    if (name !== '') this.own.set(name, lane)
  }
}

function undefinedValue(name: string): never {
  throw new GraphError(`value '${name}' is used before it is defined`)
}

export interface WalkOptions {
  readonly opsets: ReadonlyMap<string, number>
  readonly emit: Emitter
  readonly cache: StaticCache
  readonly simulate_rounding: boolean
  readonly budget: HostBudget
}

export class Walk {
  /** Every recorded value that depends on a fed mask. */
  readonly tainted: HostLane[] = []
  private readonly repeated = new Map<string, readonly HostLane[]>()

  constructor(private readonly options: WalkOptions) {}

  /** @returns the lane of `output` */
  run(graph: Graph, inputs: ReadonlyMap<string, Lane>, output: string): Lane {
    const scope = new Scope(null)
    for (const [name, lane] of inputs) scope.set(name, lane)
    this.graph(graph, scope, 0)
    return scope.get(output)
  }

  private graph(graph: Graph, scope: Scope, depth: number): void {
    for (const [name, tensor] of graph.initializers) scope.set(name, this.initializer(name, tensor))
    for (const node of graph.nodes) {
      const results = atNode(node, () => this.node(node, scope, depth))
      node.outputs.forEach((name, i) => {
        const lane = results[i]
        if (lane) scope.set(name, lane)
      })
    }
  }

  private initializer(name: string, tensor: Tensor): HostLane {
    const { tensors } = this.options.cache
    const lane = tensors.get(tensor) ?? HostLane.ofTensor(name, tensor)
    tensors.set(tensor, lane)
    return lane
  }

  private node(node: Node, scope: Scope, depth: number): readonly (Lane | null)[] {
    if (opKey(node) === 'If') return this.branch(node, scope, depth)
    const inputs = node.inputs.map((name) => (name === '' ? null : scope.get(name)))
    const opset = this.options.opsets.get(node.domain) ?? IMPLIED_OPSETS.get(node.domain)
    if (opset === undefined) throw new GraphError(`the file does not import the operator set of domain '${node.domain}'`)
    if (SHAPE_ONLY.has(opKey(node))) return [this.shapeOf(node, inputs)]
    const host: (HostLane | null)[] = []
    for (const lane of inputs) if (lane === null || lane.kind === 'host') host.push(lane)
    if (host.length === inputs.length) return this.host(node, opset, host)

    const rule = DEVICE_RULES.get(opKey(node))
    if (!rule) throw new GraphError('this op is not supported on values that depend on the embeddings')
    const { emit, simulate_rounding } = this.options
    emit.at(node.name || (node.outputs[0] ?? ''), node.outputs[0] ?? node.name)
    return rule({
      node,
      opset,
      inputs,
      emit,
      simulate_rounding,
      host: (op_type, operands, attributes) => this.prepared(node, op_type, operands, attributes),
    })
  }

  /** An op that a rule wants done on the host, as if the graph had that node in front of `node`. */
  private prepared(
    node: Node,
    op_type: string,
    operands: readonly HostLane[],
    attributes: Readonly<Record<string, Attribute>> = {},
  ): HostLane {
    const before: Node = {
      op_type,
      domain: '',
      name: node.name,
      inputs: operands.map((lane) => lane.name),
      outputs: [`${node.outputs[0] ?? node.name}~${op_type}`],
      attributes: new Map(Object.entries(attributes)),
    }
    // Not taken to depend on the file alone: the cache of such values goes by node, and this one is new for every key.
    const [result] = this.host(before, HOST_OPSET, operands, false)
    if (!result) throw new GraphError(`${op_type} gave nothing`)
    return result
  }

  /** Takes the branch that a constant condition chooses. */
  private branch(node: Node, scope: Scope, depth: number): Lane[] {
    if (depth >= DEEPEST_IF) throw new GraphError(`branches nested more than ${DEEPEST_IF} deep`)
    const condition = scope.get(node.inputs[0] ?? '')
    if (condition.kind !== 'host') throw new GraphError('its condition depends on the embeddings')
    const chosen = graphAttribute(node, condition.constant.data[0] === 0 ? 'else_branch' : 'then_branch')
    const inner = new Scope(scope)
    this.graph(chosen, inner, depth + 1)
    const results = chosen.outputs.map(({ name }) => inner.get(name))
    // Another key may take the other branch: what hangs on this choice does not depend on the file alone.
    return condition.isStatic ? results : results.map((lane) => (lane.kind === 'host' ? lane.forThisKey() : lane))
  }

  private shapeOf(node: Node, inputs: readonly (Lane | null)[]): HostLane {
    const lane = inputs[0]
    if (!lane) throw new GraphError('input 0 is missing')
    const array = node.op_type === 'Size' ? fromNumbers('int64', [], [elementCount(lane.dims)]) : shapeSlice({ node }, lane.dims)
    return HostLane.of(node.outputs[0] ?? '', array, { isStatic: lane.kind === 'host' && lane.isStatic })
  }

  private host(node: Node, opset: number, inputs: readonly (HostLane | null)[], mayBeStatic = true): readonly HostLane[] {
    const alias = aliased(node, inputs)
    if (alias) return [alias]
    const isStatic = mayBeStatic && inputs.every((lane) => lane === null || lane.isStatic)
    const { nodes } = this.options.cache
    const known = isStatic ? nodes.get(node) : undefined
    if (known) return known
    const key = isStatic ? null : repetitionKey(node, inputs)
    const twin = key === null ? undefined : this.repeated.get(key)
    if (twin) return twin

    const lazy = isStatic ? lazily(node, opset, inputs) : undefined
    const results = lazy ? [lazy] : this.evaluate(node, opset, inputs, isStatic)
    if (isStatic) nodes.set(node, results)
    if (key !== null) this.repeated.set(key, results)
    return results
  }

  private evaluate(node: Node, opset: number, inputs: readonly (HostLane | null)[], isStatic: boolean): HostLane[] {
    const taint = inputs.reduce<Taint | null>((worst, lane) => (worst === 'input_ids' ? worst : (lane?.taint ?? worst)), null)
    const constant = node.attributes.get('value')
    if (opKey(node) === 'Constant' && constant?.type === 'tensor')
      return [HostLane.ofTensor(node.outputs[0] ?? '', constant.value)]
    const arrays: readonly NdArray[] = evaluateNode(
      node,
      opset,
      inputs.map((lane) => lane && lane.array),
    )
    this.options.budget.spend([...inputs, ...arrays])
    if (isTokenTest(node, inputs)) return arrays.map((array, i) => noToken(node.outputs[i] ?? '', array))
    const results = arrays.map((array, i) => {
      const name = node.outputs[i] ?? ''
      // A view of an operand as it is (Cast to its own type, say) stays that operand, weights above all.
      const same = inputs.find((lane) => lane && lane.array === array)
      return same ?? HostLane.of(name, array, { taint, isStatic })
    })
    if (taint === null) return results
    const step = { node, opset, inputs, outputs: results }
    for (const lane of results) {
      if (inputs.includes(lane)) continue
      lane.step = step
      this.tainted.push(lane)
    }
    return results
  }
}

/** The operand itself, for ops that would hand it on unchanged; its numbers need not be decoded for that. */
function aliased(node: Node, inputs: readonly (HostLane | null)[]): HostLane | undefined {
  const lane = inputs[0]
  if (!lane) return undefined
  switch (opKey(node)) {
    case 'Identity':
    case 'Dropout':
      return lane
    case 'Cast':
      return ndDType(elementType(intAttribute(node, 'to'))) === lane.dtype ? lane : undefined
    default:
      return undefined
  }
}

/** A view of a weight that a matrix product takes as it lies in the file; undefined for any other op. */
function lazily(node: Node, opset: number, inputs: readonly (HostLane | null)[]): HostLane | undefined {
  switch (opKey(node)) {
    case 'Transpose':
      return lazyTranspose(node, inputs)
    case 'DequantizeLinear':
      return lazyDequantize(node, opset, inputs)
    default:
      return undefined
  }
}

/** A packed weight as numbers: computed only if something other than a matrix product needs it (see packed.ts). */
function lazyDequantize(node: Node, opset: number, inputs: readonly (HostLane | null)[]): HostLane | undefined {
  const dequantized = dequantizedWeight(node, inputs)
  if (!dequantized) return undefined
  const { rows, columns } = dequantized.format
  const make = (): NdArray => {
    const arrays = inputs.map((lane) => lane && lane.array)
    const [array] = evaluateNode(node, opset, arrays)
    if (!array) throw new GraphError(`${opKey(node)} gives no value`)
    return array
  }
  return new HostLane({ name: node.outputs[0] ?? '', dims: [rows, columns], dtype: 'float32', make, isStatic: true, dequantized })
}

/** A weight transposed: computed only if something other than a matrix product needs it (see linear.ts). */
function lazyTranspose(node: Node, inputs: readonly (HostLane | null)[]): HostLane {
  const lane = inputs[0]
  if (!lane) throw new GraphError('input 0 is missing')
  const given = transposePerm({ node }, lane.dims.length)
  // Of a transposition it is one of what lies under it: a chain of them never has to be followed.
  const under = lane.transposeOf
  const perm = under ? given.map((axis) => under.perm[axis] ?? axis) : given
  const source = under?.lane ?? lane
  return new HostLane({
    name: node.outputs[0] ?? '',
    dims: perm.map((axis) => source.dims[axis] ?? 1),
    dtype: source.dtype,
    make: () => transpose(source.array, perm),
    isStatic: true,
    transposeOf: { lane: source, perm },
  })
}

/**
 * Equal for nodes that do the same to the same values, so that what every layer computes anew from the mask is computed once.
 * null where the values are too small for that to matter, or can't be told apart cheaply.
 */
function repetitionKey(node: Node, inputs: readonly (HostLane | null)[]): string | null {
  if (!inputs.some((lane) => lane && (lane.taint !== null || elementCount(lane.dims) > SMALL))) return null
  const attributes: string[] = []
  for (const [name, attribute] of node.attributes) {
    if (attribute.type === 'tensor' || attribute.type === 'graph') return null
    attributes.push(`${name}=${String(attribute.value)}`)
  }
  const operands = inputs.map((lane) => {
    if (!lane) return '-'
    if (lane.taint !== null || elementCount(lane.dims) > SMALL) return `#${lane.id}`
    return `${lane.dtype}[${lane.dims.join()}]${lane.array.data.join()}`
  })
  return [opKey(node), node.outputs.length, ...attributes.sort(), ...operands].join('|')
}
