/**
 * Matrix products with stored weights (stored-weight.ts): every number of the weight is made from its bits on the way into a tile. Plain 32 x 32
 * tiles, 4 x 4 results a thread; held to the cpu device's rows by the op cases.
 */
import type { TensorInfo } from '@tensorflow/tfjs-core'
import type { WebGPUBackend, WebGPUProgram } from '@tensorflow/tfjs-backend-webgpu'
import { blockGrid, CODEBOOKS, type PackedFormat } from '../../../graph/packed'
import { isHalfFormat, type StoredWeight } from '../stored-weight'

const TILE = 32
const DEPTH = 16

/** WGSL `element(r, c)`: a number of the stored matrix. */
function elementOf({ format, scales, zero_points }: StoredWeight): string {
  if (isHalfFormat(format)) {
    const value =
      format.half === 'float16'
        ? 'unpack2x16float(word)[at & 1]'
        : 'bitcast<f32>(select(word << 16u, word & 0xffff0000u, (at & 1) == 1))'
    return `
      fn element(r : i32, c : i32) -> f32 {
        let at = r * uniforms.row_stride + c;
        let word = bitcast<u32>(words[at / 2]);
        return ${value};
      }`
  }
  const { bits, signed, codebook } = format
  const level = codebook
    ? 'BOOK[code(words_at, slot)]'
    : `f32(code(words_at, slot)) - ${zero_points === null ? 'uniforms.zero_point' : zeroOf(zero_points)}`
  return `
    ${codebook ? `var<private> BOOK : array<f32, 16> = array<f32, 16>(${CODEBOOKS[codebook].map(number).join(', ')});` : ''}
    ${bitsOf('code', bits, signed)}
    ${zero_points === null || zero_points.dtype === 'float32' ? '' : bitsOf('byte', 8, signed)}
    fn element(r : i32, c : i32) -> f32 {
      let block = (r / uniforms.block_rows) * uniforms.across + c / uniforms.block_columns;
      let at = (r * uniforms.row_stride + c)${codebook ? ' ^ 1' : ''};
      let words_at = bitcast<u32>(words[at / ${32 / bits}]);
      let slot = u32(at % ${32 / bits});
      return (${level})${scales === null ? '' : ' * scales[block]'};
    }`
}

function zeroOf({ dtype }: TensorInfo): string {
  return dtype === 'float32' ? 'zeros[block]' : 'f32(byte(bitcast<u32>(zeros[block / 4]), u32(block % 4)))'
}

/** WGSL function: the code in one slot of a word. */
function bitsOf(name: string, bits: number, signed: boolean): string {
  const low = `(word >> (slot * ${bits}u)) & ${2 ** bits - 1}u`
  const value = signed ? `bitcast<i32>((${low}) << ${32 - bits}u) >> ${32 - bits}u` : `i32(${low})`
  return `fn ${name}(word : u32, slot : u32) -> i32 { return ${value}; }`
}

const number = (value: number): string => (Number.isInteger(value) ? `${value}.0` : String(value))

const PRODUCT = (element: string, transB: boolean): string => `
  var<workgroup> xs : array<f32, ${TILE * DEPTH}>;
  var<workgroup> ws : array<f32, ${TILE * DEPTH}>;
  ${element}
  fn main() {
    let tid = i32(localIndex);
    let first_row = i32(workgroupId.y) * ${TILE};
    let first_column = i32(workgroupId.x) * ${TILE};
    var sums : array<array<f32, 4>, 4>;
    for (var k0 = 0; k0 < uniforms.inner; k0 += ${DEPTH}) {
      for (var i = tid; i < ${TILE * DEPTH}; i += 64) {
        let xr = i / ${DEPTH};
        let xk = i % ${DEPTH};
        var value = 0.0;
        if (first_row + xr < uniforms.rows && k0 + xk < uniforms.inner) {
          value = x[(first_row + xr) * uniforms.inner + k0 + xk];
        }
        xs[xk * ${TILE} + xr] = value;
        let wk = ${transB ? 'xk' : `i / ${TILE}`};
        let wn = ${transB ? 'xr' : `i % ${TILE}`};
        value = 0.0;
        if (first_column + wn < uniforms.outer && k0 + wk < uniforms.inner) {
          value = element(${transB ? 'first_column + wn, k0 + wk' : 'k0 + wk, first_column + wn'});
        }
        ws[wk * ${TILE} + wn] = value;
      }
      workgroupBarrier();
      for (var k = 0; k < ${DEPTH}; k++) {
        for (var i = 0; i < 4; i++) {
          let left = xs[k * ${TILE} + i32(localId.y) * 4 + i];
          for (var j = 0; j < 4; j++) { sums[i][j] += left * ws[k * ${TILE} + i32(localId.x) * 4 + j]; }
        }
      }
      workgroupBarrier();
    }
    for (var i = 0; i < 4; i++) {
      let row = first_row + i32(localId.y) * 4 + i;
      for (var j = 0; j < 4; j++) {
        let column = first_column + i32(localId.x) * 4 + j;
        if (row < uniforms.rows && column < uniforms.outer) { result[row * uniforms.outer + column] = sums[i][j]; }
      }
    }
  }`

/** x [M, inner] times the stored matrix [inner, outer], or with `transB` the transpose of [outer, inner]: [M, outer]. */
export function runStoredMatMul(backend: WebGPUBackend, x: TensorInfo, weight: StoredWeight, transB: boolean): TensorInfo {
  const { format, words, scales, zero_points } = weight
  const [inner, outer] = transB ? [format.columns, format.rows] : [format.rows, format.columns]
  const rows = x.shape[0] ?? 1
  const inputs: [string, TensorInfo][] = [
    ['x', x],
    ['words', words],
  ]
  if (scales) inputs.push(['scales', scales])
  if (zero_points) inputs.push(['zeros', zero_points])
  const integers = { rows, inner, outer, ...layoutOf(format) }
  const program: WebGPUProgram = {
    shaderKey: `promptlathe_stored_matmul_${kindOf(weight)}_${transB}`,
    variableNames: inputs.map(([name]) => name),
    uniforms: `${Object.keys(integers)
      .map((name) => `${name} : i32,`)
      .join(' ')} zero_point : f32,`,
    outputShape: [rows, outer],
    workgroupSize: [8, 8, 1],
    dispatchLayout: { x: [1], y: [0] },
    dispatch: [Math.ceil(outer / TILE), Math.ceil(rows / TILE), 1],
    getUserCode: () => PRODUCT(elementOf(weight), transB),
  }
  const uniforms = Object.values(integers).map((value) => ({ type: 'int32', data: [value] }))
  const zero_point = isHalfFormat(format) ? 0 : format.zero_point
  return backend.runWebGPUProgram(
    program,
    inputs.map(([, tensor]) => tensor),
    'float32',
    [...uniforms, { type: 'float32', data: [zero_point] }],
  )
}

/** Where numbers and their blocks lie, as uniforms. */
function layoutOf(format: StoredWeight['format']): Readonly<Record<string, number>> {
  if (isHalfFormat(format)) return { row_stride: format.columns }
  const { row_stride, block_rows, block_columns } = format
  return { row_stride, block_rows, block_columns, across: blockGrid(format).across }
}

/** What the shader's text depends on. */
function kindOf({ format, scales, zero_points }: StoredWeight): string {
  if (isHalfFormat(format)) return format.half
  const { bits, signed, codebook }: PackedFormat = format
  return [bits, signed ? 's' : 'u', codebook ?? '', scales ? 'scaled' : '', zero_points?.dtype ?? ''].join('_')
}
