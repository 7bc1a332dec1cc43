/**
 * The safetensors format (https://github.com/huggingface/safetensors#format): a JSON header, then the tensors' bytes.
 *
 * Reading is as strict as the reference implementation: every byte belongs to exactly one tensor. Tensors are views into the file.
 */
import * as v from 'valibot'
import { elementCount, type DType, type Tensor } from '../graph/ir'
import { FormatError } from './format-error'
import { duplicateKey, JsonObject, parseJson } from './json'

/** Header size the reference implementation accepts. */
const MAX_HEADER_BYTES = 100_000_000

const DTYPES: ReadonlyMap<string, readonly [dtype: DType, bytes: number]> = new Map([
  ['F64', ['float64', 8]],
  ['F32', ['float32', 4]],
  ['F16', ['float16', 2]],
  ['BF16', ['bfloat16', 2]],
  ['I64', ['int64', 8]],
  ['I32', ['int32', 4]],
  ['I16', ['int16', 2]],
  ['I8', ['int8', 1]],
  ['U64', ['uint64', 8]],
  ['U32', ['uint32', 4]],
  ['U16', ['uint16', 2]],
  ['U8', ['uint8', 1]],
  ['BOOL', ['bool', 1]],
])

const size = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const EntrySchema = v.strictObject({
  dtype: v.string(),
  shape: v.pipe(v.array(size), v.maxLength(32)),
  data_offsets: v.strictTuple([size, size]),
})

export interface Safetensors {
  readonly tensors: ReadonlyMap<string, Tensor>
  readonly metadata: ReadonlyMap<string, string>
}

/**
 * @param name the file's name, for messages
 * @throws FormatError for a bad header, an unknown dtype, or tensors that overlap, leave gaps, or do not fit their shape
 */
export function readSafetensors(bytes: Uint8Array, name = 'safetensors file'): Safetensors {
  if (bytes.byteLength < 8) throw new FormatError(`${name}: ${bytes.byteLength} bytes are too few for a header`)
  const headerLength = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true))
  if (headerLength > MAX_HEADER_BYTES || headerLength > bytes.byteLength - 8) {
    throw new FormatError(`${name}: a header of ${headerLength} bytes is announced, the file has ${bytes.byteLength}`)
  }
  const headerBytes = bytes.subarray(8, 8 + headerLength)
  const header = parseJson(headerBytes, JsonObject, `${name}, header`)
  const twice = duplicateKey(new TextDecoder().decode(headerBytes))
  if (twice !== null) throw new FormatError(`${name}: "${twice}" is there twice`)
  const data = bytes.subarray(8 + headerLength)
  const tensors = new Map<string, Tensor>()
  const metadata = new Map<string, string>()
  const ranges: { key: string; begin: number; end: number }[] = []
  for (const [key, value] of Object.entries(header)) {
    if (key === '__metadata__') {
      const entries = v.is(JsonObject, value) ? Object.entries(value) : [['', null]]
      for (const [k, text] of entries) {
        if (typeof k !== 'string' || typeof text !== 'string')
          throw new FormatError(`${name}: __metadata__ must map text to text`)
        metadata.set(k, text)
      }
      continue
    }
    const entry = v.safeParse(EntrySchema, value)
    if (!entry.success) {
      const [issue] = entry.issues
      throw new FormatError(`${name}: tensor "${key}", ${v.getDotPath(issue) ?? 'entry'}: ${issue.message}`)
    }
    const { dtype, shape, data_offsets } = entry.output
    const [begin, end] = data_offsets
    const type = DTYPES.get(dtype)
    if (!type) throw new FormatError(`${name}: tensor "${key}" has dtype ${dtype}, which is not supported`)
    const expected = elementCount(shape) * type[1]
    if (end < begin || end > data.byteLength) {
      throw new FormatError(`${name}: tensor "${key}" takes bytes ${begin} to ${end} of ${data.byteLength}`)
    }
    if (end - begin !== expected) {
      throw new FormatError(
        `${name}: tensor "${key}", ${dtype}[${shape.join(', ')}], takes ${expected} bytes, not ${end - begin}`,
      )
    }
    ranges.push({ key, begin, end })
    tensors.set(key, { dtype: type[0], dims: shape, bytes: data.subarray(begin, end) })
  }
  ranges.sort((a, b) => a.begin - b.begin || a.end - b.end)
  let covered = 0
  for (const { key, begin, end } of ranges) {
    if (begin !== covered)
      throw new FormatError(`${name}: tensor "${key}" starts at byte ${begin}, the one before ends at ${covered}`)
    covered = end
  }
  if (covered !== data.byteLength) throw new FormatError(`${name}: ${data.byteLength - covered} bytes belong to no tensor`)
  return { tensors, metadata }
}

/** A float32 tensor to write, row-major. */
export interface FloatTensor {
  readonly shape: readonly number[]
  readonly data: Float32Array
}

/**
 * The tensors as F32 with metadata {"format": "pt"}, byte for byte as Python's safetensors.torch.save writes them.
 * @param metadata more metadata, after "format"
 * @throws FormatError when shape and data differ in size
 */
export function writeSafetensors(
  tensors: ReadonlyMap<string, FloatTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const names = [...tensors.keys()].sort()
  const entries: [string, unknown][] = [['__metadata__', { format: 'pt', ...metadata }]]
  let offset = 0
  for (const name of names) {
    const { shape, data } = tensors.get(name) ?? { shape: [], data: new Float32Array(0) }
    if (elementCount(shape) !== data.length) {
      throw new FormatError(`tensor "${name}": ${data.length} numbers for a shape of ${shape.join(' x ')}`)
    }
    entries.push([name, { dtype: 'F32', shape, data_offsets: [offset, offset + data.byteLength] }])
    offset += data.byteLength
  }
  const header = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)))
  // Padded with spaces, so that the tensors start at a multiple of 8.
  const headerLength = Math.ceil(header.byteLength / 8) * 8
  const file = new Uint8Array(8 + headerLength + offset).fill(0x20, 8, 8 + headerLength)
  new DataView(file.buffer).setBigUint64(0, BigInt(headerLength), true)
  file.set(header, 8)
  let at = 8 + headerLength
  for (const name of names) {
    const data = tensors.get(name)?.data ?? new Float32Array(0)
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at)
    at += data.byteLength
  }
  return file
}
