/** What weights of 16 bits and less take in onnxruntime's wasm while a program with its gradient runs: their own size, and one of them expanded. */
import { wasmBytes } from '../../../test/support/wasm-memory'
import * as ort from 'onnxruntime-web/webgpu'
import { beforeAll, expect, test } from 'vitest'
import { programWith, withGradient } from '../../../test/support/gradient-check'
import type { Tensor } from '../../graph/ir'
import type { PackedFormat } from '../../graph/packed'
import type { Program } from '../../graph/program'
import { fromFloat32 } from '../../graph/tensor'
import type { Engine } from '../engine'
import { lower } from './lower'
import { createOrtEngine } from './ort-engine'

const WIDTH = 1024
const LAYERS = 24
const MIB = 2 ** 20

let engine: Engine
let base: number
beforeAll(async () => {
  engine = await createOrtEngine({ ort, threads: 1 })
  base = wasmBytes()
})

const noise = (count: number, salt: number): Uint8Array =>
  Uint8Array.from({ length: count }, (_, i) => Math.imul(i + salt, 2654435761) >>> 24)

/** Layers x w + x, and the gradient with respect to the first x. */
function stack(layer: (builder: ReturnType<typeof programWith>, x: string, i: number) => string): Program {
  const builder = programWith({ x: [1, 4, WIDTH] })
  let x = 'x'
  for (let i = 0; i < LAYERS; i++) {
    builder.label = `layer ${i}`
    x = builder.add(x, layer(builder, x, i))
  }
  return withGradient(builder.finish([x]), x, 'x')
}

/** What the wasm memory has grown by once the program has run: it never shrinks, so the smaller test comes first. */
async function growth(program: Program): Promise<number> {
  const executable = await engine.load(program)
  const feeds = new Map(program.inputs.map((name) => [name, new Float32Array(4 * WIDTH).fill(0.01)]))
  const outputs = await executable.run(feeds)
  expect(outputs.get('dx')?.every(Number.isFinite)).toBe(true)
  await executable.dispose()
  return wasmBytes() - base
}

const q4: PackedFormat = {
  bits: 4,
  signed: false,
  rows: WIDTH,
  columns: WIDTH,
  row_stride: WIDTH,
  block_rows: 1,
  block_columns: 32,
  transposed: true,
  zero_point: 8,
  codebook: null,
}

// Stored: 12 MiB of codes and 3 of scales. As float32 they would be 96. A product expands two halves of 2 MiB, its kernels' steps on top.
test('q4', async () => {
  const program = stack((builder, x, i) => {
    const codes: Tensor = { dtype: 'uint8', dims: [(WIDTH * WIDTH) / 2], bytes: noise((WIDTH * WIDTH) / 2, i) }
    const name = builder.sharedConstant(codes, `codes ${i}`, 'uint8')
    const scales = builder.constant(fromFloat32([(WIDTH * WIDTH) / 32], new Float32Array((WIDTH * WIDTH) / 32).fill(0.001)))
    return builder.emit({ op: 'PackedMatMul', name: builder.label, inputs: [x, name, scales], attrs: q4 })
  })
  // Its compiled form alone would take more than all of this: see floatOf in lower-packed.ts.
  expect(lower(program).graph.nodes.filter(({ op_type }) => op_type === 'Cast')).toEqual([])
  const bytes = await growth(program)
  expect(bytes).toBeLessThan(1.3 * 15 * MIB + 8 * MIB)
}, 120_000)

// Stored: 48 MiB; as float32 96.
test('float16', async () => {
  const program = stack((builder, x, i) => {
    // Exponents around 2^-8.
    const bytes = noise(WIDTH * WIDTH * 2, i).map((byte, at) => (at % 2 === 1 ? 0x1c | (byte & 0x80) : byte))
    return builder.matMul(x, builder.constant({ dtype: 'float16', dims: [WIDTH, WIDTH], bytes }, `w ${i}`), false, i % 2 === 1)
  })
  const bytes = await growth(program)
  expect(bytes).toBeLessThan(1.3 * 48 * MIB + 12 * MIB)
}, 120_000)
