/**
 * What turns gradients into steps: AdamW, or Adafactor (adafactor.ts), over all trained numbers as one array.
 *
 * AdamW with decoupled weight decay (Loshchilov and Hutter 2019) is here: the operations of torch.optim.AdamW on fp32 tensors in their order,
 * each rounded to fp32 (torch may fuse some, which is a last bit), so that runs can be held against PEFT's.
 */
import { adafactorOptions, adafactorStep, newAdafactorState } from './adafactor'
import { tensorsOf } from './soft-prompt'
import type { PromptLayout } from './soft-prompt'

export interface OptimizerSettings {
  readonly optimizer: 'adamw' | 'adafactor'
  readonly weight_decay: number
}

/** What an optimizer remembers: AdamW's moments m and v, or Adafactor's second moments; and how many steps made them. */
export interface OptimizerState {
  readonly slots: readonly Float32Array[]
  step: number
}

export function newOptimizerState(optimizer: OptimizerSettings['optimizer'], layout: PromptLayout): OptimizerState {
  const tensors = tensorsOf(layout)
  if (optimizer === 'adafactor') return { slots: [newAdafactorState(tensors).slots], step: 0 }
  const size = tensors.reduce((sum, { dims }) => sum + dims.reduce((product, dim) => product * dim, 1), 0)
  return { slots: [new Float32Array(size), new Float32Array(size)], step: 0 }
}

/** One step: moves `parameters` and `state` in place. @throws RangeError when the state is another optimizer's or another layout's */
export function optimizerStep(
  { optimizer, weight_decay }: OptimizerSettings,
  { layout, parameters }: { readonly layout: PromptLayout; readonly parameters: Float32Array },
  gradient: Float32Array,
  state: OptimizerState,
  learning_rate: number,
): void {
  const [first, second] = state.slots
  if (optimizer === 'adafactor') {
    if (!first || second) throw new RangeError("the state is not Adafactor's")
    const own = { slots: first, step: state.step }
    adafactorStep(parameters, gradient, own, learning_rate, adafactorOptions(weight_decay), tensorsOf(layout))
    state.step = own.step
    return
  }
  if (first?.length !== parameters.length || second?.length !== parameters.length)
    throw new RangeError("the state is not AdamW's")
  const own = { m: first, v: second, step: state.step }
  adamWStep(parameters, gradient, own, learning_rate, adamWOptions(weight_decay))
  state.step = own.step
}

export interface AdamWOptions {
  readonly weight_decay: number
  readonly beta1: number
  readonly beta2: number
  readonly epsilon: number
}

/** torch's defaults, save for the weight decay a job gives. */
export const adamWOptions = (weight_decay: number): AdamWOptions => ({ weight_decay, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 })

/** The moments of every trained number, and how many steps made them. */
export interface AdamWState {
  readonly m: Float32Array
  readonly v: Float32Array
  step: number
}

export const newAdamWState = (size: number): AdamWState => ({ m: new Float32Array(size), v: new Float32Array(size), step: 0 })

const f = Math.fround

/** One step: moves `parameters` and `state` in place. `gradient` is as long as both. */
export function adamWStep(
  parameters: Float32Array,
  gradient: Float32Array,
  state: AdamWState,
  learning_rate: number,
  options: AdamWOptions,
): void {
  const { weight_decay, beta1, beta2, epsilon } = options
  const { m, v } = state
  state.step += 1
  const decay = f(1 - learning_rate * weight_decay)
  const lerp = f(1 - beta1)
  const keep = f(beta2)
  const add = f(1 - beta2)
  const stepSize = f(-(learning_rate / (1 - beta1 ** state.step)))
  const root = f(Math.sqrt(1 - beta2 ** state.step))
  const eps = f(epsilon)
  for (let i = 0; i < parameters.length; i++) {
    const g = gradient[i] ?? 0
    const m0 = m[i] ?? 0
    const m1 = f(m0 + f(lerp * f(g - m0)))
    const v1 = f(f((v[i] ?? 0) * keep) + f(f(add * g) * g))
    m[i] = m1
    v[i] = v1
    const denominator = f(f(f(Math.sqrt(v1)) / root) + eps)
    parameters[i] = f(f((parameters[i] ?? 0) * decay) + f(f(stepSize * m1) / denominator))
  }
}

/** Euclidean norm; not finite as soon as one entry isn't. */
export function norm(values: Float32Array): number {
  let sum = 0
  for (const x of values) sum += x * x
  return Math.sqrt(sum)
}

/** Scales `gradient` in place so that its norm is at most `max_norm` (torch.nn.utils.clip_grad_norm_). Returns the norm it had. */
export function clipGradient(gradient: Float32Array, max_norm: number | null): number {
  const total = norm(gradient)
  if (max_norm === null) return total
  const scale = Math.min(1, max_norm / (total + 1e-6))
  if (scale < 1) for (let i = 0; i < gradient.length; i++) gradient[i] = f((gradient[i] ?? 0) * f(scale))
  return total
}
