/**
 * `.pt` files of one 2-D tensor, as caikit and TGIS keep prompts: torch.save's stored zip around the fixed pickle of
 * torch-pickle.ts. torch.load (weights_only too) reads what is written here; nothing but such a tensor is read back.
 *
 * Sources: torch/serialization.py; caffe2/serialize/inline_container.h for the archive's layout.
 */
import type { DType } from '../graph/ir'
import { toFloat32 } from '../graph/tensor'
import { FormatError } from './format-error'
import { checkFinite } from './prompt-tensors'
import { readStoredZip, writeStoredZip } from './stored-zip'
import { readPickle, writePickle, type PickledTensor, type StorageType } from './torch-pickle'

export interface TorchTensor {
  readonly shape: readonly [number, number]
  /** Row-major, a copy. */
  readonly data: Float32Array
}

const MAX_ELEMENTS = 2 ** 31 - 1
const DTYPES: Readonly<Record<StorageType, readonly [dtype: DType, bytes: number]>> = {
  FloatStorage: ['float32', 4],
  HalfStorage: ['float16', 2],
  BFloat16Storage: ['bfloat16', 2],
}

/** Members besides data.pkl and the storage; what newer writers add. Those with text must have it. */
const MEMBERS: ReadonlyMap<string, string | null> = new Map([
  ['version', null],
  ['byteorder', 'little'],
  ['.format_version', null],
  ['.storage_alignment', null],
  ['.data/serialization_id', null],
])
const MAX_MEMBERS = 2 + MEMBERS.size
/** torch before 1.6 wrote one pickle after the other, beginning with this magic number. */
const OLD_MAGIC = [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46]

/**
 * torch.save(tensor, `${name}.pt`), float32.
 * @param name the folder inside the archive; torch uses the file's name without its ending
 * @throws FormatError when data and shape differ in size, or there is a number that is not finite
 */
export function writeTorchTensor(name: string, shape: readonly [number, number], data: Float32Array): Uint8Array {
  const [rows, columns] = shape
  if (!/^[\w-]+$/.test(name)) throw new FormatError(`"${name}" can't be the name of a .pt file`)
  if (rows < 1 || columns < 1 || rows * columns !== data.length || data.length > MAX_ELEMENTS) {
    throw new FormatError(`${name}.pt: ${data.length} numbers for ${rows} x ${columns}`)
  }
  checkFinite({ name: 'tensor', shape, data }, `${name}.pt, `)
  return writeStoredZip(
    new Map([
      [`${name}/data.pkl`, writePickle(rows, columns)],
      // Every machine this runs on is little-endian, as the format is.
      [`${name}/data/0`, new Uint8Array(data.buffer, data.byteOffset, data.byteLength)],
      [`${name}/version`, new TextEncoder().encode('3\n')],
    ]),
  )
}

/**
 * The tensor of a `.pt` file, which must be a contiguous 2-D one of float32, float16 or bfloat16.
 * @param name the file's name, for messages
 * @throws FormatError for anything else, saying what is there instead
 */
export function readTorchTensor(bytes: Uint8Array, name: string): TorchTensor {
  if (OLD_MAGIC.every((byte, i) => bytes[i] === byte)) {
    throw new FormatError(`${name} was written by torch before 1.6, or in its old format: save it again with a newer torch`)
  }
  const members = membersOf(readStoredZip(bytes, name, MAX_MEMBERS), name)
  const pickle = members.get('data.pkl')
  if (!pickle) throw new FormatError(`${name}: data.pkl is missing, so it was not written by torch.save`)
  const tensor = readPickle(pickle, `${name}, data.pkl`)
  for (const [member, content] of members) {
    if (member === 'data.pkl' || member === `data/${tensor.key}`) continue
    const expected = MEMBERS.get(member)
    if (expected === undefined) throw new FormatError(`${name}: "${member}" is no part of a file of one tensor`)
    const found = new TextDecoder().decode(content.subarray(0, 100))
    if (expected !== null && found !== expected) throw new FormatError(`${name}: ${member} is ${found}, only ${expected} is read`)
  }
  const storage = members.get(`data/${tensor.key}`)
  if (!storage) throw new FormatError(`${name}: data/${tensor.key} is missing`)
  return { shape: tensor.size, data: elements(tensor, storage, name) }
}

/** The archive's files without the folder they all are in. */
function membersOf(entries: ReadonlyMap<string, Uint8Array>, name: string): Map<string, Uint8Array> {
  const [first = ''] = entries.keys()
  const folder = first.slice(0, first.indexOf('/') + 1)
  const members = new Map<string, Uint8Array>()
  for (const [path, content] of entries) {
    if (folder === '' || !path.startsWith(folder))
      throw new FormatError(`${name}: "${path.slice(0, 80)}" is not in the folder of a torch file`)
    members.set(path.slice(folder.length), content)
  }
  return members
}

function elements(tensor: PickledTensor, storage: Uint8Array, name: string): Float32Array {
  const { size, stride, storage_offset, numel } = tensor
  const [rows, columns] = size
  const [dtype, bytesEach] = DTYPES[tensor.storage]
  if (rows < 1 || columns < 1) throw new FormatError(`${name}: a tensor of ${rows} x ${columns} is empty`)
  if (storage.byteLength !== numel * bytesEach) {
    throw new FormatError(`${name}: the storage has ${storage.byteLength} bytes, not ${bytesEach} for each of ${numel} elements`)
  }
  // The stride of an axis with one element means nothing.
  const contiguous = (rows === 1 || stride[0] === columns) && (columns === 1 || stride[1] === 1)
  if (!contiguous) {
    throw new FormatError(
      `${name}: the tensor is a view that is not contiguous (strides ${stride.join(', ')}): save tensor.contiguous() instead`,
    )
  }
  if (storage_offset + rows * columns > numel) {
    throw new FormatError(`${name}: ${rows} x ${columns} elements from ${storage_offset} on, but the storage has ${numel}`)
  }
  const begin = storage_offset * bytesEach
  const part = storage.subarray(begin, begin + rows * columns * bytesEach)
  const data = toFloat32({ dtype, dims: [rows, columns], bytes: part }).slice()
  checkFinite({ name: 'tensor', shape: size, data }, `${name}, `)
  return data
}
