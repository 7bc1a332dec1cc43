/**
 * How one op becomes a test case for the engines: operands with seeded numbers, the one-op Program around it, and how close
 * an engine's answer has to be. The table of cases is op-cases.ts; expected values come from evaluate-program.ts.
 */
import type { HostArray } from '../../src/engine/engine'
import { elementCount, type Tensor } from '../../src/graph/ir'
import type { Op, Program, ValueDType, ValueType } from '../../src/graph/program'
import { fromIntegers } from '../../src/graph/tensor'
import { evaluateProgram } from './evaluate-program'

export interface OpCase {
  readonly name: string
  readonly program: Program
  readonly feeds: ReadonlyMap<string, HostArray>
  /** Largest allowed |actual - expected| / max(1, largest finite |expected| of that output). The reason is beside the case. */
  readonly tolerance: number
}

/**
 * float32 results of a few hundred additions at most: relative rounding errors stay below about 1e-6, and kernels'
 * approximations of exp, tanh and erf (the coarsest step in single ops) below 5e-6.
 */
export const FLOAT32_TOLERANCE = 1e-5

/** An op's input: fed on every run, or a constant of the program. */
export type Operand =
  | { readonly kind: 'fed'; readonly type: ValueType; readonly data: HostArray }
  | { readonly kind: 'constant'; readonly type: ValueType; readonly tensor: Tensor }

/** Numbers in [0, 1) from a seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

let nextSeed = 1

/** float32 operand, uniform in [low, high). Each call draws from the next seed, so a table built once is always the same. */
export function floats(dims: readonly number[], low = -2, high = 2): Operand {
  const random = seeded(nextSeed++)
  const data = Float32Array.from({ length: elementCount(dims) }, () => low + (high - low) * random())
  return { kind: 'fed', type: { dtype: 'float32', dims }, data }
}

/** float32 operand with the given numbers. */
export function exactly(dims: readonly number[], data: readonly number[]): Operand {
  return { kind: 'fed', type: { dtype: 'float32', dims }, data: Float32Array.from(data) }
}

/** int32 operand, uniform in [0, limit). */
export function indices(dims: readonly number[], limit: number): Operand {
  const random = seeded(nextSeed++)
  const data = Int32Array.from({ length: elementCount(dims) }, () => Math.floor(limit * random()))
  return { kind: 'fed', type: { dtype: 'int32', dims }, data }
}

export function exactIndices(dims: readonly number[], data: readonly number[]): Operand {
  return { kind: 'fed', type: { dtype: 'int32', dims }, data: Int32Array.from(data) }
}

/** bool operand, half of it true. */
export function bools(dims: readonly number[]): Operand {
  const random = seeded(nextSeed++)
  return {
    kind: 'fed',
    type: { dtype: 'bool', dims },
    data: Uint8Array.from({ length: elementCount(dims) }, () => Number(random() < 0.5)),
  }
}

/** The same operand as a constant of the program. */
export function constant(operand: Operand): Operand {
  if (operand.kind === 'constant') return operand
  const { type, data } = operand
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  return { kind: 'constant', type, tensor: { dtype: type.dtype, dims: type.dims, bytes } }
}

/** A quantised weight or its zero point: constant int8 or uint8, over the type's whole range. */
export function quantised(dtype: 'int8' | 'uint8', dims: readonly number[], low?: number, high?: number): Operand {
  const random = seeded(nextSeed++)
  const from = low ?? (dtype === 'int8' ? -128 : 0)
  const to = high ?? (dtype === 'int8' ? 127 : 255)
  const data = Array.from({ length: elementCount(dims) }, () => from + Math.floor((to - from + 1) * random()))
  return { kind: 'constant', type: { dtype, dims }, tensor: fromIntegers(dtype, dims, data) }
}

/** Packed codes: constant bytes of any value, given the type they are in. */
export function codes(count: number, dtype: 'int8' | 'uint8' = 'uint8'): Operand {
  return quantised(dtype, [count])
}

/** A constant whose file type (float16, bfloat16) is not its value type float32. */
export function halfPrecision(dtype: 'float16' | 'bfloat16', dims: readonly number[]): Operand {
  const random = seeded(nextSeed++)
  // Any bits with a middling exponent are a number of middling size, in either format.
  const [low, high] = dtype === 'float16' ? [0x3000, 0x4000] : [0x3e00, 0x4000]
  const bits = Array.from({ length: elementCount(dims) }, () => {
    const magnitude = low + Math.floor((high - low) * random())
    return random() < 0.5 ? magnitude : magnitude | 0x8000
  })
  const { bytes } = fromIntegers('uint16', dims, bits)
  return { kind: 'constant', type: { dtype: 'float32', dims }, tensor: { dtype, dims, bytes } }
}

/** Where a one-op program puts the op's name, inputs and outputs: `(io) => ({ op: 'Neg', ...io, attrs: {} })`. */
export interface OpNames {
  readonly name: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
}

export const float32 = (dims: readonly number[]): ValueType => ({ dtype: 'float32', dims })
export const typed = (dtype: ValueDType, dims: readonly number[]): ValueType => ({ dtype, dims })

/** The case of one op. The same Operand object given twice is one value used twice. */
export function opCase(
  name: string,
  make: (io: OpNames) => Op,
  operands: readonly Operand[],
  outputs: readonly ValueType[],
  tolerance: number = FLOAT32_TOLERANCE,
): OpCase {
  const values = new Map<string, ValueType>()
  const constants = new Map<string, Tensor>()
  const feeds = new Map<string, HostArray>()
  const names = operands.map((operand) => {
    const id = `x${operands.indexOf(operand)}`
    values.set(id, operand.type)
    if (operand.kind === 'constant') constants.set(id, operand.tensor)
    else feeds.set(id, operand.data)
    return id
  })
  const outputNames = outputs.map((type, i) => {
    values.set(`y${i}`, type)
    return `y${i}`
  })
  const op = make({ name: `/test/${name}`, inputs: names, outputs: outputNames })
  const program = { ops: [op], inputs: [...feeds.keys()], outputs: outputNames, constants, values }
  return { name: `${op.op}: ${name}`, program, feeds, tolerance }
}

/**
 * The largest error of an engine's answer to a case, in the units of `OpCase.tolerance`: NaN if any number is NaN or missing,
 * infinite if a bool, an index or an infinity differs.
 */
export function errorOf({ program, feeds }: OpCase, actual: ReadonlyMap<string, HostArray>): number {
  // Rounded to float32 after every op, as engines do: DynamicQuantizedMatMul's steps depend on it.
  const expected = evaluateProgram(program, feeds, { float32: true })
  let worst = 0
  for (const [name, { data }] of expected) {
    const got = actual.get(name)
    if (got?.length !== data.length) return NaN
    const exact = program.values.get(name)?.dtype !== 'float32'
    const scale = data.reduce((most, x) => (Number.isFinite(x) ? Math.max(most, Math.abs(x)) : most), 1)
    data.forEach((want, i) => {
      const have = got[i] ?? NaN
      if (have === want) return
      const error = exact || !Number.isFinite(want) ? Infinity : Math.abs(have - want) / scale
      worst = Number.isNaN(have) ? NaN : Math.max(worst, error)
    })
  }
  return worst
}
