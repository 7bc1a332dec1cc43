/** Rotary positions (Su et al. 2021) in one dispatch; what they mean is said in graph/program.ts. */
import type { TensorInfo } from '@tensorflow/tfjs-core'
import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu'
import { elementCount } from '../../../graph/ir'
import { sameDims } from '../shapes'
import { runFlat, type FlatKernel } from './flat'

/** The element of the row's other half, `value` standing for it at index `j`. */
const partner = (value: (index: string) => string): string => `
  let size = uniforms.size_of_row;
  let column = index % size;
  let low = column < size / 2;
  let j = select(index - size / 2, index + size / 2, low);
  let repeats = uniforms.table_size;
  let other = ${value('j')};`

const ROTARY: FlatKernel = {
  name: 'rotary',
  inputs: ['x', 'cosine', 'sine'],
  uniforms: ['size_of_row', 'table_size'],
  functions: '',
  statements: partner((j) => `x[${j}]`),
  value: 'x[index] * cosine[index % repeats] + select(other, -other, low) * sine[index % repeats]',
}

const ROTARY_GRAD: FlatKernel = {
  name: 'rotary_grad',
  inputs: ['dy', 'cosine', 'sine'],
  uniforms: ['size_of_row', 'table_size'],
  functions: '',
  statements: partner((j) => `dy[${j}] * sine[${j} % repeats]`),
  value: 'dy[index] * cosine[index % repeats] + select(-other, other, low)',
}

/**
 * @param form which of the two; the gradient's first input is dy
 * @returns null when cos and sin are not simply repeated along the leading dimensions of x: then the op has to be composed
 */
export function runRotary(backend: WebGPUBackend, form: 'forward' | 'grad', inputs: readonly TensorInfo[]): TensorInfo | null {
  const [x, cosine, sine] = inputs
  if (!x || !cosine || !sine || !repeatsLeading(x.shape, cosine.shape) || !sameDims(cosine.shape, sine.shape)) return null
  return runFlat(backend, form === 'forward' ? ROTARY : ROTARY_GRAD, inputs, [x.shape.at(-1) ?? 1, elementCount(cosine.shape)])
}

/** Whether `table`, without its leading ones, is the trailing dimensions of `dims`, the last among them. */
function repeatsLeading(dims: readonly number[], table: readonly number[]): boolean {
  const first = table.findIndex((dim) => dim !== 1)
  const own = first < 0 ? [] : table.slice(first)
  return own.length > 0 && own.length <= dims.length && sameDims(own, dims.slice(dims.length - own.length))
}
