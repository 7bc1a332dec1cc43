/**
 * Adafactor (Shazeer and Stern 2018) with a given learning rate: transformers.optimization.Adafactor with scale_parameter, relative_step and
 * warmup_init off and no first moment, which is how Lester et al. 2021 tuned prompts. The operations of its fp32 tensors in their order,
 * each rounded to fp32; sums are taken in float64 and rounded once, where torch sums in fp32.
 *
 * It takes all trained tensors as one flat array, as they lie one after the other. It knows nothing of what they mean.
 */

/** One of the tensors in a flat array, row-major. Two or more dims: the last two are factored. */
export interface TensorSpec {
  readonly name: string
  readonly dims: readonly number[]
}

export interface AdafactorOptions {
  readonly weight_decay: number
  /** Most root mean square an update may have before the learning rate. */
  readonly clip_threshold: number
  /** The second moment's memory at step t is 1 - t^decay_rate. */
  readonly decay_rate: number
  /** Added to squared gradients (transformers' eps[0]; eps[1] belongs to scale_parameter). */
  readonly epsilon: number
}

/** transformers' defaults, save for the weight decay a job gives. */
export const adafactorOptions = (weight_decay: number): AdafactorOptions => ({
  weight_decay,
  clip_threshold: 1,
  decay_rate: -0.8,
  epsilon: 1e-30,
})

/** The second moments, tensor after tensor: row means then column means of a factored one, every number's of another. */
export interface AdafactorState {
  readonly slots: Float32Array
  step: number
}

const f = Math.fround
const product = (dims: readonly number[]): number => dims.reduce((size, dim) => size * dim, 1)

/** A tensor as so many matrices of R rows and C columns; null: not factored. */
function matrices({ dims }: TensorSpec): { count: number; R: number; C: number } | null {
  const [R, C] = dims.slice(-2)
  return R === undefined || C === undefined ? null : { count: product(dims.slice(0, -2)), R, C }
}

function slotsOf(tensor: TensorSpec): number {
  const factored = matrices(tensor)
  return factored ? factored.count * (factored.R + factored.C) : product(tensor.dims)
}

const total = (sizes: readonly number[]): number => sizes.reduce((sum, size) => sum + size, 0)

export const newAdafactorState = (tensors: readonly TensorSpec[]): AdafactorState => ({
  slots: new Float32Array(total(tensors.map(slotsOf))),
  step: 0,
})

/** slots <- slots * beta + fresh * (1 - beta), at one place. */
function decay(slots: Float32Array, at: number, fresh: number, beta: number): number {
  const value = f(f((slots[at] ?? 0) * f(beta)) + f(f(1 - beta) * fresh))
  slots[at] = value
  return value
}

const rsqrt = (x: number): number => f(1 / f(Math.sqrt(x)))

/** One matrix's update: gradient / sqrt(row x column approximation of the second moment). `slots`: R row means, then C column means. */
function factoredUpdate(
  gradient: Float32Array,
  update: Float32Array,
  rows: Float32Array,
  columns: Float32Array,
  beta: number,
  epsilon: number,
): void {
  const R = rows.length
  const C = columns.length
  const columnSums = new Float64Array(C)
  let rowTotal = 0
  for (let r = 0; r < R; r++) {
    let sum = 0
    for (let c = 0; c < C; c++) {
      const g = gradient[r * C + c] ?? 0
      const square = f(f(g * g) + epsilon)
      sum += square
      columnSums[c] = (columnSums[c] ?? 0) + square
    }
    rowTotal += decay(rows, r, f(sum / C), beta)
  }
  const rowMean = f(rowTotal / R)
  const columnFactors = columnSums.map((sum, c) => rsqrt(decay(columns, c, f(sum / R), beta)))
  for (let r = 0; r < R; r++) {
    const rowFactor = rsqrt(f((rows[r] ?? 0) / rowMean))
    for (let c = 0; c < C; c++) {
      const i = r * C + c
      update[i] = f(f(rowFactor * (columnFactors[c] ?? 0)) * (gradient[i] ?? 0))
    }
  }
}

/** The update of one whole tensor, before clipping. */
function updateOf(tensor: TensorSpec, gradient: Float32Array, slots: Float32Array, beta: number, epsilon: number): Float32Array {
  const update = new Float32Array(gradient.length)
  const factored = matrices(tensor)
  if (!factored) {
    gradient.forEach((g, i) => (update[i] = f(rsqrt(decay(slots, i, f(f(g * g) + epsilon), beta)) * g)))
    return update
  }
  const { count, R, C } = factored
  for (let m = 0; m < count; m++) {
    const part = (array: Float32Array): Float32Array => array.subarray(m * R * C, (m + 1) * R * C)
    const rows = slots.subarray(m * R, (m + 1) * R)
    const columns = slots.subarray(count * R + m * C, count * R + (m + 1) * C)
    factoredUpdate(part(gradient), part(update), rows, columns, beta, epsilon)
  }
  return update
}

function rootMeanSquare(values: Float32Array): number {
  let sum = 0
  for (const x of values) sum += x * x
  return f(f(Math.sqrt(sum)) / f(Math.sqrt(values.length)))
}

/**
 * One step: moves `parameters` and `state` in place.
 * @param parameters, gradient the tensors' numbers one after the other, in the order of `tensors`.
 * @throws RangeError when the lengths don't add up.
 */
export function adafactorStep(
  parameters: Float32Array,
  gradient: Float32Array,
  state: AdafactorState,
  learning_rate: number,
  options: AdafactorOptions,
  tensors: readonly TensorSpec[],
): void {
  const sizes = tensors.map(({ dims }) => product(dims))
  if (parameters.length !== total(sizes) || gradient.length !== parameters.length)
    throw new RangeError(`${total(sizes)} numbers described, ${parameters.length} given with ${gradient.length} gradients`)
  if (state.slots.length !== total(tensors.map(slotsOf))) throw new RangeError('the state belongs to other tensors')
  state.step += 1
  const beta = 1 - state.step ** options.decay_rate
  const shrink = f(-options.weight_decay * learning_rate)
  let at = 0
  let slot = 0
  tensors.forEach((tensor, k) => {
    const size = sizes[k] ?? 0
    const slots = state.slots.subarray(slot, (slot += slotsOf(tensor)))
    const update = updateOf(tensor, gradient.subarray(at, at + size), slots, beta, f(options.epsilon))
    const excess = Math.max(1, f(rootMeanSquare(update) / f(options.clip_threshold)))
    update.forEach((x, i) => {
      const p = parameters[at + i] ?? 0
      const decayed = options.weight_decay === 0 ? p : f(p + f(shrink * p))
      parameters[at + i] = f(decayed - f(f(x / excess) * f(learning_rate)))
    })
    at += size
  })
}
