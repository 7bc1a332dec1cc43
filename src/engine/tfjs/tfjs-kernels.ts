/**
 * tfjs' kernels as plain functions of tensors on one backend: what the ops in ops/ are composed of. Tensors made inside a
 * `scope` are released at its end, but for those it returns. There is no tape and no global state: a kernel is looked up by name
 * for the backend and called with it. Shapes: tfjs' WebGPU kernels stop at rank 4 to 6, so whatever can be is brought to few
 * dimensions first (shapes.ts).
 */
import { getKernel, type NamedAttrMap, type NamedTensorInfoMap, type TensorInfo } from '@tensorflow/tfjs-core'
import { elementCount } from '../../graph/ir'
import { EngineError, type HostArray } from '../engine'
import type { Backend, DeviceDType } from './backend'
import type { StoredWeight } from './stored-weight'
import { around, broadcastDims, mergeBroadcast, mergePermutation, mergeReduction, sameDims } from './shapes'

export type UnaryKernel =
  | 'Neg'
  | 'Abs'
  | 'Reciprocal'
  | 'Sqrt'
  | 'Rsqrt'
  | 'Exp'
  | 'Log'
  | 'Erf'
  | 'Tanh'
  | 'Sigmoid'
  | 'Relu'
  | 'Sin'
  | 'Cos'
  | 'LogicalNot'
  | 'Round'
export type BinaryKernel = 'Add' | 'Sub' | 'Multiply' | 'RealDiv' | 'Pow' | 'Maximum' | 'Minimum' | 'Greater' | 'Equal'
export type ReduceKernel = 'Sum' | 'Mean' | 'Max' | 'Min'

/** Steps of compositions that a device does otherwise than by tfjs' kernel. */
export interface StepKernels {
  readonly unary?: Readonly<Partial<Record<UnaryKernel, (x: TensorInfo) => TensorInfo>>>
  /** Along the last axis. */
  readonly softmax?: (x: TensorInfo) => TensorInfo
  /** scale * p (dp - sum(dp p)), the sum along the last axis. */
  readonly softmaxGrad?: (dp: TensorInfo, p: TensorInfo, scale: number) => TensorInfo
  readonly matMul3?: (a: TensorInfo, b: TensorInfo, transposeA: boolean, transposeB: boolean) => TensorInfo
}

/** Beyond this, broadcasting kernels get their dimensions merged first (tfjs goes to 6). */
const MAX_BROADCAST_RANK = 4

export class Kernels {
  readonly #constants = new Map<string, TensorInfo>()
  /** Tensors made in the open scope. */
  #made: Set<TensorInfo> | null = null

  constructor(readonly backend: Backend) {}

  /**
   * Runs `body` and releases every tensor made in it but the ones it returns. Inputs it returns get a reference of their own. Scopes don't nest.
   */
  scope(body: () => readonly TensorInfo[]): TensorInfo[] {
    const made = new Set<TensorInfo>()
    this.#made = made
    const kept: TensorInfo[] = []
    try {
      for (const tensor of body()) {
        const own = made.has(tensor) ? tensor : this.#call('Identity', { x: tensor })
        made.delete(own)
        kept.push(own)
      }
      return kept
    } catch (error) {
      for (const tensor of kept) this.backend.release(tensor)
      throw error
    } finally {
      this.#made = null
      for (const tensor of made) this.backend.release(tensor)
    }
  }

  #call(name: string, inputs: NamedTensorInfoMap, attrs: NamedAttrMap = {}): TensorInfo {
    const kernel = getKernel(name, this.backend.name)
    // tfjs declares it as always found, and returns undefined for a kernel the backend lacks.
    if (!kernel) throw new EngineError(`tfjs has no ${name} kernel for ${this.backend.name}`)
    const result = kernel.kernelFunc({ inputs, attrs, backend: this.backend.tfjs })
    if (Array.isArray(result)) throw new EngineError(`tfjs kernel ${name} gave several tensors`)
    return this.adopt(result)
  }

  /** Takes a tensor that a kernel of our own has made into the current scope. */
  adopt(tensor: TensorInfo): TensorInfo {
    this.#made?.add(tensor)
    return tensor
  }

  /** A small tensor that depends on shapes and attributes only: made once, kept as long as the engine. */
  constant(key: string, dims: readonly number[], dtype: DeviceDType, make: () => HostArray): TensorInfo {
    let tensor = this.#constants.get(key)
    if (tensor === undefined) {
      tensor = this.backend.upload(make(), dims, dtype)
      this.#constants.set(key, tensor)
    }
    return tensor
  }

  scalar(value: number): TensorInfo {
    return this.constant(`scalar ${value}`, [], 'float32', () => Float32Array.of(value))
  }

  zeros(dims: readonly number[], dtype: DeviceDType): TensorInfo {
    if (elementCount(dims) === 0) return this.adopt(this.backend.upload(new Int32Array(0), dims, dtype))
    return this.#call('Fill', {}, { shape: [...dims], value: 0, dtype })
  }

  unary(name: UnaryKernel, x: TensorInfo): TensorInfo {
    const own = this.backend.steps.unary?.[name]
    return own ? this.adopt(own(x)) : this.#call(name, { x })
  }

  binary(name: BinaryKernel, a: TensorInfo, b: TensorInfo): TensorInfo {
    if (Math.max(a.shape.length, b.shape.length) <= MAX_BROADCAST_RANK) return this.#call(name, { a, b })
    const [aDims, bDims] = mergeBroadcast([a.shape, b.shape])
    const merged = this.#call(name, { a: this.reshape(a, aDims ?? []), b: this.reshape(b, bDims ?? []) })
    return this.reshape(merged, broadcastDims([a.shape, b.shape]))
  }

  add(a: TensorInfo, b: TensorInfo): TensorInfo {
    return this.binary('Add', a, b)
  }

  sub(a: TensorInfo, b: TensorInfo): TensorInfo {
    return this.binary('Sub', a, b)
  }

  mul(a: TensorInfo, b: TensorInfo): TensorInfo {
    return this.binary('Multiply', a, b)
  }

  div(a: TensorInfo, b: TensorInfo): TensorInfo {
    return this.binary('RealDiv', a, b)
  }

  /** condition ? x : y, broadcasting. */
  select(condition: TensorInfo, x: TensorInfo, y: TensorInfo): TensorInfo {
    const dims = broadcastDims([condition.shape, x.shape, y.shape])
    const flat = (tensor: TensorInfo) => this.reshape(this.expand(tensor, dims), [elementCount(dims)])
    return this.reshape(this.#call('Select', { condition: flat(condition), t: flat(x), e: flat(y) }), dims)
  }

  cast(x: TensorInfo, dtype: DeviceDType): TensorInfo {
    return this.#call('Cast', { x }, { dtype })
  }

  /** Shares the data of x. */
  reshape(x: TensorInfo, dims: readonly number[]): TensorInfo {
    return sameDims(x.shape, dims) ? x : this.#call('Reshape', { x }, { shape: [...dims] })
  }

  /** numpy broadcast_to. */
  expand(x: TensorInfo, dims: readonly number[]): TensorInfo {
    if (sameDims(x.shape, dims)) return x
    if (elementCount(x.shape) === elementCount(dims)) return this.reshape(x, dims)
    const [from = [], to = []] = mergeBroadcast([x.shape, dims])
    let out = this.reshape(x, from)
    // One repeated dimension at a time keeps every Tile at rank 3; after merging there is rarely more than one.
    to.forEach((size, axis) => {
      if (out.shape[axis] === size) return
      const { before, after } = around(out.shape, axis)
      const tiled = this.#call('Tile', { x: this.reshape(out, [before, 1, after]) }, { reps: [1, size, 1] })
      out = this.reshape(tiled, out.shape.with(axis, size))
    })
    return this.reshape(out, dims)
  }

  transpose(x: TensorInfo, perm: readonly number[]): TensorInfo {
    const dims = perm.map((axis) => x.shape[axis] ?? 1)
    const merged = mergePermutation(x.shape, perm)
    if (merged.perm.every((axis, i) => axis === i)) return this.reshape(x, dims)
    return this.reshape(this.#call('Transpose', { x: this.reshape(x, merged.dims) }, { perm: merged.perm }), dims)
  }

  concat(tensors: readonly TensorInfo[], axis: number): TensorInfo {
    const parts = tensors.filter((tensor) => elementCount(tensor.shape) > 0)
    const [first] = parts
    if (first === undefined) throw new EngineError('nothing to concatenate')
    if (parts.length === 1) return first
    const { before, after } = around(first.shape, axis)
    const merged = parts.map((part) => this.reshape(part, [before, part.shape[axis] ?? 1, after]))
    const total = parts.reduce((sum, part) => sum + (part.shape[axis] ?? 1), 0)
    // tfjs' Concat takes an array where the kernel interface declares a map of names.
    const inputs = merged as unknown as NamedTensorInfoMap
    return this.reshape(this.#call('Concat', inputs, { axis: 1 }), first.shape.with(axis, total))
  }

  slice(x: TensorInfo, axis: number, start: number, end: number): TensorInfo {
    const { before, after } = around(x.shape, axis)
    const merged = this.reshape(x, [before, x.shape[axis] ?? 1, after])
    const part = this.#call('Slice', { x: merged }, { begin: [0, start, 0], size: [before, end - start, after] })
    return this.reshape(part, x.shape.with(axis, end - start))
  }

  /** Zeros around. */
  pad(x: TensorInfo, axis: number, before: number, after: number): TensorInfo {
    const sides = around(x.shape, axis)
    const size = x.shape[axis] ?? 1
    const merged = this.reshape(x, [sides.before, size, sides.after])
    const paddings = [
      [0, 0],
      [before, after],
      [0, 0],
    ]
    // Attributes are declared flat; PadV2's are pairs.
    const attrs = { paddings, constantValue: 0 } as unknown as NamedAttrMap
    return this.reshape(this.#call('PadV2', { x: merged }, attrs), x.shape.with(axis, before + size + after))
  }

  /** Rows of `data` along `axis`; the indices' dimensions take its place. */
  gather(data: TensorInfo, indices: TensorInfo, axis: number): TensorInfo {
    const { before, after } = around(data.shape, axis)
    const merged = this.reshape(data, [before, data.shape[axis] ?? 1, after])
    const flat = this.reshape(indices, [elementCount(indices.shape)])
    const rows = this.#call('GatherV2', { x: merged, indices: flat }, { axis: 1, batchDims: 0 })
    return this.reshape(rows, [...data.shape.slice(0, axis), ...indices.shape, ...data.shape.slice(axis + 1)])
  }

  /** [...indices.shape, depth] of 0 and 1; a row of zeros where an index is outside. */
  oneHot(indices: TensorInfo, depth: number): TensorInfo {
    const flat = this.reshape(indices, [elementCount(indices.shape)])
    const hot = this.#call('OneHot', { indices: flat }, { depth, onValue: 1, offValue: 0, dtype: 'float32' })
    return this.reshape(hot, [...indices.shape, depth])
  }

  reduce(name: ReduceKernel, x: TensorInfo, axes: readonly number[], keepdims: boolean): TensorInfo {
    const reduced = new Set(axes)
    const dims = x.shape.flatMap((dim, i) => (reduced.has(i) ? (keepdims ? [1] : []) : [dim]))
    const merged = mergeReduction(x.shape, reduced)
    if (merged.axes.length === 0) return this.reshape(x, dims)
    const attrs = { [name === 'Max' ? 'reductionIndices' : 'axis']: merged.axes, keepDims: false }
    return this.reshape(this.#call(name, { x: this.reshape(x, merged.dims) }, attrs), dims)
  }

  /** Over the last axis, kept as 1. */
  reduceLast(name: ReduceKernel, x: TensorInfo): TensorInfo {
    return this.reduce(name, x, [x.shape.length - 1], true)
  }

  /** First maximum along the last axis, int32, that axis dropped. */
  argMax(x: TensorInfo): TensorInfo {
    const size = x.shape.at(-1) ?? 1
    const rows = this.reshape(x, [elementCount(x.shape) / size, size])
    return this.reshape(this.#call('ArgMax', { x: rows }, { axis: 1 }), x.shape.slice(0, -1))
  }

  /** Over the last axis. */
  softmax(x: TensorInfo): TensorInfo {
    const own = this.backend.steps.softmax
    if (own) return this.adopt(own(x))
    const size = x.shape.at(-1) ?? 1
    const rows = this.reshape(x, [elementCount(x.shape) / size, size])
    return this.reshape(this.#call('Softmax', { logits: rows }, { dim: 1 }), x.shape)
  }

  /** Gradient of softmax(x * scale) along the last axis with respect to x, from that of its result p. */
  softmaxGrad(dp: TensorInfo, p: TensorInfo, scale: number): TensorInfo {
    const own = this.backend.steps.softmaxGrad
    if (own) return this.adopt(own(dp, p, scale))
    const inner = this.sub(dp, this.reduceLast('Sum', this.mul(dp, p)))
    return this.mul(this.mul(p, inner), this.scalar(scale))
  }

  /** a [batch,M,K] and b [batch,K,N] before transposing, or [1,..] for one of them: [batch,M,N]. */
  matMul3(a: TensorInfo, b: TensorInfo, transposeA = false, transposeB = false): TensorInfo {
    const own = this.backend.steps.matMul3
    if (own) return this.adopt(own(a, b, transposeA, transposeB))
    return this.#call('BatchMatMul', { a, b }, { transposeA, transposeB })
  }

  /** x [..., inner] times a stored matrix [inner, outer], or with `transB` the transpose of [outer, inner]. */
  storedMatMul(x: TensorInfo, weight: StoredWeight, transB: boolean): TensorInfo {
    const { rows, columns } = weight.format
    const [inner, outer] = transB ? [columns, rows] : [rows, columns]
    const flat = this.reshape(x, [elementCount(x.shape) / Math.max(1, inner), inner])
    return this.reshape(this.adopt(this.backend.multiplyStored(flat, weight, transB)), [...x.shape.slice(0, -1), outer])
  }

  dispose(): void {
    for (const tensor of this.#constants.values()) this.backend.release(tensor)
    this.#constants.clear()
  }
}
