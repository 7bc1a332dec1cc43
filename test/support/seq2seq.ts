/** Encoder-decoder fixtures: cut, fed with tokens, and run in onnxruntime (wasm, one thread) as the reference, encoder then decoder. */
import { readFileSync } from 'node:fs'
import * as ort from 'onnxruntime-web/webgpu'
import { cutSeq2Seq, type CutSeq2Seq } from '../../src/graph/cut'
import { readModel } from '../../src/graph/read'

ort.env.wasm.numThreads = 1

export interface Seq2SeqFixture {
  readonly encoder: Uint8Array
  readonly decoder: Uint8Array
  readonly cut: CutSeq2Seq
}

const PATHS = {
  /** As torch.onnx exports it: tied, scaled head, relative positions in buckets. */
  't5 of peft': ['test/fixtures/peft/t5/onnx/encoder_model.onnx', 'test/fixtures/peft/t5/onnx/decoder_model.onnx'],
  /** optimum's: a merged decoder with a cache. */
  't5 merged': ['test/fixtures/onnx/t5_t433_encoder.onnx', 'test/fixtures/onnx/t5_t433_decoder_model_merged.onnx'],
} as const

export const SEQ2SEQ_FIXTURES = ['t5 of peft', 't5 merged'] as const
export type Seq2SeqName = keyof typeof PATHS

/** Paths are from the repository's root. */
export function loadSeq2Seq(name: Seq2SeqName): Seq2SeqFixture {
  const [encoder, decoder] = PATHS[name].map((path) => new Uint8Array(readFileSync(path)))
  if (!encoder || !decoder) throw new Error(`no files of ${name}`)
  return { encoder, decoder, cut: cutSeq2Seq(readModel(encoder), readModel(decoder)) }
}

/** What goes in: token ids [batch, length] of both halves, and the encoder's mask. */
export interface Seq2SeqInput {
  readonly batch: number
  readonly ids: readonly number[]
  readonly mask: readonly number[]
  readonly decoder: readonly number[]
}

/** Logits [batch, decoder length, V] of the untouched files. */
export async function referenceSeq2SeqLogits({ encoder, decoder }: Seq2SeqFixture, input: Seq2SeqInput): Promise<Float32Array> {
  const { batch, ids, mask } = input
  const grid = (values: readonly number[]) =>
    new ort.Tensor('int64', BigInt64Array.from(values, BigInt), [batch, values.length / batch])
  const states = await run(encoder, 'last_hidden_state', batch, { input_ids: grid(ids), attention_mask: grid(mask) })
  const given = { input_ids: grid(input.decoder), encoder_attention_mask: grid(mask), encoder_hidden_states: states }
  const { data } = await run(decoder, 'logits', batch, given)
  if (!(data instanceof Float32Array)) throw new Error('no float logits')
  return data
}

/** Whatever is not given is an empty past, or the switch that says there is none. */
async function run(bytes: Uint8Array, output: string, batch: number, given: Readonly<Record<string, ort.Tensor>>) {
  const session = await ort.InferenceSession.create(bytes, { executionProviders: ['wasm'], logSeverityLevel: 3 })
  const feeds: Record<string, ort.Tensor> = {}
  for (const info of session.inputMetadata) {
    const fed = given[info.name]
    if (fed) feeds[info.name] = fed
    else if (info.name === 'use_cache_branch') feeds[info.name] = new ort.Tensor('bool', Uint8Array.of(0), [1])
    else if (info.isTensor && info.name.startsWith('past_key_values')) {
      const dims = info.shape.map((dim, axis) => (typeof dim === 'number' ? dim : axis === 0 ? batch : 0))
      feeds[info.name] = new ort.Tensor('float32', new Float32Array(0), dims)
    } else throw new Error(`input '${info.name}'`)
  }
  const result = (await session.run(feeds, [output]))[output]
  await session.release()
  if (!result) throw new Error(`no ${output}`)
  return result
}
