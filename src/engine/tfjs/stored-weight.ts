/**
 * Weights that stay on a device as the bytes of the file, in words of four: packed codes and 16-bit floats. Products read them as they are
 * (Backend.multiplyStored), so there is never a float32 copy.
 */
import type { TensorInfo } from '@tensorflow/tfjs-core'
import type { PackedFormat } from '../../graph/packed'

/** A matrix of 16-bit floats, row-major. */
export interface HalfFormat {
  readonly half: 'float16' | 'bfloat16'
  readonly rows: number
  readonly columns: number
}

export interface StoredWeight {
  readonly format: PackedFormat | HalfFormat
  /** int32: the codes or numbers, first in the low bits. */
  readonly words: TensorInfo
  /** float32, one a block; null: all 1. Of a packed weight alone, as the next. */
  readonly scales: TensorInfo | null
  /** One a block: numbers (float32), or bytes in words (int32) signed as the codes; null: the format's own. */
  readonly zero_points: TensorInfo | null
}

export function isHalfFormat(format: PackedFormat | HalfFormat): format is HalfFormat {
  return 'half' in format
}
