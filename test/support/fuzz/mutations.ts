/**
 * Damage to an ONNX file, as data that fast-check can make and shrink: to its bytes as they lie (flips, cuts, splices, swapped pieces, varints
 * blown up), and to its fields with all lengths put right (dropped, doubled, exchanged, hostile numbers and names), which gets deeper.
 */
import fc from 'fast-check'
import { LENGTH, VARINT } from '../../../src/graph/wire'
import { parseTree, varint, writeTree, type Field } from './wire-tree'

/** Places are fractions of a file or of the list of its fields. */
type Place = number

export type ByteMutation =
  | { readonly kind: 'flip'; readonly at: Place; readonly bit: number }
  | { readonly kind: 'set'; readonly at: Place; readonly byte: number }
  | { readonly kind: 'cut'; readonly at: Place }
  | { readonly kind: 'drop'; readonly at: Place; readonly length: number }
  | { readonly kind: 'double'; readonly at: Place; readonly length: number }
  | { readonly kind: 'splice'; readonly at: Place; readonly from: Place; readonly length: number }
  | { readonly kind: 'varint'; readonly at: Place; readonly number: bigint }

export type FieldMutation =
  | { readonly kind: 'remove field'; readonly at: Place }
  | { readonly kind: 'double field'; readonly at: Place }
  | { readonly kind: 'exchange fields'; readonly at: Place; readonly with: Place }
  | { readonly kind: 'number'; readonly at: Place; readonly number: bigint }
  | { readonly kind: 'text'; readonly at: Place; readonly text: string }
  | { readonly kind: 'same text'; readonly at: Place; readonly from: Place }
  | { readonly kind: 'constant'; readonly at: Place; readonly offset: number; readonly number: bigint }
  | { readonly kind: 'retag'; readonly at: Place; readonly number: number; readonly wireType: number }

const place: fc.Arbitrary<Place> = fc.double({ min: 0, max: 0.999999, noNaN: true })
const length = fc.oneof(fc.integer({ min: 1, max: 24 }), fc.integer({ min: 1, max: 5000 }))
// prettier-ignore
const hostileNumber = fc.oneof(
  fc.constantFrom(0n, 1n, 2n, 3n, 7n, -1n, -2n, 127n, 128n, 65536n, 10n ** 9n, 10n ** 12n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n,
    2n ** 53n, 2n ** 62n, 2n ** 63n - 1n, -(2n ** 63n)),
  fc.bigInt({ min: -20n, max: 40n }),
)
// prettier-ignore
const OPS = ['If', 'Loop', 'Identity', 'Expand', 'Tile', 'Range', 'ConstantOfShape', 'Concat', 'Reshape', 'Gather', 'GatherND', 'ScatterND',
  'Slice', 'Split', 'Transpose', 'Squeeze', 'Unsqueeze', 'Shape', 'Size', 'Where', 'MatMul', 'Gemm', 'CumSum', 'Trilu', 'ReduceSum', 'Cast',
  'Softmax', 'Constant', 'DequantizeLinear', 'DynamicQuantizeLinear', 'MatMulInteger', 'LayerNormalization', 'Pow', 'Clip', 'Flatten']
const hostileText = fc.oneof(
  fc.constantFrom(
    '',
    '\0',
    '../x',
    'input_ids',
    'logits',
    'inputs_embeds',
    'to',
    'axis',
    'axes',
    'perm',
    'value',
    'x'.repeat(70_000),
    ...OPS,
  ),
  fc.string({ unit: 'binary', maxLength: 12 }),
)

export const byteMutation: fc.Arbitrary<ByteMutation> = fc.oneof(
  fc.record({ kind: fc.constant('flip' as const), at: place, bit: fc.nat(7) }),
  fc.record({ kind: fc.constant('set' as const), at: place, byte: fc.nat(255) }),
  fc.record({ kind: fc.constant('cut' as const), at: place }),
  fc.record({ kind: fc.constant('drop' as const), at: place, length }),
  fc.record({ kind: fc.constant('double' as const), at: place, length }),
  fc.record({ kind: fc.constant('splice' as const), at: place, from: place, length }),
  fc.record({ kind: fc.constant('varint' as const), at: place, number: hostileNumber }),
)

export const fieldMutation: fc.Arbitrary<FieldMutation> = fc.oneof(
  fc.record({ kind: fc.constant('remove field' as const), at: place }),
  fc.record({ kind: fc.constant('double field' as const), at: place }),
  fc.record({ kind: fc.constant('exchange fields' as const), at: place, with: place }),
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('number' as const), at: place, number: hostileNumber }) },
  fc.record({ kind: fc.constant('text' as const), at: place, text: hostileText }),
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('same text' as const), at: place, from: place }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('constant' as const), at: place, offset: fc.nat(7), number: hostileNumber }),
  },
  fc.record({ kind: fc.constant('retag' as const), at: place, number: fc.nat(30), wireType: fc.nat(7) }),
)

export function damageBytes(file: Uint8Array, mutations: readonly ByteMutation[]): Uint8Array {
  return mutations.reduce(damaged, file)
}

function damaged(file: Uint8Array, mutation: ByteMutation): Uint8Array {
  const at = Math.floor(file.byteLength * mutation.at)
  switch (mutation.kind) {
    case 'flip':
    case 'set': {
      const out = file.slice()
      out[at] = mutation.kind === 'set' ? mutation.byte : (out[at] ?? 0) ^ (1 << mutation.bit)
      return out
    }
    case 'cut':
      return file.slice(0, at)
    case 'drop':
      return joined(file.subarray(0, at), file.subarray(at + mutation.length))
    case 'double':
      return joined(file.subarray(0, at + mutation.length), file.subarray(at))
    case 'splice': {
      const from = Math.floor(file.byteLength * mutation.from)
      const piece = file.subarray(from, from + mutation.length)
      return joined(file.subarray(0, at), piece, file.subarray(at + piece.byteLength))
    }
    case 'varint':
      return joined(file.subarray(0, at), varint(mutation.number), file.subarray(at + 1))
  }
}

function joined(...parts: Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.byteLength
  }
  return out
}

export function damageFields(file: Uint8Array, mutations: readonly FieldMutation[]): Uint8Array {
  return writeTree(mutations.reduce(changed, parseTree(file)))
}

const BIGGEST_CONSTANT = 256

/** The fields a mutation can be about, in the order of the file. */
const CANDIDATES: Readonly<Record<FieldMutation['kind'], (field: Field) => boolean>> = {
  'remove field': () => true,
  'double field': () => true,
  'exchange fields': () => true,
  retag: () => true,
  number: ({ wireType }) => wireType === VARINT,
  text: isText,
  'same text': isText,
  // Shapes and indices lie in the raw data of small tensors.
  constant: ({ message, value }) =>
    message === null && value instanceof Uint8Array && value.byteLength >= 8 && value.byteLength <= BIGGEST_CONSTANT,
}

function isText({ wireType, message, value }: Field): boolean {
  return wireType === LENGTH && message === null && value instanceof Uint8Array && value.byteLength < BIGGEST_CONSTANT
}

function listFields(fields: readonly Field[], wanted: (field: Field) => boolean, found: Field[] = []): Field[] {
  for (const field of fields) {
    if (wanted(field)) found.push(field)
    if (Array.isArray(field.value)) listFields(field.value, wanted, found)
  }
  return found
}

function changed(tree: readonly Field[], mutation: FieldMutation): readonly Field[] {
  const candidates = listFields(tree, CANDIDATES[mutation.kind])
  const pick = (at: Place): Field | undefined => candidates[Math.floor(candidates.length * at)]
  const target = pick(mutation.at)
  if (!target) return tree
  switch (mutation.kind) {
    case 'remove field':
      return replaced(tree, (field) => (field === target ? [] : null))
    case 'double field':
      return replaced(tree, (field) => (field === target ? [field, field] : null))
    case 'exchange fields': {
      const other = pick(mutation.with) ?? target
      const swap = (to: Field, from: Field): Field[] => [{ ...from, number: to.number }]
      return replaced(tree, (field) => (field === target ? swap(target, other) : field === other ? swap(other, target) : null))
    }
    case 'number':
      return replaced(tree, (field) => (field === target ? [{ ...field, value: mutation.number }] : null))
    case 'text':
      return replaced(tree, (field) => (field === target ? [{ ...field, value: new TextEncoder().encode(mutation.text) }] : null))
    case 'same text': {
      const from = pick(mutation.from) ?? target
      return replaced(tree, (field) => (field === target ? [{ ...field, value: from.value }] : null))
    }
    case 'constant': {
      const bytes = target.value instanceof Uint8Array ? target.value.slice() : new Uint8Array(8)
      const at = Math.min(mutation.offset * 8, bytes.byteLength - (bytes.byteLength % 8) - 8)
      new DataView(bytes.buffer).setBigInt64(at, BigInt.asIntN(64, mutation.number), true)
      return replaced(tree, (field) => (field === target ? [{ ...field, value: bytes }] : null))
    }
    case 'retag':
      return replaced(tree, (field) => (field === target ? [retagged(field, mutation.number, mutation.wireType)] : null))
  }
}

/** Another number and wire type over the same bytes. */
function retagged(field: Field, number: number, wireType: number): Field {
  const value = typeof field.value === 'bigint' ? varint(field.value) : field.value
  return { number, wireType, message: null, value }
}

/** The tree with the fields for which `change` gives something else, wherever they are. */
function replaced(fields: readonly Field[], change: (field: Field) => readonly Field[] | null): Field[] {
  return fields.flatMap((field) => {
    const fresh = change(field)
    if (fresh) return fresh
    return Array.isArray(field.value) ? [{ ...field, value: replaced(field.value, change) }] : [field]
  })
}
