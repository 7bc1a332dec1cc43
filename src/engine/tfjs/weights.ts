/**
 * The frozen weights on the device: one copy for each Tensor object (and form), however many programs use it. Half-precision and
 * quantised weights become float32 here; the least float32 stands for minus infinity, so that a fully masked row of attention
 * scores has a softmax (PyTorch's own masks hold that number).
 */
import type { TensorInfo } from '@tensorflow/tfjs-core'
import { elementCount, type Tensor } from '../../graph/ir'
import type { ValueType } from '../../graph/program'
import { toFloat32, toIntegers } from '../../graph/tensor'
import { EngineError, type HostArray } from '../engine'
import type { Backend, DeviceDType } from './backend'

const LEAST_FLOAT32 = -3.4028234663852886e38

interface Entry {
  readonly tensor: TensorInfo
  users: number
}

/** A use of a weight; release it once. */
export interface Weight {
  readonly tensor: TensorInfo
  release(): void
}

export class WeightStore {
  readonly #entries = new Map<Tensor, Map<Tensor | string, Entry>>()

  constructor(readonly backend: Backend) {}

  /**
   * @param name for messages
   * @param zero_point for quantised weights [K,N]: subtracted, length 1 or N
   * @throws EngineError when the tensor does not fit its value type
   */
  acquire(name: string, tensor: Tensor, type: ValueType, zero_point: Tensor | null): Weight {
    const forms = this.#entries.get(tensor) ?? new Map<Tensor | string, Entry>()
    const form = zero_point ?? `${type.dtype} ${type.dims.join('x')}`
    let entry = forms.get(form)
    if (entry === undefined) {
      const dtype = zero_point === null ? deviceDType(type) : 'float32'
      const values = zero_point === null ? weightValues(name, tensor, dtype) : centred(name, tensor, zero_point)
      if (values.length !== elementCount(type.dims)) {
        throw new EngineError(`constant '${name}' has ${values.length} elements, the program says [${type.dims.join(', ')}]`)
      }
      entry = { tensor: this.backend.upload(values, type.dims, dtype), users: 0 }
      forms.set(form, entry)
      this.#entries.set(tensor, forms)
    }
    const held = entry
    held.users++
    return { tensor: held.tensor, release: () => this.#release(tensor, form, held) }
  }

  #release(tensor: Tensor, form: Tensor | string, entry: Entry): void {
    if (--entry.users > 0) return
    const forms = this.#entries.get(tensor)
    forms?.delete(form)
    if (forms?.size === 0) this.#entries.delete(tensor)
    this.backend.release(entry.tensor)
  }
}

/** Bytes become whole numbers on the device. */
export function deviceDType(type: ValueType): DeviceDType {
  return type.dtype === 'int8' || type.dtype === 'uint8' ? 'int32' : type.dtype
}

/** -Infinity replaced by the least float32; the array itself where there is none. */
export function withoutMinusInfinity(values: Float32Array): Float32Array {
  if (!values.includes(-Infinity)) return values
  return values.map((value) => (value === -Infinity ? LEAST_FLOAT32 : value))
}

function weightValues(name: string, tensor: Tensor, dtype: DeviceDType): HostArray {
  if (dtype === 'float32') return withoutMinusInfinity(toFloat32(tensor))
  const integers = toIntegers(tensor)
  if (dtype === 'bool') return Uint8Array.from(integers, (value) => (value === 0 ? 0 : 1))
  const out = Int32Array.from(integers)
  const wrong = integers.findIndex((value, i) => value !== out[i])
  if (wrong >= 0) throw new EngineError(`constant '${name}': ${integers[wrong]} at ${wrong} is no 32-bit integer`)
  return out
}

function centred(name: string, tensor: Tensor, zero_point: Tensor): Float32Array {
  const columns = tensor.dims.at(-1) ?? 1
  const zeros = toFloat32(zero_point)
  if (zeros.length !== 1 && zeros.length !== columns) {
    throw new EngineError(`quantised constant '${name}' has ${columns} columns and ${zeros.length} zero points`)
  }
  const values = toFloat32(tensor)
  const out = new Float32Array(values.length)
  for (let i = 0; i < out.length; i++) out[i] = (values[i] ?? 0) - (zeros[zeros.length === 1 ? 0 : i % columns] ?? 0)
  return out
}
