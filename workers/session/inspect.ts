/** One line of `npm run inspect`: what a model is made of, whether it can be tuned, and how exact we are on it. */
import { estimateMemory, type StepShape } from '../../src/engine/memory'
import { checkReference } from '../../src/engine/self-test'
import { coverage } from '../../src/graph/coverage'
import { cutGraphs, logitsGraph, type CutModel } from '../../src/graph/cut'
import { fuse, fusionReport } from '../../src/graph/fuse'
import type { OnnxModel } from '../../src/graph/ir'
import { describeUnsupported } from '../../src/graph/model-kind'
import type { Program } from '../../src/graph/program'
import { readModel } from '../../src/graph/read'
import { specialize, specializeSeq2Seq } from '../../src/graph/specialize'
import type { LoadProgress, ModelPart } from '../../src/models/load'
import type { Commands, InspectReport } from '../../src/protocol'
import { chooseEngine, messageOf } from './devices'
import { cutParts, type Models } from './models'
import type { Report, Services } from './services'

/** The shape whose program is looked at for fusing. */
const simulate_rounding = true
const SHAPE = { batch_size: 1, sequence_length: 16, simulate_rounding } as const

type Part = Pick<ModelPart, 'onnx' | 'external'>

/** @throws only what loading throws: what is wrong with the model itself is in the report */
export async function inspect(
  command: Commands['inspect'],
  services: Services,
  models: Models,
  report: Report,
): Promise<InspectReport> {
  const parts = await load(command, services, models, report)
  let known: InspectReport = { ...NOTHING, model: command.base_model }
  try {
    known = { ...known, ops: countOps(parts.map(({ onnx, external }) => readModel(onnx, { external }))) }
    const cut = cutParts(parts)
    const { ops, unsupported } = coverage(...cutGraphs(cut))
    known = { ...known, kind: cut.kind, ops, unsupported, parameters: cut.parameters }
    if (unsupported.length > 0) return { ...known, error: `this model can't be tuned: ${describeUnsupported(unsupported)}` }
    const program = programOf(cut)
    const fusing = fusionReport(program, fuse(program))
    known = { ...known, fused: `${fusing.ops_after}/${fusing.ops_before}` }
    const { engine } = await chooseEngine(services.ort, command.device, cut)
    try {
      const self_test = await models.selfTest(parts, cut, engine)
      const estimate = estimateMemory({
        cut,
        device: engine.device,
        memory: engine.memory,
        shape: stepShape(cut),
        simulate_rounding,
      })
      known = { ...known, self_test, memory: [estimate.summary, ...estimate.advice].join(' ') }
      // References of encoder-decoders are of the decoder, behind states of their own.
      const reference = command.reference === null ? null : await checkReference(logitsGraph(cut), engine, command.reference)
      return { ...known, reference }
    } finally {
      await engine.dispose()
    }
  } catch (error) {
    return { ...known, error: messageOf(error) }
  }
}

function programOf(cut: CutModel): Program {
  const { sequence_length } = SHAPE
  const shape = SHAPE
  if (cut.kind === 'seq2seq') return specializeSeq2Seq(cut, { ...shape, encoder_length: sequence_length }).program
  return specialize(cut, { ...shape, mask: 'ones' }).program
}

/** A usual step: 4 rows of 64 tokens, 8 of them virtual. */
function stepShape(cut: CutModel): StepShape {
  const most = Math.min(64, cut.max_positions ?? 64)
  const causal = cut.kind === 'causal-lm'
  return {
    batch_size: 4,
    sequence_length: causal ? most : Math.min(16, most),
    label_length: 4,
    score_label_length: 4,
    encoder: causal ? null : { sequence_length: most, width: null },
    lengths: causal ? { decoder: 8, encoder: 0 } : { decoder: 0, encoder: 8 },
  }
}

const NOTHING: InspectReport = {
  model: '',
  kind: 'unknown',
  ops: {},
  unsupported: [],
  fused: '0/0',
  parameters: 0,
  self_test: null,
  memory: null,
  reference: null,
  error: null,
}

async function load(command: Commands['inspect'], services: Services, models: Models, report: Report): Promise<readonly Part[]> {
  const { base_model, model_dtype, allow_downloads, files } = command
  const onProgress = (progress: LoadProgress): void => report({ type: 'model_progress', ...progress })
  const options = { model_dtype, allow_downloads, onProgress }
  if (files !== null) return Promise.all(files.map((file) => services.loader.loadFile(base_model, file, options)))
  const known = models.inMemory(base_model, model_dtype)
  return (known?.loaded ?? (await services.loader.load(base_model, options))).parts
}

/** Ops of the whole files: said when they can't be cut. */
function countOps(files: readonly OnnxModel[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { op_type, domain } of files.flatMap(({ graph }) => graph.nodes)) {
    const key = domain === '' ? op_type : `${domain}.${op_type}`
    counts[key] = (counts[key] ?? 0) + 1
  }
  return counts
}
