/**
 * The engine on onnxruntime-web's wasm (CPU) provider: every program becomes an ONNX model (lower.ts) and an inference session
 * that holds its own copy of the weights. How many sessions stay loaded is the caller's business.
 */
import { elementCount } from '../../graph/ir'
import type { Program, ValueType } from '../../graph/program'
import { byteLength } from '../../graph/tensor'
import { EngineError, type Counters, type Engine, type Executable, type HostArray, type HostArrays } from '../engine'
import { lower } from './lower'
import { createSession } from './ort-session'
import { ortMessage, type OrtLibrary, type OrtSession, type OrtTensor } from './ort-library'
import { peakActivationBytes } from '../../graph/peak-activations'
import { startThreads } from './ort-threads'
import { wasmMemory } from './wasm-memory'

export interface OrtEngineOptions {
  readonly ort: OrtLibrary
  /** Threads to ask for; without it, what ort's env says, else one per core up to 4. One where the page is not cross-origin isolated. */
  readonly threads?: number
}

/**
 * Starts onnxruntime's wasm if nobody has yet (its thread count is fixed from then on).
 * @throws EngineError if it does not start
 */
export async function createOrtEngine({ ort, threads }: OrtEngineOptions): Promise<Engine> {
  const description = await startThreads(ort, threads)
  return new OrtEngine(ort, description)
}

/** Shared by the executables of one engine. */
interface Tally {
  buffers_created: number
  live_tensors: number
  bytes: number
}

class OrtEngine implements Engine {
  readonly device = 'wasm'
  readonly memory = wasmMemory()
  private readonly tally: Tally = { buffers_created: 0, live_tensors: 0, bytes: 0 }
  private readonly executables = new Set<Executable>()

  constructor(
    private readonly ort: OrtLibrary,
    readonly description: string,
  ) {}

  async load(program: Program): Promise<Executable> {
    const model = lower(program)
    let session: OrtSession
    try {
      session = await createSession(this.ort, model)
    } catch (cause) {
      const place = `a program of ${program.ops.length} ops for ${[...new Set(program.outputs)].join(', ')}`
      throw new EngineError(`wasm: onnxruntime can't load ${place}: ${ortMessage(cause)}`, { cause })
    }
    const weights = [...model.graph.initializers.values()]
    const held = {
      live_tensors: weights.length,
      bytes: weights.reduce((total, tensor) => total + byteLength(tensor), 0) + peakActivationBytes(program),
    }
    const executable = new OrtExecutable(this.ort, session, program, this.tally, held, () => this.executables.delete(executable))
    this.executables.add(executable)
    return executable
  }

  /** live_tensors: initializers of the loaded programs and tensors of a run under way. bytes: weights and activations of the loaded programs. */
  counters(): Counters {
    return { dispatches: 0, submits: 0, ...this.tally }
  }

  async dispose(): Promise<void> {
    for (const executable of [...this.executables]) await executable.dispose()
  }
}

class OrtExecutable implements Executable {
  private readonly outputs: readonly string[]
  private disposed = false

  constructor(
    private readonly ort: OrtLibrary,
    private readonly session: OrtSession,
    private readonly program: Program,
    private readonly tally: Tally,
    private readonly held: Pick<Tally, 'live_tensors' | 'bytes'>,
    private readonly onDispose: () => void,
  ) {
    this.outputs = [...new Set(program.outputs)]
    tally.live_tensors += held.live_tensors
    tally.bytes += held.bytes
  }

  async run(feeds: HostArrays): Promise<HostArrays> {
    if (this.disposed) throw new EngineError('wasm: this program has been disposed of')
    const inputs: Record<string, OrtTensor> = {}
    for (const name of this.program.inputs) inputs[name] = this.feed(name, feeds.get(name))
    const tensors = Object.values(inputs)
    this.tally.live_tensors += tensors.length
    this.tally.buffers_created += tensors.length
    try {
      let results: Awaited<ReturnType<OrtSession['run']>>
      try {
        results = await this.session.run(inputs)
      } catch (cause) {
        throw new EngineError(`wasm: onnxruntime failed: ${ortMessage(cause)}`, { cause })
      }
      tensors.push(...Object.values(results))
      this.tally.live_tensors += this.outputs.length
      this.tally.buffers_created += this.outputs.length
      // By position: an output that is an input as it is has another name in the session.
      return new Map(this.outputs.map((name, i) => [name, this.read(name, results[this.session.outputNames[i] ?? ''])]))
    } finally {
      this.tally.live_tensors -= tensors.length
      for (const tensor of tensors) tensor.dispose()
    }
  }

  async dispose(): Promise<void> {
    if (this.disposed) return
    this.disposed = true
    this.tally.live_tensors -= this.held.live_tensors
    this.tally.bytes -= this.held.bytes
    this.onDispose()
    await this.session.release()
  }

  private type(name: string): ValueType {
    const type = this.program.values.get(name)
    if (!type) throw new EngineError(`wasm: the program does not say what '${name}' is`)
    return type
  }

  private feed(name: string, data: HostArray | undefined): OrtTensor {
    const { dtype, dims } = this.type(name)
    const expected = `${dtype}[${dims.join(', ')}]`
    if (!data) throw new EngineError(`wasm: program input '${name}' (${expected}) is not fed`)
    if (data.length !== elementCount(dims)) {
      throw new EngineError(`wasm: program input '${name}' is ${expected}, but ${data.length} numbers are fed`)
    }
    if (dtype === 'float32' && data instanceof Float32Array) return new this.ort.Tensor('float32', data, dims)
    if (dtype === 'int32' && data instanceof Int32Array) return new this.ort.Tensor('int32', data, dims)
    if (dtype === 'bool' && data instanceof Uint8Array) return new this.ort.Tensor('bool', data, dims)
    throw new EngineError(`wasm: program input '${name}' is ${expected}, but ${data.constructor.name} is fed`)
  }

  private read(name: string, tensor: OrtTensor | undefined): HostArray {
    const { dims } = this.type(name)
    const data = tensor?.data
    if (data instanceof Float32Array || data instanceof Int32Array || data instanceof Uint8Array) {
      if (data.length === elementCount(dims)) return data
    }
    throw new EngineError(
      `wasm: output '${name}' should be [${dims.join(', ')}], onnxruntime gives ${tensor?.type ?? 'nothing'} [${tensor?.dims.join(', ') ?? ''}]`,
    )
  }
}
