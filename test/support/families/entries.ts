/** The exports the parity tests and `npm run families` go through: those of test/fixtures/exports, and the older ones beside them. */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import * as v from 'valibot'
import type { Precision } from '../quantize'

const FIXTURES = new URL('../../fixtures/', import.meta.url)

/** One model as one tool exports it. */
export interface Entry {
  readonly family: string
  readonly style: string
  readonly opset: number
  /** Of a causal model, or of encoder and decoder; below test/fixtures. */
  readonly files: readonly string[]
  /** What torch says, below test/fixtures: logits and gradients. */
  readonly reference: string | null
  /** As which precision the files come; the others are made of fp32 ones. */
  readonly stored: Precision
  /** What logits may differ by, relative to the largest, where the precision's bound does not fit. */
  readonly logits_tolerance?: number
}

const Index = v.array(
  v.object({
    family: v.string(),
    style: v.string(),
    opset: v.number(),
    files: v.union([v.object({ model: v.string() }), v.object({ encoder: v.string(), decoder: v.string() })]),
    reference: v.string(),
  }),
)

export const fixturePath = (path: string): string => fileURLToPath(new URL(path, FIXTURES))
export const readFixture = (path: string): Uint8Array => new Uint8Array(readFileSync(fixturePath(path)))

export function exportEntries(): Entry[] {
  const path = fixturePath('exports/index.json')
  if (!existsSync(path)) throw new Error(`${path} is missing`)
  return v.parse(Index, JSON.parse(readFileSync(path, 'utf8'))).map(({ files, reference, ...entry }) => ({
    ...entry,
    files: ('model' in files ? [files.model] : [files.encoder, files.decoder]).map((file) => `exports/${file}`),
    reference: `exports/${reference}`,
    stored: 'fp32',
  }))
}

const older = (family: string, style: string, opset: number, ...files: string[]): Entry => ({
  family,
  style,
  opset,
  files,
  reference: null,
  stored: 'fp32',
})

/** Exports of 2023 and 2024 (HF transformers 4.33 and 4.41), of transformers 5 through torch.onnx, and onnxruntime-genai's layout. */
export const OLDER_ENTRIES: readonly Entry[] = [
  { ...older('gpt2', 't433 past', 14, 'onnx/reference-models/gpt2_t433_past.onnx'), reference: 'onnx/gpt2_t433.reference.json' },
  older('gpt2', 't433 merged', 14, 'onnx/gpt2_t433_decoder_model_merged.onnx'),
  {
    ...older('llama', 't441 past', 14, 'onnx/reference-models/llama_t441_past.onnx'),
    reference: 'onnx/llama_t441.reference.json',
  },
  older('llama', 't441 sdpa past', 14, 'onnx/llama_sdpa_past.onnx'),
  {
    ...older('t5', 't433', 14, 'onnx/reference-models/t5_t433_encoder.onnx', 'onnx/reference-models/t5_t433_dec_nopast.onnx'),
    reference: 'onnx/t5_t433.reference.json',
  },
  older('t5', 't433 merged', 14, 'onnx/t5_t433_encoder.onnx', 'onnx/t5_t433_decoder_model_merged.onnx'),
  older('gpt2', 'transformers 5', 17, 'peft/gpt2/onnx/model.onnx'),
  older('llama', 'transformers 5', 17, 'peft/llama/onnx/model.onnx'),
  older('t5', 'transformers 5', 17, 'peft/t5/onnx/encoder_model.onnx', 'peft/t5/onnx/decoder_model.onnx'),
  older('llama', 'genai', 14, 'onnx/genai_llama.onnx'),
]

/** Files that come quantised, by others' tools. */
export const STORED_ENTRIES: readonly Entry[] = [
  { ...older('llama', 'genai', 14, 'onnx/genai_llama_f16.onnx'), stored: 'fp16' },
  {
    ...older('llama', 'genai, accuracy_level 4', 14, 'onnx/genai_llama_q4_gbq.onnx'),
    stored: 'q4 gather',
    // onnxruntime rounds activations to 8 bits in blocks there, which we do not imitate.
    logits_tolerance: 0.1,
  },
  { ...older('gpt2', 't433 past', 14, 'onnx/gpt2_t433_past_q4.onnx'), stored: 'q4' },
  { ...older('gpt2', 't433 past', 14, 'onnx/gpt2_t433_past_quantized.onnx'), stored: 'q8' },
]
