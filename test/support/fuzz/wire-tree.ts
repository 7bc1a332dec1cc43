/**
 * A protobuf file of ONNX as a tree that can be changed and written again, lengths put right: what a mutation needs to get past the outermost
 * checks. It knows which fields are messages and nothing else of them. Only for well-formed files.
 */
import { FIXED64, LENGTH, VARINT } from '../../../src/graph/wire'

/** Message fields of each message, by field number (onnx.proto). Other length-delimited fields are bytes. */
const MESSAGES: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  model: { 7: 'graph', 8: 'opset' },
  graph: { 1: 'node', 5: 'tensor', 11: 'value', 12: 'value' },
  node: { 5: 'attribute' },
  attribute: { 5: 'tensor', 6: 'graph' },
  tensor: { 13: 'entry' },
  value: { 2: 'type' },
  type: { 1: 'tensor_type' },
  tensor_type: { 2: 'shape' },
  shape: { 1: 'dim' },
}

/** One field; `value` is a number that is still a varint, the bytes of any other kind, or the fields of a message. */
export interface Field {
  readonly number: number
  readonly wireType: number
  readonly message: string | null
  readonly value: bigint | Uint8Array | readonly Field[]
}

export function parseTree(file: Uint8Array): Field[] {
  return fieldsOf(file, 0, file.byteLength, 'model')
}

function fieldsOf(file: Uint8Array, from: number, end: number, message: string): Field[] {
  const fields: Field[] = []
  let at = from
  const readVarint = (): bigint => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = file[at++] ?? 0
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }
  while (at < end) {
    const tag = Number(readVarint())
    const [number, wireType] = [Math.floor(tag / 8), tag % 8]
    if (wireType === VARINT) {
      fields.push({ number, wireType, message: null, value: readVarint() })
      continue
    }
    const size = wireType === LENGTH ? Number(readVarint()) : wireType === FIXED64 ? 8 : 4
    const inner = wireType === LENGTH ? (MESSAGES[message]?.[number] ?? null) : null
    const value = inner === null ? file.subarray(at, at + size) : fieldsOf(file, at, at + size, inner)
    fields.push({ number, wireType, message: inner, value })
    at += size
  }
  return fields
}

/** The tree's bytes. Numbers may be anything: they are written as 64 bits. */
export function writeTree(fields: readonly Field[]): Uint8Array {
  const parts: Uint8Array[] = []
  write(fields, parts)
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.byteLength
  }
  return out
}

function write(fields: readonly Field[], parts: Uint8Array[]): void {
  for (const { number, wireType, value } of fields) {
    parts.push(varint(BigInt(number * 8 + wireType)))
    if (typeof value === 'bigint') parts.push(varint(value))
    else {
      const bytes = value instanceof Uint8Array ? value : writeTree(value)
      if (wireType === LENGTH) parts.push(varint(BigInt(bytes.byteLength)))
      parts.push(bytes)
    }
  }
}

/** A 64-bit varint. */
export function varint(value: bigint): Uint8Array {
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, value)
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
  bytes.push(Number(rest))
  return Uint8Array.from(bytes)
}
