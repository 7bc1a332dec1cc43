/** transformers.js in Node on onnxruntime's wasm build: the same library and runtime the page has, offline. */
import * as ort from 'onnxruntime-web'

ort.env.wasm.numThreads = 1
// transformers.js takes the runtime it finds here instead of onnxruntime-node, which this project does not install.
Object.assign(globalThis, { [Symbol.for('onnxruntime')]: ort })
const transformers = await import('@huggingface/transformers')
transformers.env.allowRemoteModels = false
transformers.env.useWasmCache = false
// It has just pointed these at a CDN; Node's build finds its own files.
delete ort.env.wasm.wasmPaths

export const { env, AutoModelForSeq2SeqLM, AutoTokenizer, Tensor } = transformers

/** Of what a pipeline of transformers.js gives for one text. */
function generatedText(output: unknown): string {
  const first: unknown = Array.isArray(output) ? output[0] : null
  if (typeof first !== 'object' || first === null || !('generated_text' in first)) throw new Error('no generated text')
  return String(first.generated_text)
}

/** Greedy continuation of `text` by plain `pipeline('text-generation')`, with nothing but the folder given. */
export async function continueText(folder: string, text: string, dtype: 'fp32' | 'q8', max_new_tokens: number): Promise<string> {
  const generate = await transformers.pipeline('text-generation', folder, { dtype, device: 'auto' })
  const output: unknown = await generate(text, { max_new_tokens, do_sample: false, return_full_text: false })
  await generate.dispose()
  return generatedText(output)
}

/** The same, left open for many texts. Close it when done. */
export async function openContinuer(folder: string, dtype: 'fp32' | 'q8' | 'q4') {
  const generate = await transformers.pipeline('text-generation', folder, { dtype, device: 'auto' })
  return {
    async answer(text: string, max_new_tokens: number): Promise<string> {
      const output: unknown = await generate(text, { max_new_tokens, do_sample: false, return_full_text: false })
      return generatedText(output)
    },
    close: () => generate.dispose(),
  }
}

/** Plain `pipeline('text2text-generation')`, with nothing but the folder given: greedy answers of an encoder-decoder. Close it when done. */
export async function openAnswerer(folder: string, dtype: 'fp32' | 'q8' | 'q4') {
  const generate = await transformers.pipeline('text2text-generation', folder, { dtype, device: 'auto' })
  return {
    async answer(text: string, max_new_tokens: number, more: Readonly<Record<string, unknown>> = {}): Promise<string> {
      const output: unknown = await generate(text, { max_new_tokens, do_sample: false, ...more })
      return generatedText(output)
    },
    close: () => generate.dispose(),
  }
}

/** Greedy ids of an encoder-decoder after `input_ids`, without the start token, by plain `AutoModelForSeq2SeqLM`. */
export async function greedyIds(
  folder: string,
  input_ids: readonly number[],
  dtype: 'fp32' | 'q8',
  max_new_tokens: number,
): Promise<number[]> {
  const model = await transformers.AutoModelForSeq2SeqLM.from_pretrained(folder, { dtype, device: 'auto' })
  const tensor = (values: readonly number[]) =>
    new transformers.Tensor('int64', BigInt64Array.from(values, BigInt), [1, values.length])
  const output: unknown = await model.generate({
    inputs: tensor(input_ids),
    attention_mask: tensor(input_ids.map(() => 1)),
    max_new_tokens,
    do_sample: false,
  })
  await model.dispose()
  const data: unknown = output instanceof transformers.Tensor ? output.data : null
  if (!(data instanceof BigInt64Array)) throw new Error('no ids')
  return Array.from(data, Number).slice(1)
}
