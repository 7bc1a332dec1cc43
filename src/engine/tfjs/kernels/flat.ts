/** WGSL programs that compute each element of the result by itself, one thread an element, whatever its dimensions. */
import type { TensorInfo } from '@tensorflow/tfjs-core'
import type { WebGPUBackend, WebGPUProgram } from '@tensorflow/tfjs-backend-webgpu'
import { elementCount } from '../../../graph/ir'
import { view } from './rows'

const THREADS = 64

export interface FlatKernel {
  readonly name: string
  /** Names of the inputs in WGSL, arrays without dimensions there; the result is as the first. */
  readonly inputs: readonly string[]
  /** Names of whole numbers given with each run, read as `uniforms.name`. */
  readonly uniforms: readonly string[]
  /** WGSL functions and statements before the value. */
  readonly functions: string
  readonly statements: string
  /** WGSL expression of element `index`. */
  readonly value: string
}

/** @param numbers the values of the kernel's uniforms */
export function runFlat(
  backend: WebGPUBackend,
  kernel: FlatKernel,
  inputs: readonly TensorInfo[],
  numbers: readonly number[] = [],
): TensorInfo {
  const dims = inputs[0]?.shape ?? []
  const size = elementCount(dims)
  const program: WebGPUProgram = {
    shaderKey: `promptlathe_${kernel.name}`,
    variableNames: [...kernel.inputs],
    uniforms: kernel.uniforms.map((name) => `${name} : i32,`).join(' '),
    outputShape: [size],
    size: true,
    workgroupSize: [THREADS, 1, 1],
    dispatchLayout: { x: [0] },
    dispatch: [Math.ceil(size / THREADS), 1, 1],
    getUserCode: () => `
      ${kernel.functions}
      fn main(index : i32) {
        if (index < uniforms.size) {
          ${kernel.statements}
          result[index] = ${kernel.value};
        }
      }`,
  }
  const flat = inputs.map((input) => view(input, [elementCount(input.shape)]))
  const uniforms = numbers.map((number) => ({ type: 'int32', data: [number] }))
  return view(backend.runWebGPUProgram(program, flat, 'float32', uniforms), dims)
}
