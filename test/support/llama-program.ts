/**
 * A Llama-shaped forward Program with random weights, as specialising and fusing an export gives it: for tests and measurements
 * of engines that want a whole step and no file. GQA, rotary, RMSNorm, gated SiLU, tied head.
 */
import { elementCount, type Tensor } from '../../src/graph/ir'
import type { Program } from '../../src/graph/program'
import { ProgramBuilder } from '../../src/graph/rewrite'
import { fromFloat32, fromIntegers } from '../../src/graph/tensor'
import { seeded } from './op-case'

export interface LlamaShape {
  readonly batch: number
  readonly sequence: number
  readonly layers: number
  readonly hidden: number
  readonly heads: number
  readonly key_heads: number
  readonly intermediate: number
  readonly vocab: number
  /** q8 layers (int8 per column, activations rounded as onnxruntime does) instead of float32 ones. */
  readonly quantized?: boolean
}

/** The embedded model's shape at 8 rows of 40 tokens. */
export const TINY_CAUSAL: LlamaShape = {
  batch: 8,
  sequence: 40,
  layers: 6,
  hidden: 192,
  heads: 6,
  key_heads: 3,
  intermediate: 512,
  vocab: 4096,
}

/** Inputs: inputs_embeds [B,S,H]. Output: logits [B,S,V]. Causal; cos and sin are constants. */
export function llamaProgram(shape: LlamaShape, seed = 1): Program {
  const { batch, sequence, layers, hidden, heads, key_heads, intermediate, vocab } = shape
  const random = seeded(seed)
  const empty: Program = { ops: [], inputs: [], outputs: [], constants: new Map(), values: new Map() }
  const builder = new ProgramBuilder(empty, false)
  const size = hidden / heads
  const uniform = (dims: number[], spread: number, centre = 0) =>
    fromFloat32(
      dims,
      Float32Array.from({ length: elementCount(dims) }, () => centre + spread * (2 * random() - 1)),
    )
  const norm = (x: string, name: string) => {
    const inputs = [x, builder.constant(uniform([hidden], 0.1, 1), `${name}.weight`)]
    return builder.emit({ op: 'RMSNorm', name, inputs, attrs: { epsilon: 1e-6 } })
  }
  const linear = (x: string, name: string, from: number, to: number) => {
    builder.label = name
    if (!shape.quantized) return builder.matMul(x, builder.constant(uniform([from, to], Math.sqrt(3 / from)), name))
    return quantizedLinear(builder, x, name, [from, to], random)
  }
  const split = (x: string, count: number) => builder.transpose(builder.reshape(x, [batch, sequence, count, size]), [0, 2, 1, 3])
  const mask = causalMask(sequence)
  const [cos, sin, causal] = [rotary(sequence, size, Math.cos), rotary(sequence, size, Math.sin), mask].map((tensor) =>
    builder.constant(tensor, 'table'),
  )
  if (cos === undefined || sin === undefined || causal === undefined) throw new Error('three tables')
  const rotated = (x: string, name: string) => builder.emit({ op: 'RotaryEmbedding', name, inputs: [x, cos, sin], attrs: {} })

  let x = builder.input('inputs_embeds', { dtype: 'float32', dims: [batch, sequence, hidden] })
  for (let layer = 0; layer < layers; layer++) {
    const at = `layers.${layer}`
    const h = norm(x, `${at}.input_norm`)
    const q = rotated(split(linear(h, `${at}.q`, hidden, hidden), heads), `${at}.q_rotary`)
    const k = rotated(split(linear(h, `${at}.k`, hidden, key_heads * size), key_heads), `${at}.k_rotary`)
    const v = split(linear(h, `${at}.v`, hidden, key_heads * size), key_heads)
    const attrs = { scale: 1 / Math.sqrt(size) }
    const y = builder.emit({ op: 'Attention', name: `${at}.attention`, inputs: [q, k, v, causal], attrs })
    const merged = builder.reshape(builder.transpose(y, [0, 2, 1, 3]), [batch, sequence, hidden])
    x = builder.add(x, linear(merged, `${at}.o`, hidden, hidden))
    const g = norm(x, `${at}.mlp_norm`)
    const gate = linear(g, `${at}.gate`, hidden, intermediate)
    const silu = builder.emit({ op: 'Silu', name: `${at}.silu`, inputs: [gate], attrs: {} })
    const wide = builder.mul(silu, linear(g, `${at}.up`, hidden, intermediate))
    x = builder.add(x, linear(wide, `${at}.down`, intermediate, hidden))
  }
  builder.label = 'lm_head'
  const logits = builder.matMul(norm(x, 'norm'), builder.constant(uniform([vocab, hidden], 0.1), 'lm_head'), false, true)
  builder.outputAs(logits, 'logits')
  const program = builder.finish(['logits'])
  // The builder takes every constant for float32; the quantised ones are what their file says.
  const values = new Map(program.values)
  for (const [id, { dtype, dims }] of program.constants) if (dtype === 'int8') values.set(id, { dtype, dims })
  return { ...program, values }
}

function quantizedLinear(builder: ProgramBuilder, x: string, name: string, dims: [number, number], random: () => number): string {
  const integers = Array.from({ length: elementCount(dims) }, () => Math.floor(random() * 255) - 127)
  const w = builder.constant(fromIntegers('int8', dims, integers), `${name}_quantized`)
  const scales = Float32Array.from({ length: dims[1] }, () => ((0.5 + random()) * Math.sqrt(3 / dims[0])) / 127)
  const scale = builder.constant(fromFloat32([dims[1]], scales), `${name}_scale`)
  const zeros = new Array<number>(dims[1]).fill(0)
  const zero = builder.constant(fromIntegers('int8', [dims[1]], zeros), `${name}_zero_point`)
  const attrs = { simulate_rounding: true }
  return builder.emit({ op: 'DynamicQuantizedMatMul', name, inputs: [x, w, scale, zero], attrs })
}

function causalMask(sequence: number): Tensor {
  const data = Float32Array.from({ length: sequence * sequence }, (_, i) =>
    i % sequence > Math.floor(i / sequence) ? -3.4028234663852886e38 : 0,
  )
  return fromFloat32([1, 1, sequence, sequence], data)
}

/** cos or sin of position / 10000^(2i/D), [1,1,S,D], both halves alike. */
function rotary(sequence: number, size: number, f: (angle: number) => number): Tensor {
  const data = Float32Array.from({ length: sequence * size }, (_, i) => {
    const frequency = 10000 ** (-(2 * ((i % size) % (size / 2))) / size)
    return f(Math.floor(i / size) * frequency)
  })
  return fromFloat32([1, 1, sequence, size], data)
}
