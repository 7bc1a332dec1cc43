/**
 * The protobuf wire format (https://protobuf.dev/programming-guides/encoding), read through a window and written in chunks.
 *
 * It knows tags, varints and lengths, and nothing of ONNX. Files come from strangers: a reader never goes past its
 * message, never nests deeper than protobuf allows, never takes a length on trust, and says where it stopped.
 */
import { GraphError } from './ir'
import { asSource, chunkLength, type ByteSlice, type ByteSource, type Chunk } from './source'

/** How a field's value is stored. Groups (3, 4) are long deprecated and refused. */
export const VARINT = 0
export const FIXED64 = 1
export const LENGTH = 2
export const FIXED32 = 5

/** Nesting limit of protobuf's own parsers. */
const MAX_DEPTH = 100
/** Messages of one file; the largest exports have some hundred thousand. Keeps a file of empty messages from filling the memory. */
const MAX_MESSAGES = 500_000

/** How much of a file that is not in memory is looked at in one piece; weights are passed over unread. */
const WINDOW_BYTES = 64 * 1024

/** The part of the file that is in memory, shared by all readers of the file. */
class Window {
  private bytes: Uint8Array = new Uint8Array(0)
  private view = new DataView(this.bytes.buffer)
  private start = 0
  /** The same memory for every piece: there is one for each large weight that is passed over. */
  private readonly piece: Uint8Array

  constructor(readonly source: ByteSource) {
    this.piece = new Uint8Array(source.in_memory ? 0 : WINDOW_BYTES)
    if (source.in_memory) this.show(source.read(0, source.size), 0)
  }

  byte(at: number): number {
    const index = at - this.start
    if (index >= 0 && index < this.bytes.byteLength) return this.bytes[index] ?? 0
    this.move(at, Math.min(WINDOW_BYTES, this.source.size - at))
    return this.bytes[0] ?? 0
  }

  /** A view; it stays good only until the next call. Lengths must have been checked against the file. */
  some(at: number, length: number): Uint8Array {
    const index = at - this.start
    if (index >= 0 && index + length <= this.bytes.byteLength) return this.bytes.subarray(index, index + length)
    if (length > WINDOW_BYTES) return this.source.read(at, length)
    this.move(at, Math.min(WINDOW_BYTES, this.source.size - at))
    return this.bytes.subarray(0, length)
  }

  float32(at: number): number {
    this.some(at, 4)
    return this.view.getFloat32(at - this.start, true)
  }

  private move(start: number, length: number): void {
    this.bytes = new Uint8Array(0)
    const bytes = this.piece.subarray(0, length)
    this.source.readInto(start, bytes)
    this.show(bytes, start)
  }

  private show(bytes: Uint8Array, start: number): void {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.start = start
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const encoder = new TextEncoder()

/** Walks the fields of one message: `while (reader.next()) switch (reader.field) { ... }`, one value call per field. */
export class WireReader {
  field = 0
  wireType = 0
  /** Where the field's tag starts, in bytes from the start of the file. */
  fieldStart: number
  /** Of the last varint: the low and high 32 bits, unsigned. */
  low = 0
  high = 0

  private constructor(
    private readonly window: Window,
    public offset: number,
    readonly end: number,
    private readonly parent: WireReader | null,
    private readonly name: string,
    private readonly index: number,
    private readonly depth: number,
    private readonly messages: { count: number },
  ) {
    this.fieldStart = offset
  }

  /** A reader over a whole file; `name` begins the path in messages. */
  static over(file: Uint8Array | ByteSource, name: string): WireReader {
    const source = asSource(file)
    return new WireReader(new Window(source), 0, source.size, null, name, -1, 0, { count: 0 })
  }

  get source(): ByteSource {
    return this.window.source
  }

  /** The same message from its first byte. */
  again(start: number): WireReader {
    return new WireReader(this.window, start, this.end, this.parent, this.name, this.index, this.depth, this.messages)
  }

  /** Goes to the next field; false at the end of the message. */
  next(): boolean {
    if (this.offset >= this.end) return false
    this.fieldStart = this.offset
    this.varint()
    const tag = this.high * 2 ** 32 + this.low
    this.field = Math.floor(tag / 8)
    this.wireType = this.low & 7
    if (this.field === 0 || this.field >= 2 ** 29) throw this.error(`field number ${this.field}`)
    return true
  }

  /** Leaves the field's value unread, checking only that it lies inside the message. */
  skip(): void {
    if (this.wireType === VARINT) this.varint()
    else if (this.wireType === FIXED64) this.take(8)
    else if (this.wireType === LENGTH) this.take(this.length())
    else if (this.wireType === FIXED32) this.take(4)
    else throw this.error(`wire type ${this.wireType}`)
  }

  /** A signed 64-bit integer; beyond 2^53 it is rounded. */
  int64(): number {
    this.expect(VARINT)
    this.varint()
    return (this.high | 0) * 2 ** 32 + this.low
  }

  float(): number {
    this.expect(FIXED32)
    return this.window.float32(this.take(4))
  }

  /** A length-delimited value, unread. */
  slice(): ByteSlice {
    this.expect(LENGTH)
    const length = this.length()
    return { source: this.source, offset: this.take(length), length }
  }

  /** The next `size` bytes of a value as a view that is good only until the next call. */
  some(size: number): Uint8Array {
    return this.window.some(this.take(size), size)
  }

  string(): string {
    const { offset, length } = this.slice()
    try {
      return decoder.decode(this.window.some(offset, length))
    } catch {
      throw this.error('text that is not UTF-8')
    }
  }

  /** A nested message; `index` (or -1) and `name` extend the path in messages. */
  message(name: string, index = -1): WireReader {
    this.expect(LENGTH)
    const length = this.length()
    const start = this.take(length)
    if (this.depth + 1 > MAX_DEPTH) throw this.error(`messages nested deeper than ${MAX_DEPTH}`)
    if (++this.messages.count > MAX_MESSAGES) throw this.error(`more than ${MAX_MESSAGES} messages`)
    return new WireReader(this.window, start, start + length, this, name, index, this.depth + 1, this.messages)
  }

  /** Calls `each` for every value of a repeated number field, packed (a run of bytes) or not; `each` reads one value. */
  repeated(wireType: typeof VARINT | typeof FIXED32 | typeof FIXED64, each: (values: WireReader) => void): void {
    if (this.wireType === LENGTH) {
      const length = this.length()
      const start = this.take(length)
      const values = new WireReader(
        this.window,
        start,
        start + length,
        this,
        `field ${this.field}`,
        -1,
        this.depth + 1,
        this.messages,
      )
      values.wireType = wireType
      while (values.offset < values.end) {
        values.fieldStart = values.offset
        each(values)
      }
    } else {
      this.expect(wireType)
      each(this)
    }
  }

  /** Where `size` bytes of the value start; moves past them. */
  take(size: number): number {
    const start = this.offset
    if (size > this.end - start) throw this.error(`${size} bytes are announced, ${this.end - start} are left`)
    this.offset = start + size
    return start
  }

  /** Reads a varint into `low` and `high`. */
  varint(): void {
    let low = 0
    let high = 0
    for (let shift = 0; ; shift += 7) {
      if (this.offset >= this.end) throw this.error('a varint that does not end')
      const byte = this.window.byte(this.offset++)
      if (shift < 28) low |= (byte & 0x7f) << shift
      else if (shift === 28) {
        low |= (byte & 0xf) << 28
        high = (byte & 0x7f) >> 4
      } else high |= (byte & 0x7f) << (shift - 32)
      if (byte < 0x80) {
        if (shift === 63 && byte > 1) throw this.error('a varint beyond 64 bits')
        break
      }
      if (shift === 63) throw this.error('a varint longer than 10 bytes')
    }
    this.low = low >>> 0
    this.high = high >>> 0
  }

  /** An error that names the message and the byte where the current field starts. */
  error(what: string): GraphError {
    return new GraphError(`${this.path()}, byte ${this.fieldStart}: ${what}`)
  }

  private length(): number {
    this.varint()
    return this.high * 2 ** 32 + this.low
  }

  private expect(wireType: number): void {
    if (this.wireType !== wireType) throw this.error(`field ${this.field} has wire type ${this.wireType}, not ${wireType}`)
  }

  private path(): string {
    const own = this.index < 0 ? this.name : `${this.name}[${this.index}]`
    return this.parent ? `${this.parent.path()}.${own}` : own
  }
}

/** Views from this size on are handed through as chunks of their own; smaller ones are copied together. */
const CHUNK_BYTES = 1024

/** Builds one message. Large byte fields are kept as views or slices, so weights are never copied, nor read where they are not in memory. */
export class WireWriter {
  /** Bytes written so far. */
  length = 0
  private readonly done: Chunk[] = []
  private buffer = new Uint8Array(64)
  private used = 0

  /** The message as chunks in order. */
  chunks(): Chunk[] {
    this.flush()
    return this.done
  }

  /** Bytes as they are, with no tag: an unchanged part of another message. */
  raw(bytes: Uint8Array): void {
    if (bytes.byteLength >= CHUNK_BYTES) {
      this.flush()
      this.done.push(bytes)
    } else {
      this.reserve(bytes.byteLength)
      this.buffer.set(bytes, this.used)
      this.used += bytes.byteLength
    }
    this.length += bytes.byteLength
  }

  /** As `raw`, of bytes that may not be in memory. */
  slice({ source, offset, length }: ByteSlice): void {
    if (source.in_memory || length < CHUNK_BYTES) return this.raw(source.read(offset, length))
    this.flush()
    this.done.push({ source, offset, length })
    this.length += length
  }

  chunk(chunk: Chunk): void {
    if (chunk instanceof Uint8Array) this.raw(chunk)
    else this.slice(chunk)
  }

  bytes(field: number, bytes: Chunk): void {
    this.tag(field, LENGTH)
    this.varint(chunkLength(bytes))
    this.chunk(bytes)
  }

  string(field: number, text: string): void {
    this.bytes(field, encoder.encode(text))
  }

  message(field: number, message: WireWriter): void {
    this.tag(field, LENGTH)
    this.varint(message.length)
    for (const chunk of message.chunks()) this.chunk(chunk)
  }

  int64(field: number, value: number): void {
    this.tag(field, VARINT)
    this.varint(value)
  }

  float(field: number, value: number): void {
    this.tag(field, FIXED32)
    const bytes = new Uint8Array(4)
    new DataView(bytes.buffer).setFloat32(0, value, true)
    this.raw(bytes)
  }

  packedInt64(field: number, values: readonly number[]): void {
    const packed = new WireWriter()
    for (const value of values) packed.varint(value)
    this.message(field, packed)
  }

  packedFloat(field: number, values: readonly number[]): void {
    const bytes = new Uint8Array(values.length * 4)
    const view = new DataView(bytes.buffer)
    values.forEach((value, i) => view.setFloat32(i * 4, value, true))
    this.bytes(field, bytes)
  }

  private tag(field: number, wireType: number): void {
    this.varint(field * 8 + wireType)
  }

  /** A signed 64-bit varint; 2^63 and more (what INT64_MAX rounds to) is written as INT64_MAX. */
  private varint(value: number): void {
    this.reserve(10)
    const before = this.used
    if (value >= 0 && value < 2 ** 31) {
      let rest = value
      for (; rest > 0x7f; rest >>>= 7) this.buffer[this.used++] = (rest & 0x7f) | 0x80
      this.buffer[this.used++] = rest
    } else {
      let rest = BigInt.asUintN(64, value >= 2 ** 63 ? 2n ** 63n - 1n : BigInt(value))
      for (; rest > 0x7fn; rest >>= 7n) this.buffer[this.used++] = Number(rest & 0x7fn) | 0x80
      this.buffer[this.used++] = Number(rest)
    }
    this.length += this.used - before
  }

  private reserve(size: number): void {
    if (this.used + size <= this.buffer.byteLength) return
    const grown = new Uint8Array(Math.max(this.buffer.byteLength * 2, this.used + size))
    grown.set(this.buffer.subarray(0, this.used))
    this.buffer = grown
  }

  private flush(): void {
    if (this.used === 0) return
    this.done.push(this.buffer.subarray(0, this.used))
    this.buffer = new Uint8Array(64)
    this.used = 0
  }
}
