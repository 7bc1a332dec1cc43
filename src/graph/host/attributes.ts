/** Typed access to a node's attributes, and how messages name a node. A missing or mistyped attribute is a GraphError. */
import { GraphError, type Attribute, type Graph, type Node, type Tensor } from '../ir'

/** 'com.microsoft.MatMulNBits' or plain 'MatMul': the key of an op in every table. */
export function opKey(node: Pick<Node, 'op_type' | 'domain'>): string {
  return node.domain === '' ? node.op_type : `${node.domain}.${node.op_type}`
}

/** For messages: op and the name people find it by in a viewer. */
export function describeNode(node: Node): string {
  return `${opKey(node)} '${node.name || (node.outputs[0] ?? '')}'`
}

function attribute<T extends Attribute['type']>(node: Node, name: string, type: T): Extract<Attribute, { type: T }> | undefined {
  const found = node.attributes.get(name)
  if (found === undefined) return undefined
  if (!isType(found, type)) throw new GraphError(`attribute '${name}' is ${found.type}, ${type} was expected`)
  return found
}

function isType<T extends Attribute['type']>(value: Attribute, type: T): value is Extract<Attribute, { type: T }> {
  return value.type === type
}

function missing(name: string): never {
  throw new GraphError(`attribute '${name}' is missing`)
}

export function intAttribute(node: Node, name: string, byDefault?: number): number {
  return attribute(node, name, 'int')?.value ?? byDefault ?? missing(name)
}

export function floatAttribute(node: Node, name: string, byDefault?: number): number {
  return attribute(node, name, 'float')?.value ?? byDefault ?? missing(name)
}

export function stringAttribute(node: Node, name: string, byDefault?: string): string {
  return attribute(node, name, 'string')?.value ?? byDefault ?? missing(name)
}

export function intsAttribute(node: Node, name: string): readonly number[] | undefined {
  return attribute(node, name, 'ints')?.value
}

export function floatsAttribute(node: Node, name: string): readonly number[] | undefined {
  return attribute(node, name, 'floats')?.value
}

export function tensorAttribute(node: Node, name: string): Tensor | undefined {
  return attribute(node, name, 'tensor')?.value
}

export function graphAttribute(node: Node, name: string): Graph {
  return attribute(node, name, 'graph')?.value ?? missing(name)
}

/** Runs `work`, putting the node's name before the message of any GraphError it throws. */
export function atNode<T>(node: Node, work: () => T): T {
  try {
    return work()
  } catch (error) {
    const name = new GraphError(describeNode(node)).message
    if (error instanceof GraphError && !error.message.startsWith(name)) throw new GraphError(`${name}: ${error.message}`)
    throw error
  }
}
