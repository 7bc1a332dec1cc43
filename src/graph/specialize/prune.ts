/** Keeps of a graph what one value depends on, in an order in which every node comes after what it needs. */
import { GraphError, type Graph, type Node } from '../ir'
import { describeNode } from '../host/attributes'

/** Values a node reads: its inputs, and what its branches take from outside. */
function dependencies(node: Node): string[] {
  const names = node.inputs.filter((name) => name !== '')
  for (const attribute of node.attributes.values()) if (attribute.type === 'graph') names.push(...captured(attribute.value))
  return names
}

/** Names a branch uses without defining them. */
function captured(graph: Graph): string[] {
  const own = new Set([
    ...graph.initializers.keys(),
    ...graph.inputs.map(({ name }) => name),
    ...graph.nodes.flatMap((node) => node.outputs),
  ])
  return [...graph.nodes.flatMap(dependencies), ...graph.outputs.map(({ name }) => name)].filter((name) => !own.has(name))
}

/** Every name some node reads. */
export function consumedNames(nodes: readonly Node[]): ReadonlySet<string> {
  return new Set(nodes.flatMap(dependencies))
}

/**
 * @param cut a value to treat as an input: nothing before it is kept
 * @throws GraphError for a value nobody defines, one defined twice, or nodes that wait for each other
 */
export function pruneTo(graph: Graph, output: string, cut?: string): Graph {
  const producers = new Map<string, Node>()
  for (const node of graph.nodes) {
    for (const name of node.outputs) {
      if (name === '') continue
      if (producers.has(name)) throw new GraphError(`${describeNode(node)} defines '${name}' a second time`)
      producers.set(name, node)
    }
  }
  const inputs = new Set(graph.inputs.map(({ name }) => name))
  const needed = new Set<string>()
  const done = new Set<Node>()
  const open = new Set<Node>()
  const nodes: Node[] = []

  // Depth first without recursion: exports have chains of thousands of nodes.
  const stack: { name: string; leave?: Node }[] = [{ name: output }]
  for (let item = stack.pop(); item; item = stack.pop()) {
    if (item.leave) {
      open.delete(item.leave)
      done.add(item.leave)
      nodes.push(item.leave)
      continue
    }
    const { name } = item
    needed.add(name)
    if (name === cut) continue
    const node = producers.get(name)
    if (!node) {
      if (!graph.initializers.has(name) && !inputs.has(name))
        throw new GraphError(`value '${name}' is used but nothing defines it`)
      continue
    }
    if (done.has(node)) continue
    if (open.has(node)) throw new GraphError(`${describeNode(node)} depends on its own output '${name}'`)
    open.add(node)
    stack.push({ name, leave: node })
    for (const dependency of dependencies(node)) stack.push({ name: dependency })
  }
  return {
    name: graph.name,
    nodes,
    inputs: graph.inputs.filter(({ name }) => needed.has(name) && name !== cut && !graph.initializers.has(name)),
    outputs: graph.outputs.filter(({ name }) => name === output),
    initializers: new Map([...graph.initializers].filter(([name]) => needed.has(name))),
  }
}
