/**
 * The devices a tfjs engine can run on, and how to open one. Each is a tfjs backend object of our own making, used without
 * registering it in tfjs' global engine: kernels are called with the backend they run on (tfjs-kernels.ts), so several engines
 * live side by side and a disposed one leaves nothing behind. The devices are in webgpu-backend.ts and cpu-backend.ts.
 */
import type { KernelBackend, TensorInfo } from '@tensorflow/tfjs-core'
import { elementCount } from '../../graph/ir'
import type { ValueType } from '../../graph/program'
import { EngineError, type Counters, type HostArray } from '../engine'
import type { OpTable } from './ops/op'
import type { StoredWeight } from './stored-weight'
import type { StepKernels } from './tfjs-kernels'

export type BackendName = 'webgpu' | 'cpu'

/** What a value is on the device: quantised bytes are words of four (int32) there. */
export type DeviceDType = 'float32' | 'int32' | 'bool'

export interface Backend {
  readonly name: BackendName
  readonly description: string
  /** Handed to every tfjs kernel. */
  readonly tfjs: KernelBackend
  /** Ops this device runs by a kernel of its own; the rest is composed (ops/). */
  readonly ops: Partial<OpTable>
  readonly steps: StepKernels
  /** Most bytes one tensor may have. */
  readonly max_tensor_bytes: number
  /**
   * x [M, inner] times a stored matrix [inner, outer], or with `transB` the transpose of [outer, inner]: [M, outer] float32, by the weight as it is
   * stored.
   */
  multiplyStored(x: TensorInfo, weight: StoredWeight, transB: boolean): TensorInfo
  /** A tensor with these values, on the device. The values may be kept by reference. */
  upload(values: HostArray, dims: readonly number[], dtype: DeviceDType): TensorInfo
  /** The values of several tensors in one go, as arrays of their own. Throws EngineError, DeviceLostError. */
  read(tensors: readonly TensorInfo[]): Promise<HostArray[]>
  /** Frees a tensor once every reference to its data is gone. */
  release(tensor: TensorInfo): void
  /** Gives back memory that is kept for reuse. */
  trim(): void
  /**
   * Issues device commands; what the device objects to in them is thrown by the next `settled` as an EngineError that starts
   * with `label`. Costs a little, so it is for loading and first runs.
   */
  attributed<T>(label: string, issue: () => T): T
  /** Resolves when everything issued under `attributed` has been judged. */
  settled(): Promise<void>
  /** Throws DeviceLostError if the device is gone. */
  assertAlive(): void
  counters(): Counters
  dispose(): void
}

export interface WebGPUProbe {
  readonly available: boolean
  /** The adapter in a few words, or why there is none. */
  readonly description: string
  /** A software adapter (SwiftShader): correct, and a hundred times slower than wasm. */
  readonly is_fallback_adapter: boolean
}

/** What this machine's WebGPU is, without making a device. Never throws. */
export async function probeWebGPU(): Promise<WebGPUProbe> {
  try {
    const adapter = await requestAdapter()
    return { available: true, description: describeAdapter(adapter), is_fallback_adapter: isFallbackAdapter(adapter) }
  } catch (error) {
    const description = error instanceof Error ? error.message : String(error)
    return { available: false, description, is_fallback_adapter: false }
  }
}

/** @throws EngineError when there is no WebGPU here, or no adapter. */
export async function requestAdapter(): Promise<GPUAdapter> {
  // Typed as always there; absent in Node, on insecure origins and in browsers without WebGPU.
  const gpu: GPU | undefined = typeof navigator === 'undefined' ? undefined : navigator.gpu
  if (gpu === undefined) {
    const insecure = typeof isSecureContext !== 'undefined' && !isSecureContext
    throw new EngineError(
      insecure
        ? 'WebGPU needs a secure context: open the page over https or on localhost'
        : 'this browser has no WebGPU (navigator.gpu is missing)',
    )
  }
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' })
  if (adapter === null) throw new EngineError('the browser offers no WebGPU adapter (no supported GPU, or it is blocked)')
  return adapter
}

export function isFallbackAdapter(adapter: GPUAdapter): boolean {
  return adapter.info.isFallbackAdapter
}

/** One line: what vendor, architecture, device and description say, each once. */
export function describeAdapter(adapter: GPUAdapter): string {
  const { vendor, architecture, device, description } = adapter.info
  const words = [...new Set([vendor, architecture, device, description].filter((word) => word !== ''))]
  const name = words.length === 0 ? 'unnamed adapter' : words.join(' ')
  return isFallbackAdapter(adapter) ? `${name} (software)` : name
}

/** Opens a device. The WebGPU half of tfjs is only fetched when it is asked for. @throws EngineError */
export async function openBackend(name: BackendName): Promise<Backend> {
  if (name === 'cpu') return (await import('./cpu-backend')).openCpuBackend()
  return (await import('./webgpu-backend')).openWebGPUBackend()
}

/** Bytes a value takes on the device: every element type is four bytes wide there, stored weights apart. */
export function deviceBytes(type: Pick<ValueType, 'dims'>): number {
  return elementCount(type.dims) * 4
}
