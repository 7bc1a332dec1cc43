/** Element-wise kernels: activations with their gradients in one dispatch, and sin and cos to float32 accuracy. */
import type { TensorInfo } from '@tensorflow/tfjs-core'
import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu'
import { runFlat } from './flat'

export interface ElementwiseKernel {
  readonly name: string
  /** Names of the inputs in WGSL, numbers there, all of one shape. */
  readonly inputs: readonly string[]
  /** WGSL functions the value uses. */
  readonly functions: string
  /** WGSL expression of the inputs. */
  readonly value: string
}

/** Inputs of one shape; the result has it too. */
export function runElementwise(backend: WebGPUBackend, kernel: ElementwiseKernel, inputs: readonly TensorInfo[]): TensorInfo {
  const arrays = kernel.inputs.map((name) => `${name}_all`)
  const statements = kernel.inputs.map((name) => `let ${name} = ${name}_all[index];`).join(' ')
  return runFlat(backend, { ...kernel, inputs: arrays, uniforms: [], statements }, inputs)
}

/**
 * WGSL promises sin and cos to an absolute error of 2^-11 only (section 15.7.4.1), and drivers use that: 2e-4 was measured on SwiftShader, far
 * too coarse for rotary positions. Here the angle is brought to [-pi/4, pi/4] by subtracting a multiple of pi/2 in three parts (Cody &
 * Waite 1980; exact for angles up to about 1e5), then come the polynomials of Moshier's Cephes library, sinf.c.
 */
const TURN = `
  fn turn(angle : f32, quarter : i32) -> f32 {
    let quarters = round(angle * 0.6366197723675814);
    let r = fma(quarters, -7.549789948768648e-8, fma(quarters, -4.837512969970703125e-4, fma(quarters, -1.5703125, angle)));
    let z = r * r;
    let s = fma(r * z, fma(z, fma(z, -1.9515295891e-4, 8.3321608736e-3), -1.6666654611e-1), r);
    let c = fma(z * z, fma(z, fma(z, 2.443315711809948e-5, -1.388731625493765e-3), 4.166664568298827e-2), fma(z, -0.5, 1.0));
    let turns = (i32(quarters) + quarter) & 3;
    let magnitude = select(s, c, (turns & 1) == 1);
    return select(magnitude, -magnitude, turns >= 2);
  }`

export const SIN: ElementwiseKernel = { name: 'sin', inputs: ['x'], functions: TURN, value: 'turn(x, 0)' }
export const COS: ElementwiseKernel = { name: 'cos', inputs: ['x'], functions: TURN, value: 'turn(x, 1)' }

/** Clamped so that exp stays finite: WGSL may assume there is no infinity. */
const SIGMOID = `
  fn sigmoid(x : f32) -> f32 { return 1.0 / (1.0 + exp(clamp(-x, -80.0, 80.0))); }`

export const SILU: ElementwiseKernel = { name: 'silu', inputs: ['x'], functions: SIGMOID, value: 'x * sigmoid(x)' }

export const SILU_GRAD: ElementwiseKernel = {
  name: 'silu_grad',
  inputs: ['dy', 'x'],
  functions: SIGMOID,
  value: 'dy * sigmoid(x) * (1.0 + x * (1.0 - sigmoid(x)))',
}

/** (1 + tanh(u)) / 2 = sigmoid(2u), with u = sqrt(2/pi) (x + 0.044715 x^3). */
const GATE_TANH = `${SIGMOID}
  fn gate(x : f32) -> f32 { return sigmoid(1.5957691216057308 * (x + 0.044715 * x * x * x)); }
  fn slope(x : f32) -> f32 {
    let g = gate(x);
    return g + x * g * (1.0 - g) * 1.5957691216057308 * (1.0 + 0.134145 * x * x);
  }`

/** The normal distribution; erf by Abramowitz & Stegun 7.1.26, to 1.5e-7. */
const GATE_ERF = `
  fn gate(x : f32) -> f32 {
    let z = abs(x) * 0.7071067811865476;
    let t = 1.0 / (1.0 + 0.3275911 * z);
    let tail = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t * exp(-z * z);
    return 0.5 * select(2.0 - tail, tail, x < 0.0);
  }
  fn slope(x : f32) -> f32 { return gate(x) + x * 0.3989422804014327 * exp(-0.5 * x * x); }`

export type GeluForm = 'none' | 'tanh'

export const GELU: Readonly<Record<GeluForm, ElementwiseKernel>> = {
  none: { name: 'gelu_erf', inputs: ['x'], functions: GATE_ERF, value: 'x * gate(x)' },
  tanh: { name: 'gelu_tanh', inputs: ['x'], functions: GATE_TANH, value: 'x * gate(x)' },
}

export const GELU_GRAD: Readonly<Record<GeluForm, ElementwiseKernel>> = {
  none: { name: 'gelu_grad_erf', inputs: ['dy', 'x'], functions: GATE_ERF, value: 'dy * slope(x)' },
  tanh: { name: 'gelu_grad_tanh', inputs: ['dy', 'x'], functions: GATE_TANH, value: 'dy * slope(x)' },
}
