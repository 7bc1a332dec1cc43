/**
 * The tfjs engine: walks a program's ops with tfjs kernels on `webgpu` or `cpu`, freeing each value after its last use. Feeds go up,
 * outputs come down together in one read, nothing else is left behind. It knows ops and devices; it knows nothing of prompts or
 * training, and gradients are ops like any other.
 */
import type { TensorInfo } from '@tensorflow/tfjs-core'
import { elementCount } from '../../graph/ir'
import type { Op, Program } from '../../graph/program'
import {
  EngineError,
  type Counters,
  type Engine,
  type EngineMemory,
  type Executable,
  type HostArray,
  type HostArrays,
} from '../engine'
import { rowsWithin, sliceWeights } from '../slice-weights'
import { openBackend, type Backend, type BackendName } from './backend'
import { runEmpty } from './ops/empty'
import { OPS } from './ops/table'
import { plan, type OutputSlot, type Plan, type Step } from './plan'
import { Kernels } from './tfjs-kernels'
import { WeightStore, withoutMinusInfinity, type Weight } from './weights'

export interface TfjsEngineOptions {
  readonly backend: BackendName
  /** Most bytes one tensor may have, where that should be less than the device holds. Larger weights of products are taken apart. */
  readonly max_tensor_bytes?: number
}

/** @throws EngineError when the device can't be had */
export async function createTfjsEngine({ backend, max_tensor_bytes }: TfjsEngineOptions): Promise<Engine> {
  return new TfjsEngine(await openBackend(backend), max_tensor_bytes)
}

export class TfjsEngine implements Engine {
  readonly device: BackendName
  readonly memory: EngineMemory
  readonly description: string
  readonly #kernels: Kernels
  readonly #weights: WeightStore
  readonly #executables = new Set<TfjsExecutable>()
  #disposed = false
  #running = false

  readonly #max_tensor_bytes: number

  constructor(
    readonly backend: Backend,
    max_tensor_bytes = Infinity,
  ) {
    this.#max_tensor_bytes = Math.min(max_tensor_bytes, backend.max_tensor_bytes)
    this.device = backend.name
    // No API says what a GPU has. Weights of 16 bits and less stay as they are, but for a few small ones (norms, biases).
    const tensor_bytes = this.#max_tensor_bytes
    this.memory = { total_bytes: null, tensor_bytes, copies_weights: false }
    this.description = backend.description
    this.#kernels = new Kernels(backend)
    this.#weights = new WeightStore(backend)
  }

  async load(whole: Program): Promise<Executable> {
    this.#assertUsable()
    const most = this.#max_tensor_bytes
    const program = sliceWeights(whole, rowsWithin(most))
    const planned = plan(program, most)
    const weights = new Map<string, Weight>()
    try {
      for (const [key, { name, tensor, type, form }] of planned.constants) {
        const upload = () => this.#weights.acquire(name, tensor, type, form)
        weights.set(key, this.backend.attributed(`uploading '${name}'`, upload))
      }
      await this.backend.settled()
    } catch (error) {
      for (const weight of weights.values()) weight.release()
      throw error
    }
    const executable = new TfjsExecutable(program, planned, weights, this.#kernels, {
      during: (work) => this.#exclusively(work),
      left: () => this.#executables.delete(executable),
    })
    this.#executables.add(executable)
    return executable
  }

  counters(): Counters {
    return this.backend.counters()
  }

  dispose(): Promise<void> {
    if (this.#disposed) return Promise.resolve()
    for (const executable of this.#executables) void executable.dispose()
    this.#kernels.dispose()
    this.#disposed = true
    this.backend.dispose()
    return Promise.resolve()
  }

  #assertUsable(): void {
    if (this.#disposed) throw new EngineError('this engine was disposed')
    this.backend.assertAlive()
  }

  async #exclusively<T>(work: () => Promise<T>): Promise<T> {
    this.#assertUsable()
    if (this.#running) throw new EngineError('an engine runs one program at a time: await the run before the next')
    this.#running = true
    try {
      return await work()
    } finally {
      this.#running = false
    }
  }
}

/** What an executable needs of its engine. */
interface Home {
  during<T>(work: () => Promise<T>): Promise<T>
  left(): void
}

class TfjsExecutable implements Executable {
  /** Errors are attributed to their op, and results checked, until a run has gone through once: shapes never change. */
  #proven = false
  #disposed = false

  constructor(
    readonly program: Program,
    readonly plan: Plan,
    readonly weights: ReadonlyMap<string, Weight>,
    readonly kernels: Kernels,
    readonly home: Home,
  ) {}

  run(feeds: HostArrays): Promise<HostArrays> {
    return this.home.during(() => this.#run(feeds))
  }

  async #run(feeds: HostArrays): Promise<HostArrays> {
    if (this.#disposed) throw new EngineError('this program was disposed')
    const { backend } = this.kernels
    const values = new Map<string, TensorInfo>()
    try {
      for (const feed of this.plan.feeds) values.set(feed.name, backend.upload(fedValues(feed, feeds), feed.dims, feed.dtype))
      for (const step of this.plan.steps) this.#issue(step, values)
      const { outputs } = this.program
      const arrays = await backend.read(outputs.map((name) => this.#value(name, values)))
      this.#proven = true
      return new Map(arrays.map((array, i) => [outputs[i] ?? '', array]))
    } finally {
      for (const tensor of values.values()) backend.release(tensor)
    }
  }

  #issue(step: Step, values: Map<string, TensorInfo>): void {
    const inputs = step.inputs.map((name) => this.#value(name, values))
    const compute = () =>
      this.kernels.scope(() => runEmpty(step.op, inputs, step.outputs, this.kernels) ?? runOp(step.op, inputs, this.kernels))
    const results = this.#proven ? compute() : this.kernels.backend.attributed(step.label, compute)
    step.outputs.forEach(({ name }, i) => {
      const tensor = results[i]
      if (tensor !== undefined) values.set(name, tensor)
    })
    if (!this.#proven) checkResults(step, results)
    for (const name of step.frees) {
      const tensor = values.get(name)
      values.delete(name)
      if (tensor !== undefined) this.kernels.backend.release(tensor)
    }
  }

  #value(name: string, values: ReadonlyMap<string, TensorInfo>): TensorInfo {
    const tensor = values.get(name) ?? this.weights.get(name)?.tensor
    if (tensor === undefined) throw new EngineError(`'${name}' was freed before its last use`)
    return tensor
  }

  dispose(): Promise<void> {
    if (this.#disposed) return Promise.resolve()
    this.#disposed = true
    for (const weight of this.weights.values()) weight.release()
    this.kernels.backend.trim()
    this.home.left()
    return Promise.resolve()
  }
}

function runOp(op: Op, inputs: readonly TensorInfo[], kernels: Kernels): readonly TensorInfo[] {
  const own = kernels.backend.ops[op.op]
  // The tables map every name to a function of that name's op; TypeScript can't follow that through a union of ops.
  const implementation = (own ?? OPS[op.op]) as (op: Op, inputs: readonly TensorInfo[], kernels: Kernels) => readonly TensorInfo[]
  const results = implementation(op, inputs, kernels)
  return own ? results.map((tensor) => kernels.adopt(tensor)) : results
}

function fedValues(feed: OutputSlot, feeds: HostArrays): HostArray {
  const values = feeds.get(feed.name)
  if (values === undefined) throw new EngineError(`the program's input '${feed.name}' was not fed`)
  const fits =
    feed.dtype === 'float32'
      ? values instanceof Float32Array
      : feed.dtype === 'int32'
        ? values instanceof Int32Array
        : values instanceof Uint8Array
  if (!fits || values.length !== elementCount(feed.dims)) {
    const got = `${values.constructor.name} of ${values.length}`
    throw new EngineError(`the program's input '${feed.name}' is ${feed.dtype} [${feed.dims.join(', ')}]; it was fed a ${got}`)
  }
  return values instanceof Float32Array ? withoutMinusInfinity(values) : values
}

function checkResults(step: Step, results: readonly TensorInfo[]): void {
  const got = results.map(({ dtype, shape }) => `${dtype} [${shape.join(', ')}]`).join(', ')
  const expected = step.outputs.map(({ dtype, dims }) => `${dtype} [${dims.join(', ')}]`).join(', ')
  if (got !== expected) throw new EngineError(`${step.label} gave ${got}; the program says ${expected}`)
}
