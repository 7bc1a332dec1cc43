/**
 * Functions of the file itself (ModelProto.functions), as dynamo-style exports have them before they are optimised: every call is
 * replaced by the nodes of the function's body.
 *
 * Only names and attributes change; nothing is evaluated. What a call means is in the ONNX spec:
 * https://github.com/onnx/onnx/blob/v1.18.0/docs/IR.md#functions
 */
import { describeNode } from './host/attributes'
import { renameNode } from './inline'
import { GraphError, type Attribute, type Graph, type LocalFunction, type Node, type OnnxModel } from './ir'

/** Functions that call others twice grow exponentially; no model has as many nodes as this. */
const MAX_NODES = 500_000
/** Calls within calls, and branches within branches. */
const MAX_DEPTH = 64

/**
 * The model without functions; the model itself where it has none.
 * @throws GraphError naming the call, for functions that call themselves, bodies of another operator set than the model's, calls with
 *   too many inputs or outputs, or more nodes than any model has
 */
export function inlineFunctions(model: OnnxModel): OnnxModel {
  if (!model.functions) return model
  const functions = new Map<string, LocalFunction>()
  for (const local of model.functions) {
    const key = keyOf(local.domain, local.name, local.overload)
    if (functions.has(key)) throw new GraphError(`a second function ${key}`)
    functions.set(key, local)
  }
  const sizes = new Sizes(functions)
  sizes.of(model.graph.nodes, [])
  const inliner = new Inliner(functions, new Map(model.opsets), namesIn(model.graph))
  const graph = inliner.graph(model.graph)
  const { ir_version, producer_name } = model
  return { ir_version, producer_name, opsets: inliner.opsets, graph }
}

function keyOf(domain: string, name: string, overload = ''): string {
  return [domain === '' ? name : `${domain}.${name}`, ...(overload === '' ? [] : [overload])].join(':')
}

/** How many nodes there will be, counted before any is made. */
class Sizes {
  private readonly known = new Map<LocalFunction, number>()

  constructor(private readonly functions: ReadonlyMap<string, LocalFunction>) {}

  /** @param within the functions being counted, outermost first */
  of(nodes: readonly Node[], within: readonly (LocalFunction | null)[]): number {
    let total = 0
    for (const node of nodes) {
      const fail = (why: string): never => {
        throw new GraphError(`${describeNode(node)}: ${why}`)
      }
      if (within.length > MAX_DEPTH) fail(`nested more than ${MAX_DEPTH} deep`)
      const local = this.functions.get(keyOf(node.domain, node.op_type, node.overload))
      if (local && within.includes(local)) fail('the function calls itself')
      total += 1 + (local ? this.ofBody(local, within) : 0)
      for (const value of node.attributes.values())
        if (value.type === 'graph') total += this.of(value.value.nodes, [...within, null])
      if (total > MAX_NODES) fail(`its functions make more than ${MAX_NODES} nodes`)
    }
    return total
  }

  private ofBody(local: LocalFunction, within: readonly (LocalFunction | null)[]): number {
    const size = this.known.get(local) ?? this.of(local.nodes, [...within, local])
    this.known.set(local, size)
    return size
  }
}

class Inliner {
  /** @param taken every name of the graph, to which those of inlined values are added */
  constructor(
    private readonly functions: ReadonlyMap<string, LocalFunction>,
    readonly opsets: Map<string, number>,
    private readonly taken: Set<string>,
  ) {}

  graph(graph: Graph): Graph {
    return { ...graph, nodes: graph.nodes.flatMap((node) => this.node(node)) }
  }

  private node(node: Node): Node[] {
    const local = this.functions.get(keyOf(node.domain, node.op_type, node.overload))
    if (local) return this.call(node, local)
    const attributes = new Map<string, Attribute>()
    for (const [name, value] of node.attributes) {
      attributes.set(name, value.type === 'graph' ? { ...value, value: this.graph(value.value) } : value)
    }
    return [{ ...node, attributes }]
  }

  private call(node: Node, local: LocalFunction): Node[] {
    const fail = (why: string): never => {
      throw new GraphError(`${describeNode(node)}: ${why}`)
    }
    if (node.inputs.length > local.inputs.length) fail(`${node.inputs.length} inputs, the function has ${local.inputs.length}`)
    if (node.outputs.length > local.outputs.length)
      fail(`${node.outputs.length} outputs, the function has ${local.outputs.length}`)
    for (const [domain, version] of local.opsets) {
      const known = this.opsets.get(domain)
      if (known !== undefined && known !== version)
        fail(`the function is written for version ${version} of operator set '${domain}', the model for ${known}`)
      this.opsets.set(domain, version)
    }

    const prefix = node.name || (node.outputs[0] ?? local.name)
    const names = new Map(local.inputs.flatMap((input, i) => (input === '' ? [] : [[input, node.inputs[i] ?? ''] as const])))
    const aliases: Node[] = []
    local.outputs.forEach((output, i) => {
      const outer = node.outputs[i] ?? ''
      if (outer === '') return
      const known = names.get(output)
      if (known === undefined) names.set(output, outer)
      // An output that is an input, or that is given twice, needs a node to carry its second name.
      else aliases.push(identity(known, outer))
    })
    for (const inner of local.nodes) {
      for (const output of inner.outputs)
        if (output !== '' && !names.has(output)) names.set(output, this.fresh(`${prefix}/${output}`))
    }
    const given = new Map([...local.defaults, ...node.attributes])
    const body = local.nodes.map((inner) => renameNode(resolved(inner, given, prefix), names))
    return [...body.flatMap((inner) => this.node(inner)), ...aliases]
  }

  private fresh(base: string): string {
    let name = base
    for (let n = 2; this.taken.has(name); n++) name = `${base}_${n}`
    this.taken.add(name)
    return name
  }
}

/** With the attributes it takes from the call, which stay away where the call has none. */
function resolved(node: Node, given: ReadonlyMap<string, Attribute>, prefix: string): Node {
  const attributes = new Map<string, Attribute>()
  for (const [name, value] of node.attributes) {
    if (value.type !== 'graph') attributes.set(name, value)
    else
      attributes.set(name, {
        ...value,
        value: { ...value.value, nodes: value.value.nodes.map((inner) => resolved(inner, given, prefix)) },
      })
  }
  for (const [name, reference] of node.references ?? []) {
    const value = given.get(reference)
    if (value) attributes.set(name, value)
  }
  const { op_type, domain, name, inputs, outputs, overload } = node
  const plain: Node = { op_type, domain, name: name === '' ? '' : `${prefix}/${name}`, inputs, outputs, attributes }
  return overload === undefined ? plain : { ...plain, overload }
}

function identity(from: string, to: string): Node {
  return { op_type: 'Identity', domain: '', name: to, inputs: [from], outputs: [to], attributes: new Map() }
}

/** Every name of a value in a graph and its branches. */
function namesIn(graph: Graph, names = new Set<string>()): Set<string> {
  for (const { name } of graph.inputs) names.add(name)
  for (const name of graph.initializers.keys()) names.add(name)
  for (const node of graph.nodes) {
    for (const output of node.outputs) names.add(output)
    for (const value of node.attributes.values()) if (value.type === 'graph') namesIn(value.value, names)
  }
  return names
}
