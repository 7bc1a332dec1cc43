/**
 * The browser half of webgpu-ops.test.ts: runs the engines' op cases and a few whole-engine checks on a device, and answers in
 * plain JSON. Bundled and served by run-page.ts.
 */
import type { Counters } from '../../src/engine/engine'
import { probeWebGPU, type WebGPUProbe } from '../../src/engine/tfjs/backend'
import { createTfjsEngine, TfjsEngine } from '../../src/engine/tfjs/tfjs-engine'
import { smallProgram, smallProgramFeeds } from '../support/small-program'
import { float32, floats, opCase } from '../support/op-case'
import { errorOf, opCases, type OpCase } from '../support/op-cases'

export interface CaseResult {
  readonly name: string
  /** In the units of `tolerance`; NaN crosses to Node as null. */
  readonly error: number | null
  readonly tolerance: number
  /** What was thrown, if anything. */
  readonly failure: string | null
}

export interface Failure {
  readonly name: string
  readonly message: string
}

export interface OpsPage {
  probe(): Promise<WebGPUProbe>
  runCases(): Promise<CaseResult[]>
  /** Counters after each of `runs` runs of the small program, and after it was disposed. */
  runRepeatedly(runs: number): Promise<{ readonly runs: Counters[]; readonly disposed: Counters }>
  /** Products large enough for each of tfjs' matmul programs, transposed and not: errors as errorOf's, by shape. */
  matMuls(shapes: readonly (readonly [m: number, k: number, n: number])[]): Promise<Record<string, number>>
  /** Softmax and a sum of more rows than a dispatch has workgroups on one axis: the largest error. */
  manyRows(rows: number): Promise<number>
  /** Destroys the device during one run and asks for another; what each said. */
  loseDevice(): Promise<Failure[]>
  /** Makes the device object to a command issued for a named op, then to one between runs; what settling and running said. */
  provoke(): Promise<Failure[]>
  /** Two engines side by side, the first disposed before the second runs again: the runs' outputs are equal. */
  twoEngines(): Promise<boolean>
  /** Loads a program with a tensor larger than the device holds. */
  loadTooLarge(): Promise<Failure>
}

declare global {
  interface Window {
    opsPage: OpsPage
  }
}

async function failureOf(work: Promise<unknown>): Promise<Failure> {
  try {
    await work
  } catch (error) {
    return error instanceof Error ? { name: error.name, message: error.message } : { name: 'unknown', message: String(error) }
  }
  return { name: 'none', message: 'nothing was thrown' }
}

function matMulCase(m: number, k: number, n: number, transA: boolean, transB: boolean): OpCase {
  const a = floats(transA ? [k, m] : [m, k], -1, 1)
  const b = floats(transB ? [n, k] : [k, n], -1, 1)
  const name = `[${a.type.dims.join(', ')}] x [${b.type.dims.join(', ')}] ${transA} ${transB}`
  return opCase(name, (io) => ({ op: 'MatMul', ...io, attrs: { transA, transB } }), [a, b], [float32([m, n])])
}

window.opsPage = {
  probe: probeWebGPU,

  async runCases() {
    const engine = await createTfjsEngine({ backend: 'webgpu' })
    const results: CaseResult[] = []
    for (const one of opCases()) {
      const { name, tolerance } = one
      try {
        const executable = await engine.load(one.program)
        results.push({ name, tolerance, error: errorOf(one, await executable.run(one.feeds)), failure: null })
        await executable.dispose()
      } catch (error) {
        results.push({ name, tolerance, error: null, failure: String(error) })
      }
    }
    await engine.dispose()
    return results
  },

  async runRepeatedly(runs) {
    const engine = await createTfjsEngine({ backend: 'webgpu' })
    const executable = await engine.load(smallProgram())
    const counters: Counters[] = []
    for (let i = 0; i < runs; i++) {
      await executable.run(smallProgramFeeds())
      counters.push(engine.counters())
    }
    await executable.dispose()
    const disposed = engine.counters()
    await engine.dispose()
    return { runs: counters, disposed }
  },

  async matMuls(shapes) {
    const engine = await createTfjsEngine({ backend: 'webgpu' })
    const errors: Record<string, number> = {}
    for (const [m, k, n] of shapes) {
      for (const transA of [false, true]) {
        for (const transB of [false, true]) {
          const product = matMulCase(m, k, n, transA, transB)
          const executable = await engine.load(product.program)
          errors[product.name] = errorOf(product, await executable.run(product.feeds))
          await executable.dispose()
        }
      }
    }
    await engine.dispose()
    return errors
  },

  async manyRows(rows) {
    const engine = await createTfjsEngine({ backend: 'webgpu' })
    const float = (dims: number[]) => ({ dtype: 'float32', dims }) as const
    const executable = await engine.load({
      ops: [
        { op: 'Softmax', name: 'softmax', inputs: ['x'], outputs: ['p'], attrs: { axis: 1 } },
        { op: 'ReduceSum', name: 'sum', inputs: ['x'], outputs: ['s'], attrs: { axes: [1], keepdims: false } },
      ],
      inputs: ['x'],
      outputs: ['p', 's'],
      constants: new Map(),
      values: new Map([
        ['x', float([rows, 2])],
        ['p', float([rows, 2])],
        ['s', float([rows])],
      ]),
    })
    const x = Float32Array.from({ length: rows * 2 }, (_, i) => (i * 7919) % 13)
    const outputs = await executable.run(new Map([['x', x]]))
    await engine.dispose()
    let worst = 0
    for (let row = 0; row < rows; row++) {
      const [a = 0, b = 0] = x.subarray(row * 2)
      const first = 1 / (1 + Math.exp(b - a))
      worst = Math.max(worst, Math.abs((outputs.get('p')?.[row * 2] ?? NaN) - first))
      worst = Math.max(worst, Math.abs((outputs.get('p')?.[row * 2 + 1] ?? NaN) - (1 - first)))
      worst = Math.max(worst, Math.abs((outputs.get('s')?.[row] ?? NaN) - a - b))
    }
    return worst
  },

  async loseDevice() {
    const { openWebGPUBackend } = await import('../../src/engine/tfjs/webgpu-backend')
    const backend = await openWebGPUBackend()
    const engine = new TfjsEngine(backend)
    const executable = await engine.load(smallProgram())
    await executable.run(smallProgramFeeds())
    const during = executable.run(smallProgramFeeds())
    backend.device.destroy()
    const failures = [await failureOf(during), await failureOf(executable.run(smallProgramFeeds()))]
    failures.push(await failureOf(engine.load(smallProgram())))
    await engine.dispose()
    return failures
  },

  async provoke() {
    const { openWebGPUBackend } = await import('../../src/engine/tfjs/webgpu-backend')
    const backend = await openWebGPUBackend()
    const engine = new TfjsEngine(backend)
    const executable = await engine.load(smallProgram())
    const badBuffer = () => backend.device.createBuffer({ size: 16, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.MAP_WRITE })
    backend.attributed("MatMul 'head'", badBuffer)
    const failures = [await failureOf(backend.settled())]
    badBuffer()
    failures.push(await failureOf(executable.run(smallProgramFeeds())))
    failures.push(await failureOf(executable.run(smallProgramFeeds())))
    await engine.dispose()
    return failures
  },

  async twoEngines() {
    const first = await createTfjsEngine({ backend: 'webgpu' })
    const second = await createTfjsEngine({ backend: 'webgpu' })
    const runs = []
    for (const engine of [first, second]) {
      runs.push(await (await engine.load(smallProgram())).run(smallProgramFeeds()))
    }
    await first.dispose()
    runs.push(await (await second.load(smallProgram())).run(smallProgramFeeds()))
    await second.dispose()
    const texts = runs.map((outputs) => JSON.stringify([...outputs].map(([name, values]) => [name, [...values]])))
    return texts.every((text) => text === texts[0])
  },

  async loadTooLarge() {
    const engine = await createTfjsEngine({ backend: 'webgpu' })
    const huge = { dtype: 'float32', dims: [2 ** 20, 2 ** 14] } as const
    const failure = await failureOf(
      engine.load({
        ops: [{ op: 'Neg', name: 'negate', inputs: ['logits'], outputs: ['minus'], attrs: {} }],
        inputs: ['logits'],
        outputs: ['minus'],
        constants: new Map(),
        values: new Map([
          ['logits', huge],
          ['minus', huge],
        ]),
      }),
    )
    await engine.dispose()
    return failure
  },
}
