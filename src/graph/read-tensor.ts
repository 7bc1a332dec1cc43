/**
 * A TensorProto's elements as one run of bytes: some of the file (`raw_data`, `float_data` in one run) or of its external data
 * file, or, for values stored as other typed fields (`int32_data`, ...), the bytes they stand for.
 *
 * Field numbers and rules: https://github.com/onnx/onnx/blob/v1.18.0/onnx/onnx.proto3 (message TensorProto). The size of
 * everything is checked against the file before anything is allocated. Strings stay in wire form (see `readTensor`).
 */
import { BYTES_PER_ELEMENT, elementCount, type DType, type Tensor } from './ir'
import { dtypeOf } from './onnx-enums'
import { asSource, concatBytes, type ByteSlice, type ByteSource } from './source'
import { tensorOver } from './tensor'
import { FIXED32, FIXED64, LENGTH, VARINT, WireWriter, type WireReader } from './wire'

const MAX_RANK = 32
/** Constants of a file that is not in memory are read at once up to this size: shapes, norms, biases. */
const KEPT_BYTES = 16 * 1024

/** Where external data comes from: the files by the name the model calls them, or 'skip' to leave such tensors without bytes. */
export type ExternalData = ReadonlyMap<string, Uint8Array | ByteSource> | 'skip'

/** Which field holds the values of each dtype; 4-bit ones are stored two in a number there. */
const TYPED_FIELD: Readonly<Record<DType, number>> = {
  float32: 4,
  float64: 10,
  string: 6,
  int64: 7,
  uint32: 11,
  uint64: 11,
  int32: 5,
  int16: 5,
  int8: 5,
  int4: 5,
  uint16: 5,
  uint8: 5,
  uint4: 5,
  bool: 5,
  float16: 5,
  bfloat16: 5,
}

interface Header {
  name: string
  data_type: number
  dims: number[]
  raw: ByteSlice | null
  typed: Set<number>
  /** The one packed run of float_data or double_data: what raw_data would hold. */
  run: { readonly field: number; readonly slice: ByteSlice } | null
  external: Map<string, string>
  isExternal: boolean
}

/**
 * Reads the tensor `reader` stands before. The bytes of a `string` tensor are its string_data fields as on the wire.
 * @throws GraphError naming tensor and byte: unknown dtype, bad dims, a size that does not fit, missing external data
 */
export function readTensor(reader: WireReader, external: ExternalData): { name: string; tensor: Tensor } {
  const start = reader.offset
  const header = readHeader(reader)
  const called = header.name === '' ? 'tensor' : `tensor "${header.name}"`
  const dtype = dtypeOf(header.data_type)
  if (dtype === undefined) throw reader.error(`${called} has data type ${header.data_type}, which is not supported`)
  const count = elementCount(header.dims)
  if (!Number.isSafeInteger(count)) throw reader.error(`${called} has too many elements: ${header.dims.join(' x ')}`)
  const tensor = (bytes: Uint8Array | ByteSlice): { name: string; tensor: Tensor } => ({
    name: header.name,
    tensor: bytes instanceof Uint8Array ? { dtype, dims: header.dims, bytes } : tensorOver(dtype, header.dims, bytes, KEPT_BYTES),
  })

  if (dtype === 'string') {
    if (header.isExternal || header.raw) throw reader.error(`${called} keeps strings in raw or external data`)
    return tensor(readStrings(reader.again(start), count, called))
  }
  const size = Math.ceil(count * BYTES_PER_ELEMENT[dtype])
  if (header.isExternal) return tensor(externalBytes(reader, header.external, external, size, called))
  if (header.raw && (header.raw.length > 0 || header.typed.size === 0)) {
    if (header.raw.length !== size) {
      throw reader.error(
        `${called}, ${dtype}[${header.dims.join(', ')}], takes ${size} bytes, but raw_data has ${header.raw.length}`,
      )
    }
    return tensor(header.raw)
  }
  const { run } = header
  if (run?.field === TYPED_FIELD[dtype] && run.slice.length === size) return tensor(run.slice)
  return tensor(readTyped(reader.again(start), dtype, size, called))
}

function readHeader(reader: WireReader): Header {
  const header: Header = {
    name: '',
    data_type: 0,
    dims: [],
    raw: null,
    typed: new Set(),
    run: null,
    external: new Map(),
    isExternal: false,
  }
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        reader.repeated(VARINT, (values) => {
          const dim = values.int64()
          if (dim < 0 || !Number.isSafeInteger(dim)) throw values.error(`dimension ${dim}`)
          if (header.dims.length >= MAX_RANK) throw values.error(`more than ${MAX_RANK} dimensions`)
          header.dims.push(dim)
        })
        break
      case 2:
        header.data_type = reader.int64()
        break
      case 3:
        throw reader.error('a tensor stored in segments is not supported')
      case 8:
        header.name = reader.string()
        break
      case 9:
        header.raw = reader.slice()
        break
      case 13: {
        const [key, value] = readEntry(reader.message('external_data'))
        header.external.set(key, value)
        break
      }
      case 14:
        header.isExternal = reader.int64() === 1
        break
      default:
        if (reader.field >= 4 && reader.field <= 11) {
          const isFirst = !header.typed.has(reader.field)
          header.typed.add(reader.field)
          if ((reader.field === 4 || reader.field === 10) && reader.wireType === LENGTH) {
            const { field } = reader
            const slice = reader.slice()
            header.run = isFirst ? { field, slice } : null
            break
          }
          header.run = null
        }
        reader.skip()
    }
  }
  return header
}

/** A StringStringEntryProto. */
function readEntry(reader: WireReader): [key: string, value: string] {
  let key = ''
  let value = ''
  while (reader.next()) {
    if (reader.field === 1) key = reader.string()
    else if (reader.field === 2) value = reader.string()
    else reader.skip()
  }
  return [key, value]
}

/** Values of the typed field as the bytes raw_data would have had. */
function readTyped(reader: WireReader, dtype: Exclude<DType, 'string'>, size: number, called: string): Uint8Array {
  const field = TYPED_FIELD[dtype]
  const width = Math.max(1, BYTES_PER_ELEMENT[dtype])
  const entries = size / width
  // A value takes a byte on the wire at least, so a promise of more is seen before any memory is taken.
  if (entries > reader.end - reader.offset) throw reader.error(`${called} should hold ${entries} values, the file has fewer`)
  const bytes = new Uint8Array(size)
  const view = new DataView(bytes.buffer)
  let read = 0
  const room = (values: WireReader): number => {
    if (read >= entries) throw values.error(`${called} holds more than the ${entries} values its dims say`)
    return read++ * width
  }
  const wireType = field === 4 ? FIXED32 : field === 10 ? FIXED64 : VARINT
  while (reader.next()) {
    if (reader.field !== field) {
      reader.skip()
      continue
    }
    reader.repeated(wireType, (values) => {
      const at = room(values)
      if (wireType === FIXED32 || wireType === FIXED64) return bytes.set(values.some(width), at)
      values.varint()
      if (width === 8) view.setUint32(at + 4, values.high, true)
      if (width >= 4) view.setUint32(at, values.low, true)
      else if (width === 2) view.setUint16(at, values.low & 0xffff, true)
      else view.setUint8(at, values.low & 0xff)
    })
  }
  if (read !== entries) throw reader.error(`${called} should hold ${entries} values, but has ${read}`)
  return bytes
}

function readStrings(reader: WireReader, count: number, called: string): Uint8Array {
  const writer = new WireWriter()
  let read = 0
  while (reader.next()) {
    if (reader.field === 6) {
      writer.bytes(6, reader.slice())
      read++
    } else reader.skip()
  }
  if (read !== count) throw reader.error(`${called} should hold ${count} strings, but has ${read}`)
  return concatBytes(writer.chunks())
}

/** The tensor's slice of an external data file (https://github.com/onnx/onnx/blob/main/docs/ExternalData.md). */
function externalBytes(
  reader: WireReader,
  entries: ReadonlyMap<string, string>,
  external: ExternalData,
  size: number,
  called: string,
): Uint8Array | ByteSlice {
  const location = entries.get('location')
  if (location === undefined) throw reader.error(`${called} is external but names no location`)
  if (external === 'skip') return new Uint8Array(0)
  const given = external.get(location) ?? external.get(location.replace(/^\.\//, ''))
  if (!given) throw reader.error(`${called} keeps its data in "${location}", which was not given`)
  const offset = integerEntry(reader, entries, 'offset', 0, called)
  const length = integerEntry(reader, entries, 'length', size, called)
  if (length !== size) throw reader.error(`${called} takes ${size} bytes, but its external length is ${length}`)
  const source = asSource(given)
  if (offset > source.size || length > source.size - offset) {
    throw reader.error(`${called}: bytes ${offset} to ${offset + length} of "${location}", which has ${source.size}`)
  }
  return { source, offset, length }
}

function integerEntry(
  reader: WireReader,
  entries: ReadonlyMap<string, string>,
  key: string,
  absent: number,
  called: string,
): number {
  const text = entries.get(key)
  if (text === undefined) return absent
  const value = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) throw reader.error(`${called}: external ${key} "${text}"`)
  return value
}
