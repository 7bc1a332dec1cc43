/**
 * What onnxruntime itself says to a few tokens on the model file: the reference of the self-test. Knows the inputs that exports for text
 * generation have. The file is given to it untouched but for where its weights lie (outsource.ts): our own reading of graphs has no part in it. Only where
 * this build of onnxruntime has no kernel for the file's embedding lookup, the lookup is ours and onnxruntime runs the rest.
 */
import { cutGraphs, type CutGraph, type CutModel } from '../../graph/cut'
import { readEmbeddingRows } from '../../graph/embedding'
import { outsource } from '../../graph/outsource'
import { asSource, DeferredBytes, wholeOf, type ByteSource } from '../../graph/source'
import { float16ToFloat32, float32ToFloat16 } from '../../graph/tensor'
import { EngineError } from '../engine'
import { ortMessage, type OrtLibrary, type OrtSession, type OrtTensor } from './ort-library'
import { createSession } from './ort-session'

export interface ReferenceModel {
  readonly onnx: Uint8Array | ByteSource
  /** External data by the name the file calls it. */
  readonly external: ReadonlyMap<string, Uint8Array | ByteSource>
}

/** What is read: by a causal model `ids`; by an encoder `ids`, and by its decoder `decoder`. */
export interface ReferenceInput {
  readonly ids: readonly number[]
  readonly decoder: readonly number[]
}

/** What a file is fed besides what its name says: tokens, and an encoder's states with their mask. */
interface Given {
  readonly ids: readonly number[]
  readonly states: OrtTensor | null
}

/**
 * Logits, float32, with positions from 0 and nothing in the cache: of a causal model [1, ids.length, V]; of an encoder and its decoder (in
 * this order) [1, decoder.length, V].
 * @param cut the same files, cut: for the rest of one whose embedding lookup onnxruntime does not have; null: then that is an error
 * @throws EngineError when onnxruntime can't load or run a file, or an input is unknown
 */
export async function referenceLogits(
  ort: OrtLibrary,
  parts: readonly ReferenceModel[],
  input: ReferenceInput,
  cut: CutModel | null = null,
): Promise<Float32Array> {
  const [first, second] = parts
  const [firstCut = null, secondCut = null] = cut ? cutGraphs(cut) : []
  if (!first) throw new EngineError('a model of no files')
  const from = { ids: input.ids, states: null }
  if (!second) return floatsOf(await runPart(ort, first, firstCut, 'logits', from))
  const states = await runPart(ort, first, firstCut, 'last_hidden_state', from)
  return floatsOf(await runPart(ort, second, secondCut, 'logits', { ids: input.decoder, states }))
}

/** onnxruntime's build for browsers has no CPU kernel for this lookup (1.31-dev). */
const NO_LOOKUP = /GatherBlockQuantized/

async function runPart(
  ort: OrtLibrary,
  model: ReferenceModel,
  cut: CutGraph | null,
  output: string,
  given: Given,
): Promise<OrtTensor> {
  try {
    return await runFile(ort, model, output, given)
  } catch (error) {
    if (!cut || !(error instanceof EngineError) || !NO_LOOKUP.test(error.message)) throw error
    return runRest(ort, cut, given)
  }
}

/** What the nodes behind a file's embedding lookup give for the rows that we look up. @throws EngineError as referenceLogits */
async function runRest(ort: OrtLibrary, cut: CutGraph, given: Given): Promise<OrtTensor> {
  const { graph, opsets, inputs_embeds, output, hidden_size, embedding } = cut
  // The cache of the file's attention ops was cut off; asked for by nobody, onnxruntime would lay it over the (empty) one that goes in.
  const caches = graph.nodes.flatMap(({ op_type, outputs }) => (op_type === 'GroupQueryAttention' ? outputs.slice(1, 3) : []))
  const presents = caches
    .filter((name) => name !== '')
    .map((name) => ({ name, dtype: embedding.dtype, dims: ['batch_size', 'heads', 'total_sequence_length', 'head_size'] }))
  const model = {
    ir_version: 10,
    producer_name: 'promptlathe',
    opsets,
    graph: { ...graph, outputs: [...graph.outputs, ...presents] },
  }
  const session = await attempt('load', () => createSession(ort, model))
  const rows = readEmbeddingRows(embedding, given.ids)
  const dims = [1, given.ids.length, hidden_size]
  const embeds =
    embedding.dtype === 'float16'
      ? new ort.Tensor('float16', Uint16Array.from(rows, float32ToFloat16), dims)
      : new ort.Tensor('float32', rows, dims)
  return runSession(ort, session, output, given, new Map([[inputs_embeds, embeds]]))
}

async function runFile(ort: OrtLibrary, model: ReferenceModel, output: string, given: Given): Promise<OrtTensor> {
  const session = await attempt('load', async () => {
    const { onnx, external } = outsource(model.onnx, 'outsourced')
    const given = [...model.external].map(([path, data]) => [path, wholeOf(asSource(data))] as const)
    return ort.InferenceSession.create(onnx, {
      executionProviders: ['wasm'],
      logSeverityLevel: 3,
      externalData: [...external, ...given].map(([path, slice]) => ({ path, data: new DeferredBytes(slice) })),
      // Packed weights would be a second copy of every matrix, for one run.
      extra: { session: { disable_prepacking: '1' } },
    })
  })
  return runSession(ort, session, output, given, new Map())
}

/** Runs once and releases the session. `known`: inputs that are given, by name. */
async function runSession(
  ort: OrtLibrary,
  session: OrtSession,
  output: string,
  given: Given,
  known: ReadonlyMap<string, OrtTensor>,
): Promise<OrtTensor> {
  try {
    const feeds: Record<string, OrtTensor> = {}
    for (const info of session.inputMetadata) feeds[info.name] = known.get(info.name) ?? feedFor(ort, info, given)
    const tensor = (await attempt('run', () => session.run(feeds, [output])))[output]
    if (!tensor) throw new EngineError(`the model has no output '${output}'`)
    return tensor
  } finally {
    await session.release()
  }
}

type InputInfo = Awaited<ReturnType<OrtLibrary['InferenceSession']['create']>>['inputMetadata'][number]

function feedFor(ort: OrtLibrary, info: InputInfo, { ids, states }: Given): OrtTensor {
  const { name } = info
  const perToken = (values: readonly number[]): OrtTensor =>
    info.isTensor && info.type === 'int32'
      ? new ort.Tensor('int32', Int32Array.from(values), [1, values.length])
      : new ort.Tensor('int64', BigInt64Array.from(values, BigInt), [1, values.length])
  if (states && name === 'encoder_hidden_states') return states
  if (states && name === 'encoder_attention_mask') return perToken(Array.from({ length: states.dims[1] ?? 0 }, () => 1))
  if (name === 'input_ids') return perToken(ids)
  if (name === 'attention_mask') return perToken(ids.map(() => 1))
  if (name === 'position_ids') return perToken(ids.map((_, position) => position))
  if (name === 'use_cache_branch') return new ort.Tensor('bool', Uint8Array.of(0), [1])
  // 0: the logits of all positions.
  if (name === 'num_logits_to_keep') return new ort.Tensor('int64', BigInt64Array.of(0n), [])
  if (info.isTensor && name.startsWith('past_key_values') && (info.type === 'float32' || info.type === 'float16')) {
    const dims = info.shape.map((dim, axis) => (typeof dim === 'number' ? dim : axis === 0 ? 1 : 0))
    if (info.type === 'float32') return new ort.Tensor('float32', new Float32Array(0), dims)
    return new ort.Tensor('float16', new Uint16Array(0), dims)
  }
  throw new EngineError(`the self-test does not know what to feed the model's input '${name}'`)
}

function floatsOf({ data, type }: OrtTensor): Float32Array {
  if (data instanceof Float32Array) return data
  // A Uint16Array, or a Float16Array where the platform has it: the same bits.
  if (type === 'float16' && ArrayBuffer.isView(data)) {
    return Float32Array.from(new Uint16Array(data.buffer, data.byteOffset, data.length), float16ToFloat32)
  }
  throw new EngineError(`the model's logits are ${type}, not float`)
}

async function attempt<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    throw new EngineError(`onnxruntime can't ${what} the model: ${ortMessage(cause)}`, { cause })
  }
}
