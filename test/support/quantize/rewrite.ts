/**
 * Rewriting a model node by node, branches of an If included: what the makers of other precisions beside this file share. Constants are
 * seen from every branch; new ones go to the outermost graph, and those nothing reads any more are dropped, as the hub's tools do.
 */
import type { Graph, Node, OnnxModel, Tensor } from '../../../src/graph/ir'

/** What a rule sees and does besides returning nodes. */
export interface Site {
  /** Element values of a name, if they are stored in the file: an initializer of this graph or of one around it. */
  constant(name: string): Tensor | undefined
  /** Puts a constant into the outermost graph; the same name twice is the same constant. Returns its name. */
  add(name: string, tensor: () => Tensor): string
  /** Whether this graph has been given nodes under this key before (a DynamicQuantizeLinear shared by several layers). */
  once(key: string): boolean
}

/** The nodes that take a node's place; undefined leaves it as it is. */
export type Rule = (node: Node, site: Site) => readonly Node[] | undefined

export function rewriteNodes(model: OnnxModel, rule: Rule): OnnxModel {
  const added = new Map<string, Tensor>()
  const graph = rewriteGraph(model.graph, rule, (name) => model.graph.initializers.get(name), added)
  const whole = { ...graph, initializers: new Map([...graph.initializers, ...added]) }
  const used = new Set<string>()
  collectNames(whole, used)
  return { ...model, graph: { ...whole, initializers: new Map([...whole.initializers].filter(([name]) => used.has(name))) } }
}

function rewriteGraph(graph: Graph, rule: Rule, outer: (name: string) => Tensor | undefined, added: Map<string, Tensor>): Graph {
  const constant = (name: string) => graph.initializers.get(name) ?? outer(name)
  const seen = new Set<string>()
  const site: Site = {
    constant,
    add: (name, tensor) => {
      if (!added.has(name)) added.set(name, tensor())
      return name
    },
    once: (key) => {
      if (seen.has(key)) return false
      seen.add(key)
      return true
    },
  }
  const nodes = graph.nodes.flatMap((node) => {
    const attributes = new Map(
      [...node.attributes].map(([name, attribute]) => [
        name,
        attribute.type === 'graph'
          ? { type: 'graph' as const, value: rewriteGraph(attribute.value, rule, constant, added) }
          : attribute,
      ]),
    )
    const inside = { ...node, attributes }
    return rule(inside, site) ?? [inside]
  })
  return { ...graph, nodes }
}

/** Every name read in a graph and below it. */
function collectNames(graph: Graph, used: Set<string>): void {
  for (const node of graph.nodes) {
    for (const name of node.inputs) used.add(name)
    for (const attribute of node.attributes.values()) if (attribute.type === 'graph') collectNames(attribute.value, used)
  }
  for (const { name } of graph.outputs) used.add(name)
}

/** A float matrix stored in the file, as the weight of a linear layer or a table. */
export function floatMatrix(site: Site, name: string | undefined): Tensor | undefined {
  const tensor = site.constant(name ?? '')
  return tensor?.dtype === 'float32' && tensor.dims.length === 2 ? tensor : undefined
}

export const isOp = (node: Node, op_type: string): boolean => node.domain === '' && node.op_type === op_type

export function intOf(node: Node, name: string, absent: number): number {
  const attribute = node.attributes.get(name)
  return attribute?.type === 'int' ? attribute.value : absent
}

export function floatOf(node: Node, name: string, absent: number): number {
  const attribute = node.attributes.get(name)
  return attribute?.type === 'float' ? attribute.value : absent
}

/** The first output, which every node rewritten here has. */
export function outputOf(node: Node): string {
  const [output] = node.outputs
  if (output === undefined) throw new Error(`${node.name} has no output`)
  return output
}
