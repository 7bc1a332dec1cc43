/**
 * The inputs an export may have besides token ids, and what each is during tuning: no past, positions counted from 0, every
 * logit wanted. One row per input, by name.
 */
import { GraphError, type ValueInfo } from '../ir'
import { checkedCount, fromNumbers, full, ndDType, type NdArray } from '../host/array'
import { HostLane, type Taint } from '../normalize/lanes'

export interface InputShape {
  readonly batch_size: number
  readonly sequence_length: number
  /** Positions of the encoder whose states a decoder reads; null elsewhere. */
  readonly encoder_length: number | null
  /** 'fed': the attention mask (a decoder's: that over the encoder's states) comes with each batch; 'ones': it is constant. */
  readonly mask: 'ones' | 'fed'
}

interface InputRow {
  readonly pattern: RegExp
  readonly make: (info: ValueInfo, shape: InputShape) => { array: NdArray; taint?: Taint | null }
}

/** 0, 1, ... in every row. */
const counting = (info: ValueInfo, dims: readonly number[]): NdArray => {
  const length = dims.at(-1) ?? 1
  return fromNumbers(
    ndDType(info.dtype),
    dims,
    Array.from({ length: checkedCount(dims) }, (_, i) => i % length),
  )
}
const grid = ({ batch_size, sequence_length }: InputShape) => [batch_size, sequence_length]
const fixed = (info: ValueInfo, value: number): NdArray => {
  return full(
    ndDType(info.dtype),
    info.dims.map((dim) => (typeof dim === 'number' ? dim : 1)),
    value,
  )
}

const ROWS: readonly InputRow[] = [
  // Only its shape is of use: the ids went into the embedding lookup.
  { pattern: /^input_ids$/, make: (info, shape) => ({ array: full(ndDType(info.dtype), grid(shape), 0), taint: 'input_ids' }) },
  {
    pattern: /^attention_mask$/,
    make: (info, shape) => ({
      array: full(ndDType(info.dtype), grid(shape), 1),
      // A decoder's own rows are padded on the right, where no label looks: its mask is all ones.
      taint: shape.mask === 'fed' && shape.encoder_length === null ? 'attention_mask' : null,
    }),
  },
  { pattern: /^decoder_attention_mask$/, make: (info, shape) => ({ array: full(ndDType(info.dtype), grid(shape), 1) }) },
  {
    pattern: /^encoder_attention_mask$/,
    make: (info, shape) => ({
      array: full(ndDType(info.dtype), [shape.batch_size, shape.encoder_length ?? 0], 1),
      taint: shape.mask === 'fed' ? 'attention_mask' : null,
    }),
  },
  { pattern: /^position_ids$/, make: (info, shape) => ({ array: counting(info, grid(shape)) }) },
  { pattern: /^cache_position$/, make: (info, shape) => ({ array: counting(info, [shape.sequence_length]) }) },
  { pattern: /^token_type_ids$/, make: (info, shape) => ({ array: full(ndDType(info.dtype), grid(shape), 0) }) },
  { pattern: /^use_cache_branch$/, make: (info) => ({ array: fixed(info, 0) }) },
  { pattern: /^(num_)?logits_to_keep$/, make: (info) => ({ array: fixed(info, 0) }) },
  // The batch is the first dimension; any other that the export leaves open is the length of the past.
  {
    pattern: /^past(_key_values)?\.\d+\.((decoder|encoder)\.)?(key|value)$/,
    make: (info, shape) => ({
      array: full(
        ndDType(info.dtype),
        info.dims.map((dim, i) => (typeof dim === 'number' ? dim : i === 0 ? shape.batch_size : 0)),
        0,
      ),
    }),
  },
]

function rowOf(info: ValueInfo): InputRow | undefined {
  return ROWS.find(({ pattern }) => pattern.test(info.name))
}

/** Why an input of the cut graph can't be filled in; undefined when it can. */
export function inputRefusal(info: ValueInfo): string | undefined {
  if (!rowOf(info)) return `it needs the input '${info.name}', which is not known`
  // BLOOM's has batch and heads in one dimension, whose size nothing asks while the past is empty.
  if (info.name.startsWith('past') && info.dims.length !== 4 && info.dims.length !== 3)
    return `its past '${info.name}' has ${info.dims.length} dimensions, not 4 or 3`
  return undefined
}

/** An input's value for one shape. @throws GraphError for an input that is not known */
export function inputLane(info: ValueInfo, shape: InputShape): HostLane {
  const row = rowOf(info)
  if (!row) throw new GraphError(`the input '${info.name}' is not known`)
  const { array, taint } = row.make(info, shape)
  return HostLane.of(info.name, array, { taint: taint ?? null })
}
