/** One line of `npm run inspect`: what a model is made of, whether it can be tuned, and how exact we are on it. */
import { checkReference } from '../../src/engine/self-test'
import { coverage } from '../../src/graph/coverage'
import { cutModel } from '../../src/graph/cut'
import { fuse, fusionReport } from '../../src/graph/fuse'
import type { OnnxModel } from '../../src/graph/ir'
import { readModel } from '../../src/graph/read'
import { specialize } from '../../src/graph/specialize'
import type { LoadedModel, LoadProgress } from '../../src/models/load'
import type { Commands, InspectReport } from '../../src/protocol'
import { chooseEngine, messageOf } from './devices'
import { roundsActivations, type Models } from './models'
import type { Report, Services } from './services'

/** The shape whose program is looked at for fusing. */
const SHAPE = { batch_size: 1, sequence_length: 16, mask: 'ones', simulate_rounding: true } as const

type Files = Pick<LoadedModel, 'onnx' | 'external'>

/** @throws only what loading throws: what is wrong with the model itself is in the report */
export async function inspect(
  command: Commands['inspect'],
  services: Services,
  models: Models,
  report: Report,
): Promise<InspectReport> {
  const files = await load(command, services, models, report)
  let known: InspectReport = { ...NOTHING, model: command.base_model }
  try {
    const model = readModel(files.onnx, { external: files.external })
    known = { ...known, ops: countOps(model) }
    const cut = cutModel(model)
    const { ops, unsupported } = coverage(cut)
    known = { ...known, kind: cut.kind, ops, unsupported, parameters: cut.parameters }
    if (unsupported.length > 0) return { ...known, error: `${unsupported.length} nodes can't be computed here` }
    const { program } = specialize(cut, SHAPE)
    const fusing = fusionReport(program, fuse(program))
    known = { ...known, fused: `${fusing.ops_after}/${fusing.ops_before}` }
    const { engine } = await chooseEngine(services.ort, command.device, cut, roundsActivations(cut))
    try {
      const self_test = await models.selfTest({ loaded: files, cut }, engine)
      known = { ...known, self_test }
      const reference = command.reference === null ? null : await checkReference(cut, engine, command.reference)
      return { ...known, reference }
    } finally {
      await engine.dispose()
    }
  } catch (error) {
    return { ...known, error: messageOf(error) }
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
  reference: null,
  error: null,
}

async function load(command: Commands['inspect'], services: Services, models: Models, report: Report): Promise<Files> {
  const { base_model, model_dtype, allow_downloads, file } = command
  const onProgress = (progress: LoadProgress): void => report({ type: 'model_progress', ...progress })
  const options = { model_dtype, allow_downloads, onProgress }
  if (file !== null) return services.loader.loadFile(base_model, file, options)
  const known = models.inMemory(base_model, model_dtype)
  return known?.loaded ?? services.loader.load(base_model, options)
}

/** Ops of the whole file: said when it can't be cut. */
function countOps(model: OnnxModel): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { op_type, domain } of model.graph.nodes) {
    const key = domain === '' ? op_type : `${domain}.${op_type}`
    counts[key] = (counts[key] ?? 0) + 1
  }
  return counts
}
