/** The numbers onnx.proto gives to element types (TensorProto.DataType) and attribute types (AttributeProto.AttributeType). */
import type { Attribute, DType } from './ir'

export const DATA_TYPES: Readonly<Record<DType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  bfloat16: 16,
  uint4: 21,
  int4: 22,
}

export const ATTRIBUTE_TYPES: Readonly<Record<Attribute['type'], number>> = {
  float: 1,
  int: 2,
  string: 3,
  tensor: 4,
  graph: 5,
  floats: 6,
  ints: 7,
  strings: 8,
}

const DTYPE_NAMES = new Map(entriesOf(DATA_TYPES).map(([dtype, number]) => [number, dtype]))
const ATTRIBUTE_NAMES = new Map(entriesOf(ATTRIBUTE_TYPES).map(([type, number]) => [number, type]))

/** undefined for what this project does not read: complex numbers, 8-bit floats, 4-bit floats. */
export function dtypeOf(data_type: number): DType | undefined {
  return DTYPE_NAMES.get(data_type)
}

/** undefined for lists of tensors or graphs, sparse tensors and type attributes. */
export function attributeTypeOf(type: number): Attribute['type'] | undefined {
  return ATTRIBUTE_NAMES.get(type)
}

function entriesOf<K extends string>(record: Readonly<Record<K, number>>): [K, number][] {
  const out: [K, number][] = []
  for (const key in record) out.push([key, record[key]])
  return out
}
