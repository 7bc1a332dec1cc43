/**
 * Some columns of a matrix of whole bytes as a tensor of their own, that lies nowhere: its bytes are picked out of the matrix' rows when they are
 * read, wherever those are. It knows bytes and tensors, and not who wants a matrix in pieces (engine/slice-weights.ts).
 */
import { BYTES_PER_ELEMENT, GraphError, type Tensor } from './ir'
import { asSource, checkRange, wholeOf, type ByteSlice, type ByteSource } from './source'
import { tensorOver } from './tensor'

/**
 * Columns [first, first + count) of a tensor [rows, columns], as [rows, count].
 * @throws GraphError for a tensor of other rank, or whose elements share bytes; RangeError for columns it does not have
 */
export function columnsOf(tensor: Tensor, first: number, count: number): Tensor {
  const { dtype, dims, stored } = tensor
  const [rows, columns] = dims
  const size = dtype === 'string' ? NaN : BYTES_PER_ELEMENT[dtype]
  if (rows === undefined || columns === undefined || dims.length !== 2 || !Number.isInteger(size)) {
    throw new GraphError(`no columns can be taken of ${dtype}[${dims.join(', ')}]`)
  }
  if (!(first >= 0 && count > 0 && first + count <= columns)) {
    throw new RangeError(`columns ${first} to ${first + count} of ${columns}`)
  }
  const whole = stored ?? wholeOf(asSource(tensor.bytes))
  const source = new ColumnSource(whole, rows, columns * size, first * size, count * size)
  return tensorOver(dtype, [rows, count], wholeOf(source), 0)
}

/** `width` bytes of every row, from `start` on; rows are `stride` bytes. */
class ColumnSource implements ByteSource {
  readonly size: number
  readonly in_memory = false

  constructor(
    private readonly whole: ByteSlice,
    rows: number,
    private readonly stride: number,
    private readonly start: number,
    private readonly width: number,
  ) {
    this.size = rows * width
  }

  read(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length)
    this.readInto(offset, bytes)
    return bytes
  }

  readInto(offset: number, into: Uint8Array): void {
    const length = into.byteLength
    checkRange(this, offset, length)
    const { whole, stride, start, width } = this
    for (let done = 0; done < length;) {
      const [row, within] = [Math.floor((offset + done) / width), (offset + done) % width]
      const taken = Math.min(length - done, width - within)
      whole.source.readInto(whole.offset + row * stride + start + within, into.subarray(done, done + taken))
      done += taken
    }
  }

  part(offset: number, length: number): Uint8Array {
    return this.read(offset, length)
  }
}
