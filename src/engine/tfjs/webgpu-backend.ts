/**
 * The `webgpu` device: a GPUDevice of our own (adapter, features and limits chosen here), tfjs' WebGPU kernels on it, uploads and
 * read-backs, and what the device says: errors name the op where that can be known, a lost device is a DeviceLostError on
 * the run in progress and every later one.
 */
import type { TensorInfo } from '@tensorflow/tfjs-core'
import { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu'
import { elementCount } from '../../graph/ir'
import { DeviceLostError, EngineError, type Counters, type HostArray } from '../engine'
import { describeAdapter, requestAdapter, type Backend, type DeviceDType } from './backend'
import { DeviceMeter } from './device-meter'
import { runStoredMatMul } from './kernels/stored-matmul'
import { webgpuOps, webgpuSteps } from './kernels/webgpu'
import type { OpTable } from './ops/op'
import type { StoredWeight } from './stored-weight'
import type { StepKernels } from './tfjs-kernels'

/** Asked for where the adapter has them. */
const FEATURES = ['shader-f16', 'subgroups', 'timestamp-query'] as const satisfies readonly GPUFeatureName[]
/** Raised from the portable defaults to what the adapter can do. */
const LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupsPerDimension',
] as const satisfies readonly (keyof GPUSupportedLimits)[]

const ERROR_SCOPES = ['validation', 'out-of-memory', 'internal'] as const satisfies readonly GPUErrorFilter[]

/** How long a failed read-back waits to learn whether the device was lost. */
const LOSS_NOTICE_MS = 500

/** Everything runs on the device: tfjs would compute small tensors on the cpu while their values are still there. */
class DeviceOnlyWebGPU extends WebGPUBackend {
  override shouldExecuteOnCPU(): boolean {
    return false
  }

  /**
   * Destroys the buffers that wait for another tensor of their exact size: tfjs never does, and every input shape has its own sizes.
   * The pool is private to tfjs' BufferManager.
   */
  freePool(): void {
    const pool: unknown = Reflect.get(this.bufferManager, 'freeBuffers')
    if (!(pool instanceof Map)) return
    for (const buffers of pool.values() as Iterable<GPUBuffer[]>) {
      for (const buffer of buffers.splice(0)) {
        this.bufferManager.numBytesAllocated -= buffer.size
        buffer.destroy()
      }
    }
  }
}

/** @throws EngineError when there is no adapter, or it gives no device. */
export async function openWebGPUBackend(): Promise<WebGPU> {
  const adapter = await requestAdapter()
  const description = describeAdapter(adapter)
  try {
    const device = await adapter.requestDevice({
      requiredFeatures: FEATURES.filter((feature) => adapter.features.has(feature)),
      requiredLimits: Object.fromEntries(LIMITS.map((limit) => [limit, adapter.limits[limit]])),
    })
    return new WebGPU(device, adapter.info, description)
  } catch (error) {
    throw new EngineError(`the WebGPU adapter (${description}) gave no device: ${messageOf(error)}`, { cause: error })
  }
}

export class WebGPU implements Backend {
  readonly name = 'webgpu'
  readonly max_tensor_bytes: number
  readonly tfjs: DeviceOnlyWebGPU
  readonly ops: Partial<OpTable>
  readonly steps: StepKernels
  readonly #meter: DeviceMeter
  readonly #lost: Promise<void>
  #loss: string | null = null
  #disposed = false
  /** What the device objected to since the last report. */
  #objections: string[] = []
  #judgements: Promise<void>[] = []
  /** Kept from one read to the next; at least as large as the largest so far. */
  #staging: GPUBuffer | null = null

  constructor(
    readonly device: GPUDevice,
    info: GPUAdapterInfo,
    readonly description: string,
  ) {
    this.#meter = new DeviceMeter(device)
    this.tfjs = new DeviceOnlyWebGPU(device, info)
    this.ops = webgpuOps(this.tfjs)
    this.steps = webgpuSteps(this.tfjs)
    this.max_tensor_bytes = Math.min(device.limits.maxBufferSize, device.limits.maxStorageBufferBindingSize)
    this.#lost = device.lost.then(({ reason, message }) => {
      this.#loss = [reason === 'destroyed' ? 'it was destroyed' : '', message].filter((part) => part !== '').join(': ')
    })
    device.addEventListener('uncapturederror', this.#onUncapturedError)
  }

  readonly #onUncapturedError = (event: GPUUncapturedErrorEvent): void => {
    event.preventDefault()
    this.#objections.push(event.error.message)
  }

  upload(values: HostArray, dims: readonly number[], dtype: DeviceDType): TensorInfo {
    if (values.length === 0) return this.tfjs.makeTensorInfo([...dims], dtype, values)
    const tensor = this.tfjs.makeTensorInfo([...dims], dtype)
    this.tfjs.uploadToGPU(tensor.dataId)
    // tfjs would map a new staging buffer each time. The buffer comes from the pool, so no command waiting for its submit
    // refers to it and the write may go first.
    this.device.queue.writeBuffer(this.#buffer(tensor), 0, values instanceof Uint8Array ? Int32Array.from(values) : values)
    return tensor
  }

  multiplyStored(x: TensorInfo, weight: StoredWeight, transB: boolean): TensorInfo {
    return runStoredMatMul(this.tfjs, x, weight, transB)
  }

  async read(tensors: readonly TensorInfo[]): Promise<HostArray[]> {
    const sizes = tensors.map((tensor) => elementCount(tensor.shape) * 4)
    const total = sizes.reduce((sum, size) => sum + size, 0)
    const staging = this.#stagingOf(Math.max(total, 4))
    this.tfjs.endComputePassEncoder()
    this.tfjs.ensureCommandEncoderReady()
    const encoder = this.#meter.encoder
    if (encoder === null) throw new EngineError('tfjs recorded commands without an encoder of this device')
    let offset = 0
    tensors.forEach((tensor, i) => {
      const size = sizes[i] ?? 0
      if (size > 0) encoder.copyBufferToBuffer(this.#buffer(tensor), 0, staging, offset, size)
      offset += size
    })
    this.tfjs.submitQueue()
    try {
      // A device that goes away settles one or the other.
      await Promise.race([staging.mapAsync(GPUMapMode.READ, 0, Math.max(total, 4)), this.#lost])
    } catch (error) {
      await Promise.race([this.#lost, new Promise((resolve) => setTimeout(resolve, LOSS_NOTICE_MS))])
      this.assertAlive()
      this.#reportObjections()
      throw new EngineError(`reading results back from the GPU failed: ${messageOf(error)}`, { cause: error })
    }
    this.assertAlive()
    const bytes = staging.getMappedRange(0, Math.max(total, 4)).slice(0)
    staging.unmap()
    await this.settled()
    offset = 0
    return tensors.map((tensor, i) => {
      const start = offset
      const length = (sizes[i] ?? 0) / 4
      offset += length * 4
      if (tensor.dtype === 'float32') return new Float32Array(bytes, start, length)
      const integers = new Int32Array(bytes, start, length)
      return tensor.dtype === 'int32' ? integers : Uint8Array.from(integers)
    })
  }

  #stagingOf(size: number): GPUBuffer {
    if (this.#staging === null || this.#staging.size < size) {
      this.#staging?.destroy()
      this.#staging = this.device.createBuffer({ size, usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ })
    }
    return this.#staging
  }

  #buffer(tensor: TensorInfo): GPUBuffer {
    const { resource } = this.tfjs.tensorMap.get(tensor.dataId)
    if (resource instanceof GPUBuffer) return resource
    throw new EngineError(`tfjs kept a ${tensor.dtype} tensor [${tensor.shape.join(', ')}] off the GPU`)
  }

  release(tensor: TensorInfo): void {
    this.tfjs.disposeData(tensor.dataId)
  }

  trim(): void {
    this.tfjs.freePool()
  }

  attributed<T>(label: string, issue: () => T): T {
    for (const filter of ERROR_SCOPES) this.device.pushErrorScope(filter)
    try {
      return issue()
    } catch (error) {
      throw error instanceof EngineError ? error : new EngineError(`${label}: ${messageOf(error)}`, { cause: error })
    } finally {
      for (let i = 0; i < ERROR_SCOPES.length; i++) this.#judgements.push(this.#judge(label))
    }
  }

  async #judge(label: string): Promise<void> {
    // A lost device rejects this; that is reported as the loss it is.
    const error = await this.device.popErrorScope().catch(() => null)
    if (error !== null) this.#objections.push(`${label}: ${error.message}`)
  }

  async settled(): Promise<void> {
    const judgements = this.#judgements
    this.#judgements = []
    await Promise.all(judgements)
    this.assertAlive()
    this.#reportObjections()
  }

  #reportObjections(): void {
    const [first, ...others] = this.#objections
    this.#objections = []
    if (first === undefined) return
    throw new EngineError(others.length === 0 ? first : `${first} (and ${others.length} more GPU errors after it)`)
  }

  assertAlive(): void {
    if (this.#loss === null) return
    throw new DeviceLostError(`the GPU device was lost${this.#loss === '' ? '' : `: ${this.#loss}`}`)
  }

  counters(): Counters {
    const { dispatches, submits, buffers_created } = this.#meter
    return {
      dispatches,
      submits,
      buffers_created,
      live_tensors: this.tfjs.numDataIds(),
      // tfjs keeps freed buffers for the next tensor of the same size: they are taken all the same.
      bytes: this.tfjs.memory().numBytesAllocatedInGPU + (this.#staging?.size ?? 0),
    }
  }

  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    this.device.removeEventListener('uncapturederror', this.#onUncapturedError)
    this.tfjs.dispose()
    this.#staging?.destroy()
    this.device.destroy()
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
