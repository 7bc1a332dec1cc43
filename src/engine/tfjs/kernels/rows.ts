/**
 * WGSL programs that work on the rows of a matrix, one workgroup a row: the shape of softmax and of every normalisation. A body
 * runs for each row and may sum or take the maximum over it. More rows than the device has workgroups in one dimension are fine.
 */
import type { TensorInfo } from '@tensorflow/tfjs-core'
import type { WebGPUBackend, WebGPUProgram } from '@tensorflow/tfjs-backend-webgpu'
import { elementCount } from '../../../graph/ir'

/** Columns from which a row gets 256 threads instead of 64. */
const LONG_ROW = 4096

export interface RowKernel {
  readonly name: string
  /** Names of the inputs in WGSL, arrays without dimensions there; the first one's last axis is the rows'. */
  readonly inputs: readonly string[]
  /** A result for each element, or one or two for each row. */
  readonly result: 'elements' | 'rows' | 'pairs'
  /**
   * WGSL statements. In scope: `row`, `start` (index of its first element), `cols`, `tid`, `rowSum(f32)`, `rowMax(f32)` (of the values
   * the threads give; to be called by all of them), `parameter`. `columns`, `write` and `writeRow` make loops and results.
   */
  readonly body: string
}

/** A loop over the columns `c` of the thread's share. */
export const columns = (statement: string): string => `for (var c = tid; c < cols; c += THREADS) { ${statement} }`

/** A loop that sets element c of the result; rows beyond the last (of a dispatch rounded up) write nothing. */
export const write = (value: string): string => `if (inside) { ${columns(`result[start + c] = ${value};`)} }`

/** Sets the result of the row. */
export const writeRow = (value: string): string => `if (inside && tid == 0) { result[row] = ${value}; }`

function reduction(name: string, combine: string): string {
  return `
    fn ${name}(value : f32) -> f32 {
      let tid = i32(localId.x);
      partial[tid] = value;
      workgroupBarrier();
      for (var half = THREADS / 2; half > 0; half = half / 2) {
        if (tid < half) {
          let a = partial[tid];
          let b = partial[tid + half];
          partial[tid] = ${combine};
        }
        workgroupBarrier();
      }
      let all = partial[0];
      workgroupBarrier();
      return all;
    }`
}

function program(kernel: RowKernel, rows: number, cols: number): WebGPUProgram {
  const threads = cols >= LONG_ROW ? 256 : 64
  return {
    shaderKey: `promptlathe_${kernel.name}`,
    variableNames: [...kernel.inputs],
    uniforms: 'parameter : f32,',
    outputShape: [rows, kernel.result === 'elements' ? cols : kernel.result === 'pairs' ? 2 : 1],
    workgroupSize: [threads, 1, 1],
    dispatchLayout: { x: [0, 1] },
    dispatch: [rows, 1, 1],
    getUserCode: () => `
      const THREADS = ${threads};
      var<workgroup> partial : array<f32, THREADS>;
      ${reduction('rowSum', 'a + b')}
      ${reduction('rowMax', 'max(a, b)')}
      fn main(index : i32) {
        let tid = i32(localId.x);
        let cols = uniforms.${kernel.inputs[0] ?? ''}Shape[1];
        let inside = index / THREADS < uniforms.outShape[0];
        let row = min(index / THREADS, uniforms.outShape[0] - 1);
        let start = row * cols;
        let parameter = uniforms.parameter;
        ${kernel.body}
      }`,
  }
}

/** Runs a kernel over the last axis of the first input, [..., cols]: [..., cols], [...] for one result a row, [..., 2] for two. */
export function runRows(backend: WebGPUBackend, kernel: RowKernel, inputs: readonly TensorInfo[], parameter = 0): TensorInfo {
  const dims = inputs[0]?.shape ?? []
  const cols = dims.at(-1) ?? 1
  const rows = elementCount(dims) / cols
  const views = inputs.map((input, i) => view(input, i === 0 ? [rows, cols] : [elementCount(input.shape)]))
  const out = backend.runWebGPUProgram(program(kernel, rows, cols), views, 'float32', [{ type: 'float32', data: [parameter] }])
  if (kernel.result === 'elements') return view(out, dims)
  return view(out, [...dims.slice(0, -1), ...(kernel.result === 'pairs' ? [2] : [])])
}

/** The same data, not a new reference, in other dimensions. */
export function view(tensor: TensorInfo, dims: readonly number[]): TensorInfo {
  return { dataId: tensor.dataId, dtype: tensor.dtype, shape: [...dims] }
}
