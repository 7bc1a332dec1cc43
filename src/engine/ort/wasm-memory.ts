/** What onnxruntime's wasm can hold: 32-bit addresses, on a machine that may have less. */
import type { EngineMemory } from '../engine'

const GIB = 2 ** 30
/** The last of 4 GiB is not to be had: freed memory is in pieces. */
const ADDRESSABLE = 3.75 * GIB
/** Part of a small machine's memory that a page can count on. */
const SHARE = 0.6

/** Browsers say up to how many GiB a machine has, and no more than 8 (or 32): at that there is no telling. */
const VAGUE_GIB = 8

/** @param device_gib navigator.deviceMemory, where the browser has it */
export function wasmMemory(device_gib: number | null = deviceGib()): EngineMemory {
  const machine = device_gib === null || device_gib >= VAGUE_GIB ? Infinity : SHARE * device_gib * GIB
  return { total_bytes: Math.min(ADDRESSABLE, machine), tensor_bytes: null, copies_weights: true }
}

function deviceGib(): number | null {
  if (typeof navigator === 'undefined' || !('deviceMemory' in navigator)) return null
  return typeof navigator.deviceMemory === 'number' ? navigator.deviceMemory : null
}
