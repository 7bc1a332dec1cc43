/**
 * The pickle inside a torch.save'd tensor (NAME/data.pkl), written and read by one fixed template of opcodes.
 *
 * This is no pickle interpreter and must not become one: a pickle is a program that can call anything. What torch writes for one
 * dense 2-D tensor is always the same opcodes with other numbers in them, so those are matched one by one and everything else
 * is refused by name and place.
 *
 * Sources: torch/serialization.py (_save, persistent_id), torch/_tensor.py (_reduce_ex_internal), and Python's pickletools for
 * the opcodes. The same from torch 1.6 to 2.13 with pickle protocol 2, torch's default.
 */
import { concatBytes } from '../graph/write'
import { FormatError } from './format-error'
import { opcodeName } from './pickle-opcodes'

/** The one tensor of a file. Counts and offsets are in elements. */
export interface PickledTensor {
  readonly storage: StorageType
  /** The storage's file is data/KEY. */
  readonly key: string
  /** Elements of the storage, which may be more than the tensor's. */
  readonly numel: number
  readonly storage_offset: number
  readonly size: readonly [number, number]
  readonly stride: readonly [number, number]
}

const STORAGE_TYPES = ['FloatStorage', 'HalfStorage', 'BFloat16Storage'] as const
export type StorageType = (typeof STORAGE_TYPES)[number]

type Numbers = 'numel' | 'storage_offset' | 'rows' | 'columns' | 'row_stride' | 'column_stride'
interface Values {
  storage: StorageType
  key: string
  numbers: Record<Numbers, number>
}

/** One opcode with its argument. `memo`: Python's pickler remembers the result, so a memo opcode may follow. */
type Step =
  | { readonly op: 'opcode'; readonly codes: readonly number[]; readonly memo: boolean }
  | { readonly op: 'global'; readonly names: readonly string[]; readonly field?: 'storage' }
  | { readonly op: 'text'; readonly pattern: RegExp; readonly write: string; readonly field?: 'key' }
  | { readonly op: 'number'; readonly field: Numbers }

const opcode = (codes: number | readonly number[], memo = false): Step => ({
  op: 'opcode',
  codes: typeof codes === 'number' ? [codes] : codes,
  memo,
})
const number = (field: Numbers): Step => ({ op: 'number', field })
const text = (pattern: RegExp, write: string): Step => ({ op: 'text', pattern, write })

const PROTO = 0x80
const MARK = 0x28
const TUPLE = 0x74
const TUPLE2 = 0x86
const EMPTY_TUPLE = 0x29
const BINPERSID = 0x51
const REDUCE = 0x52
const NEWFALSE = 0x89
const NEWTRUE = 0x88
const STOP = 0x2e
const GLOBAL = 0x63
const BINUNICODE = 0x58

/** Memo opcodes by the bytes of their argument: they store what is on the stack and change nothing else. */
const MEMO_OPCODES: ReadonlyMap<number, number> = new Map([
  [0x71, 1], // BINPUT, what torch's writers use
  [0x72, 4], // LONG_BINPUT
  [0x94, 0], // MEMOIZE
])
const BINPUT = 0x71
/** Integer opcodes by the bytes of their argument, unsigned save for the last, smallest first. */
const BININT = 0x4a
const INT_OPCODES: ReadonlyMap<number, number> = new Map([
  [0x4b, 1],
  [0x4d, 2],
  [BININT, 4],
])

/** torch._utils._rebuild_tensor_v2(persistent ('storage', type, key, place, numel), offset, size, stride, requires_grad, hooks) */
const TEMPLATE: readonly Step[] = [
  { op: 'global', names: ['torch._utils _rebuild_tensor_v2'] },
  opcode(MARK),
  opcode(MARK),
  text(/^storage$/, 'storage'),
  { op: 'global', names: STORAGE_TYPES.map((name) => `torch ${name}`), field: 'storage' },
  { op: 'text', pattern: /^\d{1,9}$/, write: '0', field: 'key' },
  // Where the tensor lay; its numbers are the same anywhere.
  text(/^[a-z]{1,12}(:\d{1,3})?$/, 'cpu'),
  number('numel'),
  opcode(TUPLE, true),
  opcode(BINPERSID),
  number('storage_offset'),
  number('rows'),
  number('columns'),
  opcode(TUPLE2, true),
  number('row_stride'),
  number('column_stride'),
  opcode(TUPLE2, true),
  // requires_grad
  opcode([NEWFALSE, NEWTRUE]),
  { op: 'global', names: ['collections OrderedDict'] },
  opcode(EMPTY_TUPLE),
  opcode(REDUCE, true),
  opcode(TUPLE, true),
  opcode(REDUCE, true),
  opcode(STOP),
]

/** The pickle torch.save itself writes for a contiguous float32 tensor [rows, columns]. */
export function writePickle(rows: number, columns: number): Uint8Array {
  const numbers = { numel: rows * columns, storage_offset: 0, rows, columns, row_stride: columns, column_stride: 1 }
  const chunks: Uint8Array[] = [Uint8Array.of(PROTO, 2)]
  const encode = (value: string) => new TextEncoder().encode(value)
  let memo = 0
  for (const step of TEMPLATE) {
    if (step.op === 'number') chunks.push(integer(numbers[step.field]))
    else if (step.op === 'opcode') chunks.push(Uint8Array.of(step.codes[0] ?? STOP))
    else if (step.op === 'global') chunks.push(encode(`c${(step.names[0] ?? '').replace(' ', '\n')}\n`))
    else chunks.push(Uint8Array.of(BINUNICODE, step.write.length, 0, 0, 0), encode(step.write))
    const remembered = step.op === 'opcode' ? step.memo : step.op !== 'number'
    if (remembered) chunks.push(Uint8Array.of(BINPUT, memo++))
  }
  return concatBytes(chunks)
}

function integer(value: number): Uint8Array {
  if (value < 0x100) return Uint8Array.of(0x4b, value)
  if (value < 0x10000) return Uint8Array.of(0x4d, value & 0xff, value >> 8)
  const out = new Uint8Array(5)
  out[0] = BININT
  new DataView(out.buffer).setInt32(1, value, true)
  return out
}

/**
 * @param place the file's name, for messages
 * @throws FormatError naming the opcode or global that is not in the template, and its byte
 */
export function readPickle(bytes: Uint8Array, place: string): PickledTensor {
  const reader = new Reader(bytes, place)
  if (reader.byte() !== PROTO || reader.byte() !== 2) throw new FormatError(`${place} is no pickle of protocol 2`)
  const values: Values = {
    storage: 'FloatStorage',
    key: '',
    numbers: { numel: 0, storage_offset: 0, rows: 0, columns: 0, row_stride: 0, column_stride: 0 },
  }
  for (const step of TEMPLATE) {
    readStep(reader, step, values)
    const remembered = step.op === 'opcode' ? step.memo : step.op !== 'number'
    if (remembered) reader.skipMemo()
  }
  if (reader.at !== bytes.byteLength) throw new FormatError(`${place}, byte ${reader.at}: something follows the end`)
  const { storage, key, numbers } = values
  return {
    storage,
    key,
    numel: numbers.numel,
    storage_offset: numbers.storage_offset,
    size: [numbers.rows, numbers.columns],
    stride: [numbers.row_stride, numbers.column_stride],
  }
}

function readStep(reader: Reader, step: Step, values: Values): void {
  const { at } = reader
  const code = reader.byte()
  switch (step.op) {
    case 'opcode':
      if (!step.codes.includes(code)) throw reader.unexpected(at, code, opcodeName(step.codes[0] ?? STOP))
      return
    case 'number': {
      const size = INT_OPCODES.get(code)
      if (size === undefined) throw reader.unexpected(at, code, `a number (${step.field})`)
      const value = reader.unsigned(size)
      if (code === BININT && value >= 2 ** 31) throw new FormatError(`${reader.place}, byte ${at}: ${step.field} is negative`)
      values.numbers[step.field] = value
      return
    }
    case 'text': {
      if (code !== BINUNICODE) throw reader.unexpected(at, code, 'text')
      const found = reader.text(reader.unsigned(4))
      if (!step.pattern.test(found))
        throw new FormatError(`${reader.place}, byte ${at}: the text ${JSON.stringify(found)} is not expected here`)
      if (step.field === 'key') values.key = found
      return
    }
    case 'global': {
      if (code !== GLOBAL) throw reader.unexpected(at, code, step.names.join(' or '))
      const found = `${reader.line()} ${reader.line()}`
      if (!step.names.includes(found)) throw reader.unexpected(at, code, step.names.join(' or '), found)
      const storage = STORAGE_TYPES.find((type) => found === `torch ${type}`)
      if (step.field === 'storage' && storage) values.storage = storage
    }
  }
}

/** What people save instead of one tensor, by what its pickle begins with. */
const HINTS: readonly (readonly [pattern: RegExp, hint: string])[] = [
  [/^(EMPTY_DICT|collections OrderedDict)$/, 'It holds a dictionary, not one tensor: convert it to safetensors.'],
  [/^(EMPTY_LIST|EMPTY_TUPLE)$/, 'It holds a list, not one tensor.'],
  [/_rebuild_parameter/, 'It holds a Parameter: save parameter.detach() instead.'],
  [/Storage$/, 'Only float32, float16 and bfloat16 tensors are read.'],
]
/** Longer names and texts are none of the template's. */
const MAX_TEXT = 100

class Reader {
  at = 0
  private readonly view: DataView

  constructor(
    private readonly bytes: Uint8Array,
    readonly place: string,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  byte(): number {
    return this.unsigned(1)
  }

  /** A little-endian number of 1, 2 or 4 bytes. */
  unsigned(size: number): number {
    const at = this.at
    this.take(size)
    return size === 1 ? this.view.getUint8(at) : size === 2 ? this.view.getUint16(at, true) : this.view.getUint32(at, true)
  }

  text(length: number): string {
    if (length > MAX_TEXT) throw new FormatError(`${this.place}, byte ${this.at}: a text of ${length} bytes`)
    return new TextDecoder().decode(this.take(length))
  }

  /** Up to the next line feed, which is passed over. */
  line(): string {
    const length = this.bytes.subarray(this.at, this.at + MAX_TEXT).indexOf(0x0a)
    if (length < 0) throw new FormatError(`${this.place}, byte ${this.at}: a name without an end`)
    const found = new TextDecoder().decode(this.take(length))
    this.at += 1
    return found
  }

  skipMemo(): void {
    const size = MEMO_OPCODES.get(this.bytes[this.at] ?? 0)
    if (size !== undefined) this.take(1 + size)
  }

  unexpected(at: number, code: number, expected: string, global?: string): FormatError {
    const found = opcodeName(code)
    const hint = HINTS.find(([pattern]) => pattern.test(global ?? found))?.[1]
    const what = global === undefined ? found : `${found} ${JSON.stringify(global)}`
    return new FormatError(`${this.place}, byte ${at}: ${what}, where ${expected} is expected.${hint ? ` ${hint}` : ''}`)
  }

  private take(length: number): Uint8Array {
    const end = this.at + length
    if (end > this.bytes.byteLength) throw new FormatError(`${this.place} ends in the middle, at byte ${this.bytes.byteLength}`)
    const taken = this.bytes.subarray(this.at, end)
    this.at = end
    return taken
  }
}
