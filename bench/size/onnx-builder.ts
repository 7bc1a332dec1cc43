/**
 * Writes ONNX graphs node by node, with weights that are random numbers nobody has in memory: models of real size, made in seconds, the same every
 * time. For measurements; it knows no model.
 */
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Attribute, DType, Graph, Node, Tensor, ValueInfo } from '../../src/graph/ir'
import { checkRange, chunkLength, piecesOf, type ByteSource } from '../../src/graph/source'
import { fromFloat32, fromIntegers, tensorOver } from '../../src/graph/tensor'
import { writeModel } from '../../src/graph/write'

export const int = (value: number): Attribute => ({ type: 'int', value })
export const float = (value: number): Attribute => ({ type: 'float', value })
export const ints = (...value: number[]): Attribute => ({ type: 'ints', value })

export class OnnxBuilder {
  private readonly nodes: Node[] = []
  private readonly initializers = new Map<string, Tensor>()
  private readonly inputs: ValueInfo[] = []
  private readonly outputs: ValueInfo[] = []
  private seed = 1

  input(name: string, dtype: DType, dims: ValueInfo['dims']): string {
    this.inputs.push({ name, dtype, dims })
    return name
  }

  output(name: string, dims: ValueInfo['dims']): void {
    this.outputs.push({ name, dtype: 'float32', dims })
  }

  /** A node named `name`; its outputs are `<name>_output_0` and so on. Returns the first. */
  node(op_type: string, name: string, inputs: readonly string[], more: NodeMore = {}): string {
    const outputs = more.outputs ?? Array.from({ length: more.count ?? 1 }, (_, i) => `${name}_output_${i}`)
    const attributes = new Map(Object.entries(more.attributes ?? {}))
    this.nodes.push({ op_type, domain: more.domain ?? '', name, inputs, outputs, attributes })
    return outputs[0] ?? ''
  }

  /** Uniform in centre +- spread. */
  weight(name: string, dims: readonly number[], spread: number, centre = 0): string {
    return this.add(name, 'float32', dims, new RandomFloats(this.seed++, elements(dims), spread, centre))
  }

  /** Random bytes. */
  bytes(name: string, dims: readonly number[]): string {
    return this.add(name, 'uint8', dims, new RandomBytes(this.seed++, elements(dims)))
  }

  floats(name: string, dims: readonly number[], values: Float32Array): string {
    this.initializers.set(name, fromFloat32(dims, values))
    return name
  }

  int64s(name: string, ...values: number[]): string {
    if (!this.initializers.has(name)) this.initializers.set(name, fromIntegers('int64', [values.length], values))
    return name
  }

  constant(name: string, tensor: Tensor): string {
    this.initializers.set(name, tensor)
    return name
  }

  /** Writes the file, a few MiB at a time. Returns its size. */
  write(path: string, opset: number): number {
    const { nodes, inputs, outputs, initializers } = this
    const graph: Graph = { name: 'main_graph', nodes, inputs, outputs, initializers }
    const opsets = new Map([['', opset], ['com.microsoft', 1]]) // prettier-ignore
    const chunks = writeModel({ ir_version: 8, producer_name: 'bench/size', opsets, graph })
    mkdirSync(dirname(path), { recursive: true })
    const file = openSync(path, 'w')
    let size = 0
    for (const chunk of chunks) {
      const pieces = chunk instanceof Uint8Array ? [chunk] : piecesOf(chunk)
      for (const piece of pieces) writeSync(file, piece)
      size += chunkLength(chunk)
    }
    closeSync(file)
    return size
  }

  private add(name: string, dtype: DType, dims: readonly number[], source: ByteSource): string {
    this.initializers.set(name, tensorOver(dtype, dims, { source, offset: 0, length: source.size }, 0))
    return name
  }
}

interface NodeMore {
  readonly attributes?: Readonly<Record<string, Attribute>>
  readonly domain?: string
  readonly outputs?: readonly string[]
  /** Of outputs, where they are not named. */
  readonly count?: number
}

const elements = (dims: readonly number[]): number => dims.reduce((count, dim) => count * dim, 1)

/** A number in [0, 2^32) for every index (the finaliser of MurmurHash3): any part can be made by itself. */
function hash(seed: number, index: number): number {
  let h = Math.imul(index ^ Math.imul(seed, 0x9e3779b1), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

abstract class Made implements ByteSource {
  readonly in_memory = false
  abstract readonly size: number

  abstract read(offset: number, length: number): Uint8Array

  readInto(offset: number, into: Uint8Array): void {
    into.set(this.read(offset, into.byteLength))
  }

  part(offset: number, length: number): Uint8Array {
    return this.read(offset, length)
  }
}

class RandomFloats extends Made {
  readonly size: number

  constructor(
    private readonly seed: number,
    count: number,
    private readonly spread: number,
    private readonly centre: number,
  ) {
    super()
    this.size = 4 * count
  }

  read(offset: number, length: number): Uint8Array {
    checkRange(this, offset, length)
    if (offset % 4 !== 0 || length % 4 !== 0) throw new RangeError('part of a number')
    const first = offset / 4
    const values = Float32Array.from(
      { length: length / 4 },
      (_, i) => this.centre + this.spread * (hash(this.seed, first + i) / 2 ** 31 - 1),
    )
    return new Uint8Array(values.buffer)
  }
}

class RandomBytes extends Made {
  constructor(
    private readonly seed: number,
    readonly size: number,
  ) {
    super()
  }

  read(offset: number, length: number): Uint8Array {
    checkRange(this, offset, length)
    return Uint8Array.from({ length }, (_, i) => hash(this.seed, offset + i) & 255)
  }
}
