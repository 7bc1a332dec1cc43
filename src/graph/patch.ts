/**
 * Small changes to an ONNX file on the wire: nodes put in, names of a node's inputs and outputs changed, initializers
 * added. Every byte that is not part of a change, fields this project does not know included, is passed on as a view or slice of the file.
 */
import { GraphError, type Attribute, type Graph, type Node, type Tensor } from './ir'
import type { ByteSource, Chunk } from './source'
import { LENGTH, WireReader, WireWriter } from './wire'
import { encodeNode, encodeTensor } from './write'

/** What to do around and to one node. `inputs` and `outputs` give new names by position. */
export interface NodePatch {
  readonly before?: readonly Node[]
  readonly after?: readonly Node[]
  readonly inputs?: ReadonlyMap<number, string>
  readonly outputs?: ReadonlyMap<number, string>
}

/** Changes to the nodes of one (sub)graph. */
export interface GraphPatch {
  readonly nodes: Map<Node, NodePatch>
}

type Patches = ReadonlyMap<Graph, GraphPatch>

/**
 * The file with the changes, in chunks. `graph` is what `readModel` gave for this very file: patches refer to its
 * graphs and nodes by identity. `initializers` go to the outermost graph, where every subgraph sees them.
 */
export function patchModel(
  file: Uint8Array | ByteSource,
  graph: Graph,
  patches: Patches,
  initializers: ReadonlyMap<string, Tensor>,
): Chunk[] {
  const touched = touchedGraphs(graph, patches)
  touched.add(graph)
  const reader = WireReader.over(file, 'model')
  const writer = new WireWriter()
  rewrite(reader, writer, () => {
    if (reader.field !== 7) return null
    const message = reader.message('graph')
    return () => {
      const patched = patchGraph(message, graph, patches, touched)
      for (const [name, tensor] of initializers) patched.message(5, encodeTensor(name, tensor))
      writer.message(7, patched)
    }
  })
  return writer.chunks()
}

/** Graphs with changes in them or in a graph inside. */
function touchedGraphs(graph: Graph, patches: Patches, touched = new Set<Graph>()): Set<Graph> {
  if (patches.has(graph)) touched.add(graph)
  for (const node of graph.nodes) {
    for (const attribute of node.attributes.values()) {
      if (attribute.type !== 'graph') continue
      touchedGraphs(attribute.value, patches, touched)
      if (touched.has(attribute.value)) touched.add(graph)
    }
  }
  return touched
}

/**
 * Copies a message field by field. `change` is called at each field; it either returns null (the field stays, its value
 * unread) or reads the value and returns what to write in the field's place.
 */
export function rewrite(reader: WireReader, writer: WireWriter, change: () => (() => void) | null): void {
  let kept = reader.offset
  while (reader.next()) {
    const start = reader.fieldStart
    const before = reader.offset
    const replacement = change()
    if (!replacement) {
      if (reader.offset === before) reader.skip()
      continue
    }
    writer.slice({ source: reader.source, offset: kept, length: start - kept })
    replacement()
    kept = reader.offset
  }
  writer.slice({ source: reader.source, offset: kept, length: reader.end - kept })
}

function patchGraph(reader: WireReader, graph: Graph, patches: Patches, touched: ReadonlySet<Graph>): WireWriter {
  const writer = new WireWriter()
  const nodes = patches.get(graph)?.nodes
  let index = 0
  rewrite(reader, writer, () => {
    if (reader.field !== 1) return null
    const node = graph.nodes[index++]
    if (!node) throw new GraphError('a patch for another file')
    const patch = nodes?.get(node)
    const inner = [...node.attributes.values()].some((attribute) => attribute.type === 'graph' && touched.has(attribute.value))
    if (!patch && !inner) return null
    const message = reader.message('node', index - 1)
    return () => {
      for (const added of patch?.before ?? []) writer.message(1, encodeNode(added))
      writer.message(1, patchNode(message, node, patch ?? {}, patches, touched))
      for (const added of patch?.after ?? []) writer.message(1, encodeNode(added))
    }
  })
  return writer
}

function patchNode(reader: WireReader, node: Node, patch: NodePatch, patches: Patches, touched: ReadonlySet<Graph>): WireWriter {
  const writer = new WireWriter()
  const attributes: Attribute[] = [...node.attributes.values()]
  const seen = { inputs: 0, outputs: 0, attributes: 0 }
  const renamed = (names: ReadonlyMap<number, string> | undefined, index: number): (() => void) | null => {
    const name = names?.get(index)
    if (name === undefined) return null
    const field = reader.field
    reader.skip()
    return () => writer.string(field, name)
  }
  rewrite(reader, writer, () => {
    if (reader.wireType !== LENGTH) return null
    if (reader.field === 1) return renamed(patch.inputs, seen.inputs++)
    if (reader.field === 2) return renamed(patch.outputs, seen.outputs++)
    if (reader.field !== 5) return null
    const attribute = attributes[seen.attributes++]
    if (attribute?.type !== 'graph' || !touched.has(attribute.value)) return null
    const message = reader.message('attribute', seen.attributes - 1)
    return () => writer.message(5, patchAttribute(message, attribute.value, patches, touched))
  })
  return writer
}

function patchAttribute(reader: WireReader, graph: Graph, patches: Patches, touched: ReadonlySet<Graph>): WireWriter {
  const writer = new WireWriter()
  rewrite(reader, writer, () => {
    if (reader.field !== 6) return null
    const message = reader.message('g')
    return () => writer.message(6, patchGraph(message, graph, patches, touched))
  })
  return writer
}
