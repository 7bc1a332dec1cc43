/**
 * The in-memory form of an ONNX file: what `read.ts` produces and every other part of this room works on.
 *
 * It mirrors onnx.proto (https://github.com/onnx/onnx/blob/v1.18.0/onnx/onnx.proto3) with two liberties: absent
 * optional inputs are the empty string as on the wire, and 64-bit attribute integers are JavaScript numbers (an
 * INT64_MAX "until the end" stays larger than any dimension). It knows nothing of prompts, training or devices.
 */
import { printable } from './printable'

import type { ByteSlice } from './source'

/** Element types, named as in PyTorch; `int4` and `uint4` hold two elements a byte, low nibble first. */
export type DType =
  | 'float32'
  | 'float16'
  | 'bfloat16'
  | 'float64'
  | 'int64'
  | 'int32'
  | 'int16'
  | 'int8'
  | 'uint64'
  | 'uint32'
  | 'uint16'
  | 'uint8'
  | 'int4'
  | 'uint4'
  | 'bool'
  | 'string'

/**
 * A constant of the file; it keeps its identity, by which others know it. `bytes` is a view into the file (little-endian, maybe unaligned)
 * where the file is in memory. Where it isn't, a large constant is `stored`: each look at `bytes` reads it into new memory, which is to be
 * let go of soon. Its size is `byteLength` (tensor.ts), which reads nothing.
 */
export interface Tensor {
  readonly dtype: DType
  readonly dims: readonly number[]
  readonly bytes: Uint8Array
  /** Where the bytes lie when they are not in memory. */
  readonly stored?: ByteSlice
}

export type Attribute =
  | { readonly type: 'float'; readonly value: number }
  | { readonly type: 'int'; readonly value: number }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'tensor'; readonly value: Tensor }
  | { readonly type: 'graph'; readonly value: Graph }
  | { readonly type: 'floats'; readonly value: readonly number[] }
  | { readonly type: 'ints'; readonly value: readonly number[] }
  | { readonly type: 'strings'; readonly value: readonly string[] }

export interface Node {
  readonly op_type: string
  /** '' is the default ONNX domain ('ai.onnx' is read as ''). */
  readonly domain: string
  readonly name: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes: ReadonlyMap<string, Attribute>
  /** Which of several functions of one name is called; absent outside calls. */
  readonly overload?: string
  /** In a function's body: attributes whose values are those the function is called with, by the name they have there. */
  readonly references?: ReadonlyMap<string, string>
}

/** A function of the file itself, which nodes of its domain and name call (FunctionProto). It is inlined before anything else. */
export interface LocalFunction {
  readonly domain: string
  readonly name: string
  readonly overload: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly nodes: readonly Node[]
  /** Values of attributes that a call leaves out. */
  readonly defaults: ReadonlyMap<string, Attribute>
  /** Operator set version by domain, for its own nodes. */
  readonly opsets: ReadonlyMap<string, number>
}

/** A graph input or output; a symbolic dimension is its name, an unknown one is null. */
export interface ValueInfo {
  readonly name: string
  readonly dtype: DType
  readonly dims: readonly (number | string | null)[]
  /** What the file leaves open (outputs of subgraphs may): float32, or no dims, then merely stand in. */
  readonly incomplete?: 'type' | 'shape'
}

export interface Graph {
  readonly name: string
  readonly nodes: readonly Node[]
  readonly inputs: readonly ValueInfo[]
  readonly outputs: readonly ValueInfo[]
  readonly initializers: ReadonlyMap<string, Tensor>
}

export interface OnnxModel {
  readonly ir_version: number
  readonly producer_name: string
  /** Operator set version by domain. */
  readonly opsets: ReadonlyMap<string, number>
  readonly graph: Graph
  /** Absent where there are none. */
  readonly functions?: readonly LocalFunction[]
}

/**
 * A file that can't be read, or a graph that can't be tuned. The message names the place (node, tensor, byte offset); what names of the file
 * are in it is made fit to be shown (printable.ts).
 */
export class GraphError extends Error {
  override readonly name = 'GraphError'
  constructor(message: string, options?: ErrorOptions) {
    super(printable(message), options)
  }
}

/** Bytes one element takes (a fraction for the packed 4-bit types). */
export const BYTES_PER_ELEMENT: Readonly<Record<Exclude<DType, 'string'>, number>> = {
  float32: 4,
  float16: 2,
  bfloat16: 2,
  float64: 8,
  int64: 8,
  int32: 4,
  int16: 2,
  int8: 1,
  uint64: 8,
  uint32: 4,
  uint16: 2,
  uint8: 1,
  int4: 0.5,
  uint4: 0.5,
  bool: 1,
}

/** Number of elements of a shape; 1 for a scalar. */
export function elementCount(dims: readonly number[]): number {
  let count = 1
  for (const dim of dims) count *= dim
  return count
}
