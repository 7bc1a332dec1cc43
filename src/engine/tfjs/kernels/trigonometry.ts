/**
 * sin and cos to float32 accuracy. WGSL promises an absolute error of 2^-11 only (WGSL, section 15.7.4.1), and drivers use that:
 * 2e-4 was measured on SwiftShader, far too coarse for rotary positions.
 */
import type { TensorInfo } from '@tensorflow/tfjs-core'
import type { WebGPUBackend, WebGPUProgram } from '@tensorflow/tfjs-backend-webgpu'
import { elementCount } from '../../../graph/ir'

const THREADS = 64

/**
 * The angle is brought to [-pi/4, pi/4] by subtracting a multiple of pi/2 in three parts (Cody & Waite 1980; exact for angles up to about
 * 1e5), then polynomials of Moshier's Cephes library, sinf.c. `quarter` is 0 for sin and 1 for cos.
 */
const code = (quarter: 0 | 1): string => `
  fn main(index : i32) {
    if (index < uniforms.size) {
      let angle = x[index];
      let quarters = round(angle * 0.6366197723675814);
      let r = fma(quarters, -7.549789948768648e-8, fma(quarters, -4.837512969970703125e-4, fma(quarters, -1.5703125, angle)));
      let z = r * r;
      let s = fma(r * z, fma(z, fma(z, -1.9515295891e-4, 8.3321608736e-3), -1.6666654611e-1), r);
      let c = fma(z * z, fma(z, fma(z, 2.443315711809948e-5, -1.388731625493765e-3), 4.166664568298827e-2), fma(z, -0.5, 1.0));
      let turn = (i32(quarters) + ${quarter}) & 3;
      let magnitude = select(s, c, (turn & 1) == 1);
      result[index] = select(magnitude, -magnitude, turn >= 2);
    }
  }`

export function runTrigonometry(backend: WebGPUBackend, name: 'sin' | 'cos', x: TensorInfo): TensorInfo {
  const size = elementCount(x.shape)
  const program: WebGPUProgram = {
    shaderKey: `promptlathe_${name}`,
    variableNames: ['x'],
    outputShape: [size],
    size: true,
    workgroupSize: [THREADS, 1, 1],
    dispatchLayout: { x: [0] },
    dispatch: [Math.ceil(size / THREADS), 1, 1],
    getUserCode: () => code(name === 'sin' ? 0 : 1),
  }
  const flat: TensorInfo = { dataId: x.dataId, dtype: x.dtype, shape: [size] }
  const out = backend.runWebGPUProgram(program, [flat], 'float32')
  return { dataId: out.dataId, dtype: out.dtype, shape: [...x.shape] }
}
