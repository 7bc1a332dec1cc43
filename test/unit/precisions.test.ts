/**
 * The makers of other precisions (test/support/quantize): onnxruntime loads what they make, says nearly what it says of the float32 file, and
 * what its float32 twin says; and the parity tests that stand on them notice a weight that is a little off.
 */
import { describe, expect, it } from 'vitest'
import * as ort from 'onnxruntime-web/webgpu'
import { createOrtEngine } from '../../src/engine/ort/ort-engine'
import { readModel } from '../../src/graph/read'
import type { OnnxModel } from '../../src/graph/ir'
import { fromFloat32, toFloat32 } from '../../src/graph/tensor'
import { concatBytes, writeModel } from '../../src/graph/write'
import { readFixture } from '../support/families/entries'
import { broken, logitsTolerance, measureFile } from '../support/families/parity'
import { logitsOf } from '../support/onnxruntime'
import { inPrecision, PRECISIONS } from '../support/quantize'

const FILES = ['onnx/gpt2_t433_decoder_model_merged.onnx', 'onnx/llama_sdpa_past.onnx']
const IDS = [3, 77, 12, 140, 9, 3, 58]
const bytesOf = (model: OnnxModel) => concatBytes(writeModel(model))

describe.each(FILES)('%s', (path) => {
  const model = readModel(readFixture(path))
  it.each(PRECISIONS.slice(1))('%s', async (precision) => {
    const { file, twin } = inPrecision(model, precision)
    const float = (await logitsOf(bytesOf(model), IDS)).data
    const [ofFile, ofTwin] = [(await logitsOf(bytesOf(file), IDS)).data, (await logitsOf(bytesOf(twin), IDS)).data]
    const largest = float.reduce((most, x) => Math.max(most, Math.abs(x)), 0)
    const apart = (a: Float32Array, b: Float32Array) =>
      a.reduce((most, x, i) => Math.max(most, Math.abs(x - (b[i] ?? NaN))), 0) / largest
    // Weights of 4 bits move logits of such small random models by a third; something was rounded at all.
    expect(apart(ofFile, float)).toBeLessThan(0.5)
    expect(apart(ofTwin, float)).toBeGreaterThan(1e-4)
    // Of a file and its twin only activations differ: not at all with 4-bit weights, by rounding otherwise.
    const rounding = logitsTolerance(precision) > 1e-4
    expect(apart(ofFile, ofTwin)).toBeLessThan(rounding ? 0.1 : 1e-5)
    if (rounding) expect(apart(ofFile, ofTwin)).toBeGreaterThan(1e-5)
  })
})

it('a weight that is one percent off breaks the bound, and an op nobody knows is named', async () => {
  const engine = await createOrtEngine({ ort, threads: 1 })
  const sound = readModel(readFixture('onnx/reference-models/llama_t441_past.onnx'))
  const parity = await measureFile([bytesOf(sound)], engine)
  expect(broken(parity, 'fp32')).toEqual([])
  expect(broken({ ...parity, logits: 2e-4 }, 'fp32')).toEqual(['logits differ by 2.0e-4, 0.0001 is allowed'])
  expect(broken({ ...parity, gradient: NaN }, 'fp32')).toHaveLength(1)

  const [name, weight] =
    [...sound.graph.initializers].find(([, { dims, dtype }]) => dtype === 'float32' && dims.length === 2) ?? []
  if (name === undefined || !weight) throw new Error('no weight')
  const other = { ...sound, graph: { ...sound.graph, initializers: new Map(sound.graph.initializers) } }
  other.graph.initializers.set(
    name,
    fromFloat32(
      weight.dims,
      toFloat32(weight).map((x) => x * 1.01),
    ),
  )
  const [ours, theirs] = [(await logitsOf(bytesOf(other), IDS)).data, (await logitsOf(bytesOf(sound), IDS)).data]
  const apart = ours.reduce((most, x, i) => Math.max(most, Math.abs(x - (theirs[i] ?? NaN))), 0)
  expect(broken({ ...parity, logits: apart }, 'fp32')).toHaveLength(1)

  const nodes = sound.graph.nodes.map((node) => (node.op_type === 'Sigmoid' ? { ...node, op_type: 'Sigmoidal' } : node))
  const unknown = await measureFile([bytesOf({ ...sound, graph: { ...sound.graph, nodes } })], engine)
  expect(broken(unknown, 'fp32')).toEqual(["can't compute Sigmoidal"])
  await engine.dispose()
})
