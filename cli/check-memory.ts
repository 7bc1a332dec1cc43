/**
 * What training a checked job needs of memory, for `npm run tune -- --check`: the sentence that the page shows before training, worked out in Node
 * from the model's files of this machine. Nothing is run, and nothing is fetched.
 */
import { env } from '@huggingface/transformers'
import { openAsBlob } from 'node:fs'
import { join } from 'node:path'
import { EngineError, type Device, type EngineMemory } from '../src/engine/engine'
import { estimateMemory, type MemoryEstimate } from '../src/engine/memory'
import { wasmMemory } from '../src/engine/ort/wasm-memory'
import { cutModel, cutSeq2Seq, type CutModel } from '../src/graph/cut'
import { GraphError } from '../src/graph/ir'
import { readModel } from '../src/graph/read'
import { wantedFile } from '../src/job/parameters'
import { MemoryStore } from '../src/library/store'
import { ModelCache } from '../src/models/cache'
import { arrange } from '../src/models/layout'
import { ModelLoader, type LoadedModel } from '../src/models/load'
import { ModelError } from '../src/models/model-error'
import { ShardedFiles } from '../src/models/shards'
import { TuningError } from '../src/tuning/errors'
import { previewTuning } from '../src/tuning/preview'
import { localName } from './local-model'
import type { Work } from './read-job'
import { listFiles } from './serve'

/** What is known of a GPU before a browser looks: nothing. */
const UNKNOWN: EngineMemory = { total_bytes: null, tensor_bytes: null, copies_weights: false }
/** Where transformers.js looks for files of one's own: any name that no file here has. */
const LOCAL_PATH = '/models/'

/** Lines for people: the estimate and what to change, or why there is none. */
export async function memoryLines(work: Work): Promise<readonly string[]> {
  const { base_model, device } = work.file.job
  if (work.modelFolder === null) {
    return [`memory: not known before ${base_model} is on this machine; \`npm run inspect -- ${base_model}\` fetches it and says`]
  }
  try {
    const { summary, advice } = await estimateFor(work, work.modelFolder)
    const note = device === 'auto' ? ['  (if the job finds no GPU; its own memory no GPU says)'] : []
    return [`memory: ${summary}`, ...advice.map((text) => `  ${text}`), ...note]
  } catch (error) {
    const isExpected = [ModelError, GraphError, EngineError, TuningError].some((kind) => error instanceof kind)
    if (!isExpected) throw error
    return [`memory: not estimated, for the job would fail: ${error instanceof Error ? error.message : String(error)}`]
  }
}

/** @throws ModelError, GraphError, EngineError, TuningError: what opening the model or starting the run would */
async function estimateFor({ file: { job }, train, validation }: Work, folder: string): Promise<MemoryEstimate> {
  const loaded = await loadFolder(folder, wantedFile(job), job.model_file_name)
  const cut = cutOf(loaded)
  const known = [cut.max_positions, loaded.max_positions].filter((limit) => limit !== null)
  const { kind, hidden_size } = cut
  const model = { kind, hidden_size, max_positions: known.length === 0 ? null : Math.min(...known) }
  const tokenizer = { ...loaded.tokenizer, decoder_start_token_id: loaded.decoder_start_token_id }
  const device: Device = job.device === 'auto' ? 'wasm' : job.device
  const memory = device === 'wasm' ? wasmMemory(null) : UNKNOWN
  const { simulate_rounding } = job
  const preview = previewTuning(job, model, tokenizer, train, validation, (shape) =>
    estimateMemory({ cut, device, memory, shape, simulate_rounding }),
  )
  if (!preview.memory) throw new EngineError('there is no step to estimate')
  return preview.memory
}

/** The model in a folder, by the loader the page has; its large files are read when they are asked for. */
async function loadFolder(folder: string, model_dtype: string, model_file_name: string): Promise<LoadedModel> {
  env.localModelPath = LOCAL_PATH
  const cache = new ModelCache({
    files: new ShardedFiles({ store: new MemoryStore() }),
    remote_host: env.remoteHost,
    local_path: LOCAL_PATH,
  })
  const loader = new ModelLoader(cache, () => Promise.resolve(new Response(null, { status: 404 })))
  const id = localName(folder)
  const files = new Map<string, Blob>()
  for (const [path, from] of arrange(id, listFiles(folder))) files.set(path, await openAsBlob(join(folder, from)))
  cache.setVirtual(id, files)
  return loader.load(id, { model_dtype, model_file_name, allow_downloads: false })
}

function cutOf({ parts }: LoadedModel): CutModel {
  const [first, second] = parts.map(({ onnx, external }) => readModel(onnx, { external }))
  if (!first) throw new ModelError('not_found', 'the model has no ONNX file', 'Pick another model.')
  return second ? cutSeq2Seq(first, second) : cutModel(first)
}
