/** Devices: what this machine has, engines on them, and which one `auto` takes for a model (by measuring, where there is a choice). */
import { EngineError, DEVICES, type Device, type Engine } from '../../src/engine/engine'
import type { EncoderEmbeds, TokenBatch } from '../../src/engine/frozen-model'
import { GraphModel } from '../../src/engine/graph-model'
import { createOrtEngine } from '../../src/engine/ort/ort-engine'
import type { OrtLibrary } from '../../src/engine/ort/ort-library'
import { compareLogits, engineLogits, selfTestIds, selfTestInput } from '../../src/engine/self-test'
import { probeWebGPU } from '../../src/engine/tfjs/backend'
import { createTfjsEngine } from '../../src/engine/tfjs/tfjs-engine'
import type { CutModel } from '../../src/graph/cut'
import { exactnessOf } from '../../src/graph/exactness'
import type { DeviceInfo } from '../../src/protocol'
import { CommandError } from './failures'

export interface ChosenEngine {
  readonly engine: Engine
  /** Why this device, for people. */
  readonly reason: string
}

const isDevice = (name: string): name is Device => DEVICES.some((device) => device === name)

export async function openEngine(ort: OrtLibrary, device: Device): Promise<Engine> {
  return device === 'wasm' ? createOrtEngine({ ort }) : createTfjsEngine({ backend: device })
}

export async function probeDevices(ort: OrtLibrary): Promise<DeviceInfo[]> {
  const gpu = await probeWebGPU()
  let wasm: string | null = null
  let trouble = ''
  try {
    const engine = await openEngine(ort, 'wasm')
    wasm = engine.description
    await engine.dispose()
  } catch (error) {
    trouble = messageOf(error)
  }
  return [
    { device: 'webgpu', ...gpu },
    { device: 'wasm', available: wasm !== null, description: wasm ?? trouble, is_fallback_adapter: false },
    { device: 'cpu', available: true, description: 'plain JavaScript: slow, for comparison', is_fallback_adapter: false },
  ]
}

/**
 * The engine for `device`, or for "auto" the fastest that computes this model right.
 * @throws CommandError for an unknown device; EngineError when it can't be opened
 */
export async function chooseEngine(ort: OrtLibrary, device: string, cut: CutModel): Promise<ChosenEngine> {
  if (device !== 'auto') {
    if (!isDevice(device)) throw new CommandError('invalid', `device "${device}" is unknown`, `Use auto, ${DEVICES.join(', ')}.`)
    const engine = await openEngine(ort, device)
    return { engine, reason: `${engine.description}, as you chose` }
  }
  const wasm = await openEngine(ort, 'wasm')
  const because = (reason: string): ChosenEngine => ({ engine: wasm, reason: `${wasm.description}: ${reason}` })
  const probe = await probeWebGPU()
  if (!probe.available) return because(`no WebGPU, ${probe.description}`)
  if (probe.is_fallback_adapter)
    return because(`the only WebGPU adapter is software (${probe.description}), about a hundred times slower`)

  let gpu: Engine
  try {
    gpu = await openEngine(ort, 'webgpu')
  } catch (error) {
    return because(`WebGPU does not start, ${messageOf(error)}`)
  }
  try {
    const input = selfTestInput(cut)
    const check = compareLogits(await engineLogits(cut, gpu, input), await engineLogits(cut, wasm, input), exactnessOf(cut))
    if (!check.ok) throw new EngineError(`its results differ by ${check.max_abs_diff.toPrecision(2)}`)
    const [gpuMs, wasmMs] = [await stepTime(cut, gpu), await stepTime(cut, wasm)]
    const times = `a step takes ${gpuMs.toFixed(0)} ms on WebGPU and ${wasmMs.toFixed(0)} ms on wasm`
    if (wasmMs < gpuMs) {
      await gpu.dispose()
      return because(times)
    }
    await wasm.dispose()
    return { engine: gpu, reason: `${gpu.description}: ${times}` }
  } catch (error) {
    await gpu.dispose().catch(() => undefined)
    return because(`WebGPU (${probe.description}) is no use for this model, ${messageOf(error)}`)
  }
}

const PROBE = { batch_size: 4, sequence_length: 64, label_length: 4, virtual_tokens: 8 }

/** Milliseconds of one training step at a usual size, once everything is compiled and loaded. */
async function stepTime(cut: CutModel, engine: Engine): Promise<number> {
  const model = new GraphModel({ cut, engine })
  try {
    const batch = probeBatch(model)
    const { virtual_tokens } = PROBE
    const lengths = cut.kind === 'causal-lm' ? { decoder: virtual_tokens, encoder: 0 } : { decoder: 0, encoder: virtual_tokens }
    await model.lossAndGradient(batch, lengths)
    const started = performance.now()
    await model.lossAndGradient(batch, lengths)
    return performance.now() - started
  } finally {
    await model.dispose()
  }
}

function probeBatch(model: GraphModel): TokenBatch {
  const { batch_size, label_length } = PROBE
  const longest = Math.min(PROBE.sequence_length, model.max_positions ?? PROBE.sequence_length)
  const sequence_length = model.kind === 'causal-lm' ? longest : label_length
  const ids = (count: number): number[] => selfTestIds(model.vocab_size, count)
  const mask = (length: number): Int32Array => new Int32Array(batch_size * length).fill(1)
  const encoder: EncoderEmbeds = {
    kind: 'embeds',
    sequence_length: longest,
    attention_mask: mask(longest),
    inputs_embeds: model.kind === 'causal-lm' ? new Float32Array(0) : model.embed(ids(batch_size * longest), 'encoder'),
  }
  const labels = batch_size * label_length
  return {
    batch_size,
    sequence_length,
    label_length,
    inputs_embeds: model.embed(ids(batch_size * sequence_length), 'decoder'),
    attention_mask: mask(sequence_length),
    label_positions: Int32Array.from({ length: labels }, (_, i) => sequence_length - label_length + (i % label_length)),
    label_ids: Int32Array.from(ids(labels)),
    label_weights: new Float32Array(labels).fill(1 / labels),
    encoder: model.kind === 'causal-lm' ? null : encoder,
  }
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
