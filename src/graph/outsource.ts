/**
 * A model file with its large initializers left outside, as external data: small, whatever the model's size. For onnxruntime, which would copy
 * a whole file several times on the way to its session. Everything else in the file stays as it is, external data it has included.
 */
import { rewrite } from './patch'
import { concatBytes, type ByteSlice, type ByteSource } from './source'
import { LENGTH, WireReader, WireWriter } from './wire'
import { encodeExternalData } from './write'

/** Initializers from this size on go out. Messages smaller than that hold none. */
const LARGE_BYTES = 1024

export interface OutsourcedModel {
  readonly onnx: Uint8Array
  /** What was left out, by the name the new file calls it; each is one tensor. */
  readonly external: ReadonlyMap<string, ByteSlice>
}

/**
 * @param name begins the names of what is left out
 * @throws GraphError when the file is not well formed
 */
export function outsource(file: Uint8Array | ByteSource, name: string): OutsourcedModel {
  const reader = WireReader.over(file, 'model')
  const writer = new WireWriter()
  const external = new Map<string, ByteSlice>()
  const put = (slice: ByteSlice): string => {
    const location = `${name}.${external.size}`
    external.set(location, slice)
    return location
  }
  // The graph of a model, its nodes and initializers; a node's attributes; an attribute's graphs. A Constant's tensor stays: onnxruntime
  // takes external data of initializers only.
  const model: Rule = { 7: (message) => copy(message, graph) }
  const graph: Rule = { 1: (message) => copy(message, node), 5: (message) => copyTensor(message, put) }
  const node: Rule = { 5: (message) => copy(message, attribute) }
  const attribute: Rule = { 6: model[7], 11: model[7] }
  copyInto(writer, reader, model)
  return { onnx: concatBytes(writer.chunks()), external }
}

/** What to do with the messages of a field; other fields stay. */
type Rule = Readonly<Record<number, ((message: WireReader) => WireWriter) | undefined>>

function copy(message: WireReader, rule: Rule): WireWriter {
  const writer = new WireWriter()
  copyInto(writer, message, rule)
  return writer
}

function copyInto(writer: WireWriter, reader: WireReader, rule: Rule): void {
  rewrite(reader, writer, () => {
    const inner = rule[reader.field]
    if (!inner || reader.wireType !== LENGTH) return null
    const { field } = reader
    const message = reader.message(`field ${field}`)
    if (message.end - message.offset < LARGE_BYTES) return null
    const copied = inner(message)
    return () => writer.message(field, copied)
  })
}

function copyTensor(message: WireReader, put: (slice: ByteSlice) => string): WireWriter {
  const writer = new WireWriter()
  rewrite(message, writer, () => {
    if (message.field !== 9 || message.wireType !== LENGTH) return null
    const raw = message.slice()
    if (raw.length < LARGE_BYTES) return null
    return () => encodeExternalData(writer, put(raw), 0, raw.length)
  })
  return writer
}
