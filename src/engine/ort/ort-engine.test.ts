/** Every op of the dialect through onnxruntime-web (its wasm, in Node), against the float64 evaluator; and what an engine promises. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import * as ort from 'onnxruntime-web/webgpu'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { llamaProgram, TINY_CAUSAL } from '../../../test/support/llama-program'
import { exactIndices, exactly, float32, floats, halfPrecision, opCase, seeded, type OpCase } from '../../../test/support/op-case'
import { errorOf, opCases } from '../../../test/support/op-cases'
import { randomOpCase } from '../../../test/support/random-op-case'
import { elementCount } from '../../graph/ir'
import { trainingProgram } from '../../graph/objective'
import type { Program } from '../../graph/program'
import { fromFloat32 } from '../../graph/tensor'
import { EngineError, type Engine, type HostArray, type HostArrays } from '../engine'
import { createOrtEngine } from './ort-engine'

let engine: Engine
/** The memory of onnxruntime's wasm: it grows and never shrinks. */
const memories: WebAssembly.Memory[] = []
const wasmBytes = () => memories.reduce((total, { buffer }) => total + buffer.byteLength, 0)

beforeAll(async () => {
  const { Memory } = WebAssembly
  vi.stubGlobal('WebAssembly', {
    ...Object.fromEntries(Object.getOwnPropertyNames(WebAssembly).map((name) => [name, Reflect.get(WebAssembly, name)])),
    Memory: class extends Memory {
      constructor(descriptor: WebAssembly.MemoryDescriptor) {
        super(descriptor)
        memories.push(this)
      }
    },
  })
  engine = await createOrtEngine({ ort, threads: 1 })
  expect(memories).toHaveLength(1)
})

async function runOnce(program: Program, feeds: HostArrays): Promise<HostArrays> {
  const executable = await engine.load(program)
  try {
    return await executable.run(feeds)
  } finally {
    await executable.dispose()
  }
}

const errorOnEngine = async (opCase: OpCase) => errorOf(opCase, await runOnce(opCase.program, opCase.feeds))

test.each(opCases())('$name', async (opCase) => {
  expect(await errorOnEngine(opCase)).toBeLessThanOrEqual(opCase.tolerance)
})

test('random element-wise and shape ops', async () => {
  await fc.assert(
    fc.asyncProperty(randomOpCase(), async (opCase) => (await errorOnEngine(opCase)) <= opCase.tolerance),
    { numRuns: 300 },
  )
})

const SMALL = {
  ...TINY_CAUSAL,
  batch: 2,
  sequence: 7,
  layers: 2,
  hidden: 16,
  heads: 4,
  key_heads: 2,
  intermediate: 24,
  vocab: 50,
}

/** Feeds for a training program: seeded floats, indices below the sequence length (which is below the vocabulary). */
function anyFeeds(program: Program, limit: number, seed = 5): Map<string, HostArray> {
  const random = seeded(seed)
  return new Map(
    program.inputs.map((name): [string, HostArray] => {
      const type = program.values.get(name)
      const from = { length: elementCount(type?.dims ?? []) }
      if (type?.dtype === 'int32') return [name, Int32Array.from(from, () => Math.floor(limit * random()))]
      return [name, Float32Array.from(from, () => 2 * random() - 1)]
    }),
  )
}

describe('whole steps', () => {
  // The gradients of attention and of SiLU take parts of the forward half over, so op by op is not enough. Errors add up over the layers.
  test.each([false, true])('a Llama training step is the evaluator’s (q8: %s)', async (quantized) => {
    const forward = llamaProgram({ ...SMALL, quantized })
    const program = trainingProgram(forward, { label_length: 3, gradient_lengths: { inputs_embeds: 4 } })
    // Rounded layers: where a value falls on the other side of a level, that level (1/255 of the range) is the difference.
    const tolerance = quantized ? 2e-2 : 5e-5
    expect(await errorOnEngine({ name: 'step', program, feeds: anyFeeds(program, SMALL.sequence), tolerance })).toBeLessThan(
      tolerance,
    )
  })

  test('a weight used twice is one initializer, and both uses read it', async () => {
    const w = fromFloat32(
      [40, 40],
      Float32Array.from({ length: 1600 }, (_, i) => Math.sin(i)),
    )
    const matMul = (name: string, x: string, y: string, transB: boolean) =>
      ({ op: 'MatMul', name, inputs: [x, 'w'], outputs: [y], attrs: { transA: false, transB } }) as const
    const type = float32([3, 40])
    const program: Program = {
      ops: [matMul('/a', 'x', 'h', false), matMul('/b', 'h', 'y', true)],
      inputs: ['x'],
      outputs: ['y'],
      constants: new Map([['w', w]]),
      values: new Map([['x', type], ['h', type], ['y', type], ['w', float32([40, 40])]]), // prettier-ignore
    }
    const before = engine.counters()
    const executable = await engine.load(program)
    const held = engine.counters()
    expect(held.live_tensors - before.live_tensors).toBe(1)
    // The weight, and x, h, y of which at most three live at once.
    expect(held.bytes - before.bytes).toBe(4 * 1600 + 3 * 4 * 120)
    const feeds = anyFeeds(program, 1)
    expect(errorOf({ name: '', program, feeds, tolerance: 0 }, await executable.run(feeds))).toBeLessThan(1e-5)
    await executable.dispose()
    expect(engine.counters()).toEqual({ ...before, buffers_created: before.buffers_created + 2 })
  })

  test('outputs that are inputs or constants, outputs asked for twice, inputs nobody reads', async () => {
    const values = new Map([['x', float32([2])], ['c', float32([3])], ['unused', float32([1])]]) // prettier-ignore
    const constants = new Map([['c', fromFloat32([3], Float32Array.of(1, 2, 3))]])
    const program: Program = { ops: [], inputs: ['x', 'unused'], outputs: ['x', 'c', 'x'], constants, values }
    const outputs = await runOnce(program, new Map([['x', Float32Array.of(7, 8)], ['unused', Float32Array.of(0)]])) // prettier-ignore
    expect([...outputs]).toEqual([
      ['x', Float32Array.of(7, 8)],
      ['c', Float32Array.of(1, 2, 3)],
    ])
  })

  test('half-precision weights large enough to be handed over as external data', async () => {
    for (const dtype of ['float16', 'bfloat16'] as const) {
      const operands = [floats([4, 40]), halfPrecision(dtype, [40, 40])]
      const attrs = { transA: false, transB: true }
      expect(
        await errorOnEngine(opCase('large', (io) => ({ op: 'MatMul', ...io, attrs }), operands, [float32([4, 40])])),
      ).toBeLessThan(1e-5)
    }
  })
})

describe('errors', () => {
  const gather = (indices: number[]) =>
    opCase(
      'lookup',
      (io) => ({ op: 'Gather', ...io, attrs: { axis: 0 } }),
      [exactly([2, 1], [5, 6]), exactIndices([indices.length], indices)],
      [float32([indices.length, 1])],
    )

  test('feeds that are missing, of the wrong size or type are named', async () => {
    const { program, feeds } = gather([1, 0])
    const executable = await engine.load(program)
    const fed = (name: string, data: HostArray) => executable.run(new Map<string, HostArray>([...feeds, [name, data]]))
    await expect(executable.run(new Map())).rejects.toThrow("program input 'x0' (float32[2, 1]) is not fed")
    await expect(fed('x0', new Float32Array(3))).rejects.toThrow("program input 'x0' is float32[2, 1], but 3 numbers are fed")
    await expect(fed('x1', new Float32Array(2))).rejects.toThrow("program input 'x1' is int32[2], but Float32Array is fed")
    expect(errorOf(gather([1, 0]), await executable.run(feeds))).toBe(0)
    await executable.dispose()
    await executable.dispose()
    await expect(executable.run(feeds)).rejects.toThrow('disposed')
    expect(engine.counters().live_tensors).toBe(0)
  })

  test('what onnxruntime refuses at run time carries the name of the op, and the program still runs afterwards', async () => {
    const { program, feeds } = gather([1, 0])
    const executable = await engine.load(program)
    const bad = executable.run(new Map<string, HostArray>([...feeds, ['x1', Int32Array.of(0, 2)]]))
    await expect(bad).rejects.toThrow(EngineError)
    await expect(bad).rejects.toThrow(/\/test\/lookup.*indices element out of data bounds/s)
    expect(errorOf(gather([1, 0]), await executable.run(feeds))).toBe(0)
    await executable.dispose()
  })

  test('a program onnxruntime refuses to load: which program, and its own words', async () => {
    const { program } = opCase('misfit', (io) => ({ op: 'Add', ...io, attrs: {} }), [floats([2]), floats([3])], [float32([3])])
    const load = engine.load(program)
    await expect(load).rejects.toThrow(EngineError)
    await expect(load).rejects.toThrow(/a program of 1 ops for y0: .*Incompatible dimensions/s)
  })

  test('an inconsistent program is refused before onnxruntime sees it', async () => {
    const { program } = gather([0])
    const nameless = { ...program, values: new Map([...program.values].filter(([name]) => name !== 'y0')) }
    await expect(engine.load(nameless)).rejects.toThrow("does not say what 'y0' is")
  })
})

describe('memory', () => {
  setFlagsFromString('--expose-gc')
  /** Bytes of arrays JavaScript still holds. */
  const heldBytes = () => {
    runInNewContext('gc()')
    return process.memoryUsage().arrayBuffers
  }
  const large = (): OpCase =>
    opCase('large', (io) => ({ op: 'Neg', ...io, attrs: {} }), [floats([512, 512])], [float32([512, 512])])

  test('200 runs leave it flat', async () => {
    const { program, feeds } = large()
    const executable = await engine.load(program)
    for (let i = 0; i < 20; i++) await executable.run(feeds)
    const [counters, wasm, held] = [engine.counters(), wasmBytes(), heldBytes()]
    for (let i = 0; i < 200; i++) await executable.run(feeds)
    const after = engine.counters()
    expect(after).toEqual({ ...counters, buffers_created: counters.buffers_created + 400 })
    expect(wasmBytes()).toBe(wasm)
    // A run feeds 1 MB and reads 1 MB: keeping either would take 200 MB. The last few may not be collected yet.
    expect(heldBytes() - held).toBeLessThan(10e6)
    await executable.dispose()
  })

  test('dispose gives a session’s memory to the next one', async () => {
    const { layers, ...shape } = TINY_CAUSAL
    const program = llamaProgram({ ...shape, layers: layers / 2 })
    const counters = engine.counters()
    const cycle = async () => (await engine.load(program)).dispose()
    for (let i = 0; i < 3; i++) await cycle()
    const before = wasmBytes()
    for (let i = 0; i < 20; i++) await cycle()
    // Weights are 8 MB: kept 20 times they would be 160. Fragments may make the heap grow once more.
    expect(wasmBytes() - before).toBeLessThan(16e6)
    expect(engine.counters()).toEqual(counters)
  })

  test('disposing of the engine disposes of its programs', async () => {
    const own = await createOrtEngine({ ort })
    const { program, feeds } = large()
    const executable = await own.load(program)
    expect(own.counters().bytes).toBeGreaterThan(0)
    await own.dispose()
    expect(own.counters()).toMatchObject({ live_tensors: 0, bytes: 0 })
    await expect(executable.run(feeds)).rejects.toThrow('disposed')
    expect(own.description).toBe('wasm, 1 thread')
  })
})
