/**
 * The engine interface: whoever can run a Program is an engine. There are two, `ort` (onnxruntime-web, wasm) and `tfjs`
 * (webgpu, and cpu as the readable reference). Engines know ops and devices; they know nothing of prompts or training.
 */
import type { Program } from '../graph/program'

export const DEVICES = ['webgpu', 'wasm', 'cpu'] as const
export type Device = (typeof DEVICES)[number]

/** What is fed and read: float32 values as Float32Array, int32 as Int32Array, bool as Uint8Array. Row-major. */
export type HostArray = Float32Array | Int32Array | Uint8Array
export type HostArrays = ReadonlyMap<string, HostArray>

/**
 * Running totals since the engine was made (dispatches, submits, buffers_created: 0 where the device has no such notion)
 * and what is alive now (live_tensors, bytes). Counters are stable where milliseconds are not.
 */
export interface Counters {
  readonly dispatches: number
  readonly submits: number
  readonly buffers_created: number
  readonly live_tensors: number
  readonly bytes: number
}

/** A program made ready to run on a device. Runs must not overlap; the caller awaits one before the next. */
export interface Executable {
  /** Feeds every program input, returns every program output. Throws EngineError, DeviceLostError. */
  run(feeds: HostArrays): Promise<HostArrays>
  /** Frees what belongs to this program alone. */
  dispose(): Promise<void>
}

/** What a device has, as far as it says. */
export interface EngineMemory {
  /** Most bytes it can hold altogether; null where nobody says. */
  readonly total_bytes: number | null
  /** Most bytes of one tensor; null for no limit of its own. */
  readonly tensor_bytes: number | null
  /** Every loaded program holds weights of its own. Otherwise all share one copy. */
  readonly copies_weights: boolean
}

export interface Engine {
  readonly device: Device
  readonly memory: EngineMemory
  /** One line for people: adapter or thread count, and what it falls back to. */
  readonly description: string
  load(program: Program): Promise<Executable>
  counters(): Counters
  dispose(): Promise<void>
}

/** The device refused or failed a program: the message names the op and what the device said. */
export class EngineError extends Error {
  override readonly name: string = 'EngineError'
}

/** The device went away (driver reset, GPU process killed). Make a new engine and go on from the last checkpoint. */
export class DeviceLostError extends EngineError {
  override readonly name = 'DeviceLostError'
}
