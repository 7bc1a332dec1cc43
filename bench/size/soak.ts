/** A long run in a process of its own, printed as JSON: `tsx bench/size/soak.ts MODEL.onnx STEPS`. */
// First: it must see onnxruntime's memory being made.
import '../../test/support/wasm-memory'
import * as ort from 'onnxruntime-web'
import { GraphModel } from '../../src/engine/graph-model'
import { createOrtEngine } from '../../src/engine/ort/ort-engine'
import { cutModel } from '../../src/graph/cut'
import { readModel } from '../../src/graph/read'
import { FileSource } from '../../test/support/sliced-source'
import { growth, soak } from '../../test/support/soak'

const [path = '', steps = '1000'] = process.argv.slice(2)
const engine = await createOrtEngine({ ort, threads: 1 })
const model = new GraphModel({ cut: cutModel(readModel(new FileSource(path))), engine })
const result = await soak(model, Number(steps), Math.ceil(Number(steps) / 10))
const { first_loss, last_loss } = result
console.log(JSON.stringify({ steps: Number(steps), first_loss, last_loss, grown: growth(result) }))
process.exit(0)
