/**
 * The frozen weights on the device: one copy for each Tensor object (and form), however many programs use it. Packed weights and 16-bit
 * matrices that a product reads stay as they are; other 16-bit floats become float32 here. The least float32 stands for minus infinity, so
 * that a fully masked row of attention scores has a softmax (PyTorch's own masks hold that number).
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
  readonly #entries = new Map<Tensor, Map<string, Entry>>()

  constructor(readonly backend: Backend) {}

  /**
   * @param name for messages
   * @throws EngineError when the tensor does not fit its value type
   */
  acquire(name: string, tensor: Tensor, type: ValueType, form: WeightForm): Weight {
    const forms = this.#entries.get(tensor) ?? new Map<string, Entry>()
    const key = form === 'words' ? form : `${type.dtype} ${type.dims.join('x')}`
    let entry = forms.get(key)
    if (entry === undefined) {
      entry = { tensor: form === 'words' ? this.#words(tensor) : this.#numbers(name, tensor, type), users: 0 }
      forms.set(key, entry)
      this.#entries.set(tensor, forms)
    }
    const held = entry
    held.users++
    return { tensor: held.tensor, release: () => this.#release(tensor, key, held) }
  }

  #words({ bytes }: Tensor): TensorInfo {
    const count = Math.ceil(bytes.byteLength / 4)
    const whole = bytes.byteLength === count * 4 && bytes.byteOffset % 4 === 0
    const padded = whole ? bytes : new Uint8Array(count * 4)
    if (!whole) padded.set(bytes)
    return this.backend.upload(new Int32Array(padded.buffer, padded.byteOffset, count), [count], 'int32')
  }

  #numbers(name: string, tensor: Tensor, type: ValueType): TensorInfo {
    const dtype = deviceDType(type)
    const values = weightValues(name, tensor, dtype)
    if (values.length !== elementCount(type.dims)) {
      throw new EngineError(`constant '${name}' has ${values.length} elements, the program says [${type.dims.join(', ')}]`)
    }
    return this.backend.upload(values, type.dims, dtype)
  }

  #release(tensor: Tensor, form: string, entry: Entry): void {
    if (--entry.users > 0) return
    const forms = this.#entries.get(tensor)
    forms?.delete(form)
    if (forms?.size === 0) this.#entries.delete(tensor)
    this.backend.release(entry.tensor)
  }
}

/** As numbers of the value's type, or as the bytes of the file in words of four. */
export type WeightForm = 'numbers' | 'words'

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
