/**
 * Which ops a cut model is made of, and which of them nothing here can compute: said before training starts. It follows the same
 * rule as specialize.ts (a value depends on the embeddings unless an op only looks at its shape) and asks the same tables.
 */
import { deviceInputs, type CutGraph } from './cut'
import { opKey } from './host/attributes'
import { HOST_OPS } from './host/table'
import type { Graph, Node } from './ir'
import { DEVICE_RULES } from './normalize/table'
import { SHAPE_ONLY } from './specialize/walk'

export interface UnsupportedNode {
  readonly op_type: string
  readonly domain: string
  /** The node's name, or that of its first output. */
  readonly node: string
}

export interface Coverage {
  /** Number of nodes by op, 'com.microsoft.X' outside the default domain; branches of an If included. */
  readonly ops: Readonly<Record<string, number>>
  readonly unsupported: readonly UnsupportedNode[]
}

/** A node within what was cut out may still be refused for its attributes: specialize says so, naming it. */
export function coverage(...graphs: readonly CutGraph[]): Coverage {
  const ops = new Map<string, number>()
  const unsupported: UnsupportedNode[] = []
  for (const cut of graphs) visit(cut.graph, new Set(deviceInputs(cut)), ops, unsupported)
  return { ops: Object.fromEntries([...ops].sort(([a], [b]) => (a < b ? -1 : 1))), unsupported }
}

function visit(graph: Graph, onDevice: Set<string>, ops: Map<string, number>, unsupported: UnsupportedNode[]): void {
  for (const node of graph.nodes) {
    const key = opKey(node)
    ops.set(key, (ops.get(key) ?? 0) + 1)
    const branches = [...node.attributes.values()].flatMap((attribute) => (attribute.type === 'graph' ? [attribute.value] : []))
    for (const branch of branches) visit(branch, onDevice, ops, unsupported)
    const device = dependsOnEmbeddings(node, branches, onDevice)
    if (device) for (const name of node.outputs) onDevice.add(name)
    const table = device ? DEVICE_RULES : HOST_OPS
    if (key === 'If' || SHAPE_ONLY.has(key) || table.has(key)) continue
    unsupported.push({ op_type: node.op_type, domain: node.domain, node: node.name || (node.outputs[0] ?? '') })
  }
}

/** `branches` were visited before: what they compute on the device is known. */
function dependsOnEmbeddings(node: Node, branches: readonly Graph[], onDevice: ReadonlySet<string>): boolean {
  if (SHAPE_ONLY.has(opKey(node))) return false
  return (
    node.inputs.some((name) => onDevice.has(name)) ||
    branches.some(({ outputs }) => outputs.some(({ name }) => onDevice.has(name)))
  )
}
