/**
 * The `cpu` device: tfjs' plain JavaScript kernels, the readable reference that the other devices are compared with. It runs
 * anywhere, one thread, no wasm.
 */
import { env, type BackendValues, type DataType, type TensorInfo } from '@tensorflow/tfjs-core'
import { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu'
import { EngineError, type Counters, type HostArray } from '../engine'
import type { Backend, DeviceDType } from './backend'
import { multiplyStoredOnCpu } from './cpu-stored-weight'
import type { StoredWeight } from './stored-weight'

/** Largest array V8 makes without trouble; a clear error is better than its "Array buffer allocation failed". */
const MAX_TENSOR_BYTES = 2 ** 32 - 4

/** Counts the bytes of what is alive: tfjs leaves that to its global engine, which we don't use. */
class CountingCPU extends MathBackendCPU {
  live_bytes = 0
  readonly #sizes = new Map<object, number>()

  override write(values: BackendValues, shape: number[], dtype: DataType): object {
    const id = super.write(values, shape, dtype)
    const size = shape.reduce((count, dim) => count * dim, 4)
    this.#sizes.set(id, size)
    this.live_bytes += size
    return id
  }

  override disposeData(id: object, force = false): boolean {
    const gone = super.disposeData(id, force)
    if (gone) {
      this.live_bytes -= this.#sizes.get(id) ?? 0
      this.#sizes.delete(id)
    }
    return gone
  }
}

class CPUBackend implements Backend {
  readonly name = 'cpu'
  readonly description = 'plain JavaScript, one thread'
  readonly ops = {}
  readonly steps = {}
  readonly max_tensor_bytes = MAX_TENSOR_BYTES
  readonly tfjs = quietly(() => new CountingCPU())

  upload(values: HostArray, dims: readonly number[], dtype: DeviceDType): TensorInfo {
    return this.tfjs.makeTensorInfo([...dims], dtype, values)
  }

  multiplyStored(x: TensorInfo, weight: StoredWeight, transB: boolean): TensorInfo {
    const read = (tensor: TensorInfo) => wordsOrFloats(this.tfjs.readSync(tensor.dataId))
    const { rows, columns } = weight.format
    return this.upload(multiplyStoredOnCpu(read(x), weight, transB, read), [x.shape[0] ?? 1, transB ? rows : columns], 'float32')
  }

  read(tensors: readonly TensorInfo[]): Promise<HostArray[]> {
    // Copies: a tensor may share its memory with a feed or a weight.
    return Promise.resolve(
      tensors.map((tensor) => {
        const values = this.tfjs.readSync(tensor.dataId)
        if (tensor.dtype === 'float32') return new Float32Array(numbers(values))
        return tensor.dtype === 'int32' ? new Int32Array(numbers(values)) : new Uint8Array(numbers(values))
      }),
    )
  }

  release(tensor: TensorInfo): void {
    this.tfjs.disposeData(tensor.dataId)
  }

  trim(): void {}

  attributed<T>(label: string, issue: () => T): T {
    try {
      return issue()
    } catch (error) {
      throw new EngineError(`${label}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
    }
  }

  settled(): Promise<void> {
    return Promise.resolve()
  }

  assertAlive(): void {}

  counters(): Counters {
    return {
      dispatches: 0,
      submits: 0,
      buffers_created: 0,
      live_tensors: this.tfjs.numDataIds(),
      bytes: this.tfjs.live_bytes,
    }
  }

  dispose(): void {
    this.tfjs.dispose()
  }
}

function numbers(values: BackendValues): ArrayLike<number> {
  if (values instanceof Float32Array || values instanceof Int32Array || values instanceof Uint8Array) return values
  throw new EngineError('the cpu device gave values that are no numbers')
}

function wordsOrFloats(values: BackendValues): Float32Array | Int32Array {
  if (values instanceof Float32Array || values instanceof Int32Array) return values
  throw new EngineError('the cpu device gave values that are neither floats nor words')
}

/** The first tensor ever written in Node prints an advertisement for tfjs-node, unless tfjs runs in production mode. */
function quietly(make: () => CountingCPU): CountingCPU {
  const production = env().getBool('PROD')
  env().set('PROD', true)
  try {
    const backend = make()
    backend.disposeData(backend.write(new Float32Array(0), [0], 'float32'))
    return backend
  } finally {
    env().set('PROD', production)
  }
}

export function openCpuBackend(): Backend {
  return new CPUBackend()
}
