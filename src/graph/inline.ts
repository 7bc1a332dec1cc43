/**
 * Merged decoders made flat: optimum writes one file whose graph is `If(use_cache_branch)`, with a with-past branch and a
 * no-past branch over shared weights. Tuning never has a past, so the no-past branch takes the If's place.
 *
 * It only rewires names; nothing is evaluated or pruned here (cut.ts does that).
 */
import { graphAttribute } from './host/attributes'
import { GraphError, type Graph, type Node, type OnnxModel } from './ir'

const SWITCH = 'use_cache_branch'
/** Ops that may stand between the switch and the If without changing its meaning. */
const TRANSPARENT: ReadonlySet<string> = new Set(['Identity', 'Cast', 'Squeeze', 'Unsqueeze', 'Reshape'])

/**
 * The model with every top-level `If(use_cache_branch)` replaced by its else branch; the model itself if there is none.
 * @throws GraphError when the branch's outputs are not those of the If
 */
export function inlineMerged(model: OnnxModel): OnnxModel {
  const { graph } = model
  if (!graph.inputs.some((input) => input.name === SWITCH)) return model
  const switches = new Set([SWITCH])
  const taken = new Set([
    ...graph.inputs.map((input) => input.name),
    ...graph.initializers.keys(),
    ...graph.nodes.flatMap((node) => node.outputs),
  ])
  const numbered = new Map<string, number>()
  const initializers = new Map(graph.initializers)
  const nodes: Node[] = []
  for (const node of graph.nodes) {
    const [first = ''] = node.inputs
    if (TRANSPARENT.has(node.op_type) && switches.has(first)) node.outputs.forEach((name) => switches.add(name))
    if (node.op_type !== 'If' || !switches.has(first)) {
      nodes.push(node)
      continue
    }
    const branch = renamed(graphAttribute(node, 'else_branch'), node, taken, numbered)
    nodes.push(...branch.nodes)
    for (const [name, tensor] of branch.initializers) initializers.set(name, tensor)
  }
  return { ...model, graph: { ...graph, nodes, initializers, inputs: graph.inputs.filter((input) => input.name !== SWITCH) } }
}

/**
 * The branch's nodes and constants under names that fit the outer graph; its outputs get the names of the If's.
 * @param numbered the last number given to each name that was taken
 */
function renamed(
  branch: Graph,
  node: Node,
  taken: Set<string>,
  numbered: Map<string, number>,
): Pick<Graph, 'nodes' | 'initializers'> {
  if (branch.outputs.length !== node.outputs.length) {
    throw new GraphError(`If '${node.name}': ${node.outputs.length} outputs, but its else branch has ${branch.outputs.length}`)
  }
  const own = new Set([...branch.initializers.keys(), ...branch.nodes.flatMap((inner) => inner.outputs)])
  const names = new Map<string, string>()
  const aliases: Node[] = []
  branch.outputs.forEach(({ name }, i) => {
    const outer = node.outputs[i] ?? ''
    if (outer === '') return
    if (own.has(name) && !names.has(name)) names.set(name, outer)
    // The branch hands on a value of the outer graph, or one value twice: that needs a node to carry the second name.
    else
      aliases.push({
        op_type: 'Identity',
        domain: '',
        name: outer,
        inputs: [names.get(name) ?? name],
        outputs: [outer],
        attributes: new Map(),
      })
  })
  for (const name of own) {
    if (name === '' || names.has(name)) continue
    let free = name
    let n = numbered.get(name) ?? 1
    while (taken.has(free)) free = `${name}_${++n}`
    numbered.set(name, n)
    taken.add(free)
    if (free !== name) names.set(name, free)
  }
  return {
    nodes: [...branch.nodes.map((inner) => renameNode(inner, names)), ...aliases],
    initializers: new Map([...branch.initializers].map(([name, tensor]) => [names.get(name) ?? name, tensor])),
  }
}

/** The node with other names for values, those its branches read from outside included. */
export function renameNode(node: Node, names: ReadonlyMap<string, string>): Node {
  const rename = (name: string) => names.get(name) ?? name
  const attributes = [...node.attributes].map(([key, value]) => {
    return [key, value.type === 'graph' ? { ...value, value: renameCaptured(value.value, names) } : value] as const
  })
  return { ...node, inputs: node.inputs.map(rename), outputs: node.outputs.map(rename), attributes: new Map(attributes) }
}

/** A nested branch sees the outer names, except those it defines itself. */
function renameCaptured(graph: Graph, names: ReadonlyMap<string, string>): Graph {
  const visible = new Map(names)
  for (const node of graph.nodes) for (const name of node.outputs) visible.delete(name)
  for (const name of graph.initializers.keys()) visible.delete(name)
  return {
    ...graph,
    nodes: graph.nodes.map((node) => renameNode(node, visible)),
    outputs: graph.outputs.map((output) => ({ ...output, name: visible.get(output.name) ?? output.name })),
  }
}
