/**
 * The lanes of specialisation: what is known of a value of the ONNX graph once the input shape is fixed.
 *
 * - HostLane: computed outside the device. Either constant for the key, or (`taint`) dependent on the fed attention mask;
 *   then `array` is only a sample, computed for a mask of ones, good for its shape and type.
 * - DeviceLane: depends on inputs_embeds; a value of the Program being made.
 * - QuantizedLane, IntegerProductLane, ScalesLane: the stations of a q8 linear layer, which become one op at its end.
 */
import { GraphError, type DType, type Node, type Tensor } from '../ir'
import type { PackedFormat } from '../packed'
import type { ValueDType } from '../program'
import { fromTensor, ndDType, toTensor, type NdArray, type NdDType } from '../host/array'

/** Whose fed values a host value depends on. Token ids are never fed past the embedding lookup, so nothing may need them. */
export type Taint = 'attention_mask' | 'input_ids'

/** How a tainted value is computed again for each batch. */
export interface HostStep {
  readonly node: Node
  readonly opset: number
  readonly inputs: readonly (HostLane | null)[]
  readonly outputs: HostLane[]
}

export interface HostLaneOptions {
  readonly name: string
  readonly dims: readonly number[]
  readonly dtype: NdDType
  readonly make: () => NdArray
  readonly taint?: Taint | null
  readonly isStatic?: boolean
  readonly tensor?: Tensor
  readonly transposeOf?: { readonly lane: HostLane; readonly perm: readonly number[] }
  readonly dequantized?: DequantizedWeight
}

/** What DequantizeLinear makes of a constant matrix: its operands as they are in the file, and how the codes lie. */
export interface DequantizedWeight {
  readonly format: PackedFormat
  /** Codes, scales and zero points. */
  readonly parts: readonly [HostLane, HostLane, HostLane | null]
}

/** The operands of a PackedMatMul besides x. */
export interface PackedWeight {
  readonly format: PackedFormat
  /** int8 or uint8 of the file. */
  readonly codes: HostLane
  readonly scales: HostLane
  readonly zero_points: HostLane | null
}

/** The engines expand 16-bit floats; 64-bit floats and integers are narrowed here. */
const HELD_AS_THEY_ARE: ReadonlySet<DType> = new Set<DType>(['float32', 'float16', 'bfloat16', 'int32', 'bool'])

let lanes = 0

export class HostLane {
  readonly kind = 'host'
  /** Later lanes have higher numbers. */
  readonly id = ++lanes
  readonly name: string
  readonly dims: readonly number[]
  readonly dtype: NdDType
  readonly taint: Taint | null
  /** Depends on the file alone: the same lane (and Tensor) serves all keys of a model. */
  readonly isStatic: boolean
  /** Set where the value is a transposition of a weight that nobody has needed in memory yet. */
  readonly transposeOf: HostLaneOptions['transposeOf']
  /** Set where the value is a packed weight as numbers, which nobody has needed in memory yet. */
  readonly dequantized: HostLaneOptions['dequantized']
  step: HostStep | null = null
  /** The file's tensor, if this is one unchanged. */
  readonly file: Tensor | null
  private readonly make: () => NdArray
  private made: NdArray | null = null
  private converted: Tensor | null = null

  constructor(options: HostLaneOptions) {
    this.name = options.name
    this.dims = options.dims
    this.dtype = options.dtype
    this.make = options.make
    this.taint = options.taint ?? null
    this.isStatic = options.isStatic ?? false
    this.file = options.tensor ?? null
    this.transposeOf = options.transposeOf
    this.dequantized = options.dequantized
  }

  static of(name: string, array: NdArray, options: { taint?: Taint | null; isStatic?: boolean } = {}): HostLane {
    return new HostLane({ name, dims: array.dims, dtype: array.dtype, make: () => array, ...options })
  }

  /** A constant of the file, decoded only when something needs its numbers. */
  static ofTensor(name: string, tensor: Tensor): HostLane {
    return new HostLane({
      name,
      dims: tensor.dims,
      dtype: ndDType(tensor.dtype),
      make: () => fromTensor(tensor),
      isStatic: true,
      tensor,
    })
  }

  /** The same value, no longer taken to depend on the file alone. */
  forThisKey(): HostLane {
    if (!this.isStatic) return this
    const { name, dims, dtype, file, transposeOf, dequantized } = this
    const make = () => this.array
    const views = { ...(transposeOf && { transposeOf }), ...(dequantized && { dequantized }) }
    return new HostLane({ name, dims, dtype, make, ...(file && { tensor: file }), ...views })
  }

  get array(): NdArray {
    // A large constant that is not in memory stays out of it: it is read anew for each op on the host, of which there are few.
    if (this.file?.stored) return this.made ?? this.make()
    return (this.made ??= this.make())
  }

  /** The array where it is known for certain. @throws GraphError for values that are fed */
  get constant(): NdArray {
    if (this.taint) throw new GraphError(`'${this.name}' depends on the values of ${this.taint} where a constant is needed`)
    return this.array
  }

  /** The value as a Program constant: the file's own tensor where a Program can hold it, else made once. */
  get tensor(): Tensor {
    if (this.file && HELD_AS_THEY_ARE.has(this.file.dtype)) return this.file
    return (this.converted ??= toTensor(this.constant))
  }

  /** Drops the sample of a tainted value, which nothing reads once the program is made. */
  forget(): void {
    if (this.taint) this.made = null
  }
}

export interface DeviceLane {
  readonly kind: 'device'
  /** Name in the Program. */
  readonly name: string
  readonly dims: readonly number[]
  readonly dtype: ValueDType
}

/** One of DynamicQuantizeLinear's outputs. */
export interface QuantizedLane {
  readonly kind: 'quantized'
  readonly role: 'levels' | 'scale' | 'zero_point'
  readonly of: DeviceLane
  readonly dims: readonly number[]
}

/** MatMulInteger's output (or that output cast to float). */
export interface IntegerProductLane {
  readonly kind: 'integer product'
  readonly of: DeviceLane
  readonly weight: HostLane
  readonly zero_point: HostLane | null
  readonly dims: readonly number[]
}

/** Activation scale times weight scale. */
export interface ScalesLane {
  readonly kind: 'scales'
  readonly of: DeviceLane
  readonly weight_scale: HostLane
  readonly dims: readonly number[]
}

export type Lane = HostLane | DeviceLane | QuantizedLane | IntegerProductLane | ScalesLane
