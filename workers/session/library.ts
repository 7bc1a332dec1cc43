/** Prompts going out of the library and coming into it: PEFT adapters, baked models. */
import * as v from 'valibot'
import { bakeModelFolder } from '../../src/formats/baked'
import { writePeftAdapter } from '../../src/formats/peft'
import { readPeftAdapter } from '../../src/formats/peft-read'
import { flattenPrompt, rowsOfPart, type PromptTensors, type SingleTaskPrompt } from '../../src/formats/prompt-tensors'
import { zipFiles, type ChunkedFile } from '../../src/formats/zip'
import type { ExportFormat } from '../../src/library/export-formats'
import type { PromptRecord, PromptSummary } from '../../src/library/prompt-record'
import { newId } from '../../src/library/prompts'
import type { Commands, ExportedFiles } from '../../src/protocol'
import { CommandError } from './failures'
import { baseModelRef, type Models, type ReadyModel } from './models'
import { fieldsOfTensors, promptTensors, taskIndex } from './prompt-tensors'
import type { Report, Services } from './services'
import type { Trials } from './try'

/** Layers and heads go into an adapter's config where the model's config says them. */
const count = v.fallback(v.nullish(v.pipe(v.number(), v.integer(), v.minValue(1)), null), null)
const SizesSchema = v.object({
  num_hidden_layers: count,
  num_layers: count,
  n_layer: count,
  num_attention_heads: count,
  num_heads: count,
  n_head: count,
})

export async function deletePrompt(id: string, services: Services): Promise<void> {
  await services.prompts.delete(id)
}

/** @throws PromptNotFound; what loading the model throws; FormatError, GraphError */
export async function exportPrompt(
  { prompt: id, format, task }: Commands['export_prompt'],
  services: Services,
  models: Models,
  trials: Trials,
  report: Report,
): Promise<ExportedFiles> {
  const prompt = await services.prompts.get(id)
  const written = await write(format, prompt, task, { models, trials, report })
  return zipped(`${slug(prompt.name)}${task === null ? '' : `-${slug(task)}`}-${format}`, written)
}

interface Written {
  readonly files: readonly ChunkedFile[]
  readonly notices: readonly string[]
}

interface Tools {
  readonly models: Models
  readonly trials: Trials
  readonly report: Report
}

function write(format: ExportFormat, prompt: PromptRecord, task: string | null, tools: Tools): Promise<Written> {
  switch (format) {
    case 'peft':
      return peftAdapter(prompt, promptTensors(prompt), tools)
    case 'peft_flat':
      return peftAdapter(prompt, flattened(prompt, task), tools)
    case 'baked':
      return bakedModel(prompt, task, tools)
  }
}

export function zipped(folder: string, { files, notices }: Written): ExportedFiles {
  return {
    filename: `${folder}.zip`,
    files: files.map(({ path, chunks }) => ({ path, blob: blobOf(chunks) })),
    zip: blobOf(zipFiles(files)),
    notices,
  }
}

const flattened = (prompt: PromptRecord, task: string | null): SingleTaskPrompt =>
  flattenPrompt(promptTensors(prompt), taskIndex(prompt, task))

/** The model a prompt is of, if it is at hand: a small file is worth having without its model, and not worth a download. */
function modelAtHand({ base_model, ...rest }: PromptRecord, { models, trials }: Tools): Promise<ReadyModel | null> {
  const request = { ...trials.requestFor(base_model.id, { base_model, ...rest }), allow_downloads: false }
  return models.prepare(request, null, undefined, false).catch(() => null)
}

async function peftAdapter(prompt: PromptRecord, tensors: PromptTensors, tools: Tools): Promise<Written> {
  const { base_model, job } = prompt
  // Without the model its sizes are left out, which PEFT fills in.
  const sizes = v.safeParse(SizesSchema, (await modelAtHand(prompt, tools))?.loaded.config ?? {})
  const found = sizes.success ? sizes.output : null
  const config = job?.tuning_config
  const { files, notices } = writePeftAdapter(tensors, {
    base_model: base_model.id,
    // "embedded" and "local" are no revisions of a repository.
    revision: /^[0-9a-f]{40}$/.test(base_model.revision) ? base_model.revision : null,
    prompt_tuning_init_method: config?.prompt_tuning_init_method ?? 'RANDOM',
    prompt_tuning_init_text: config?.prompt_tuning_init_text || null,
    num_layers: found?.num_hidden_layers ?? found?.num_layers ?? found?.n_layer ?? null,
    num_attention_heads: found?.num_attention_heads ?? found?.num_heads ?? found?.n_head ?? null,
  })
  return { files: files.map(({ path, bytes }) => ({ path, chunks: [bytes] })), notices }
}

async function bakedModel(prompt: PromptRecord, task: string | null, { models, trials, report }: Tools): Promise<Written> {
  const model = await models.prepare(trials.requestFor(prompt.base_model.id, prompt), report)
  trials.checkFits(prompt, model)
  const { loaded } = model
  const files = new Map<string, Uint8Array>(loaded.files)
  for (const { path, onnx, external } of loaded.parts) {
    files.set(path, onnx)
    const folder = path.slice(0, path.lastIndexOf('/') + 1)
    for (const [name, bytes] of external) files.set(`${folder}${name}`, bytes)
  }
  const pathsOf = (encoder: boolean) =>
    loaded.parts.filter(({ role }) => (role === 'encoder') === encoder).map(({ path }) => path)
  const { name, num_virtual_tokens, base_model, job } = prompt
  const flat = flattened(prompt, task)
  const baked = bakeModelFolder(
    files,
    {
      name,
      num_virtual_tokens,
      hidden_size: base_model.hidden_size,
      encoder_rows: rowsOfPart(flat, 'ENCODER'),
      decoder_rows: rowsOfPart(flat, 'DECODER'),
      base_model: base_model.id,
      verbalizer: job?.verbalizer ?? null,
    },
    { encoders: pathsOf(true), decoders: pathsOf(false) },
  )
  return { files: baked.files, notices: [] }
}

/** @throws FormatError when the files are no adapter, or one for another model; what loading the model throws */
export async function importPrompt(
  { name, base_model, files }: Commands['import_prompt'],
  services: Services,
  models: Models,
  report: Report,
): Promise<PromptSummary> {
  const request = models.lastRequest(base_model) ?? { base_model, model_dtype: 'auto', allow_downloads: false }
  const model = await models.prepare(request, report)
  const bytes = new Map<string, Uint8Array>()
  for (const { path, blob } of files) {
    if (blob.size > MAX_ADAPTER_BYTES) {
      throw new CommandError(
        'invalid',
        `${path} has ${Math.round(blob.size / 1e6)} MB: that is no prompt`,
        'Choose adapter_config.json and adapter_model.safetensors.',
      )
    }
    bytes.set(path, new Uint8Array(await blob.arrayBuffer()))
  }
  const { prompt } = readPeftAdapter(bytes, { hidden_size: model.cut.hidden_size, kind: model.loaded.kind })
  return services.prompts.save({
    id: newId(),
    name: name.trim() === '' ? 'Imported prompt' : name.trim(),
    created: new Date().toISOString(),
    origin: 'imported',
    base_model: baseModelRef(model),
    job: null,
    ...fieldsOfTensors(prompt),
    report: null,
  })
}

/** 10 000 rows of 4096 numbers are 164 MB; nothing sensible is larger. */
const MAX_ADAPTER_BYTES = 256e6

/** A name as part of a file name on any system. */
function slug(name: string): string {
  const plain = name
    .normalize('NFKD')
    .replace(/[^\w-]+/g, '-')
    .replace(/^-+|-+$/g, '')
  return plain.slice(0, 60) || 'prompt'
}

// Chunks are views of files that were read or of new bytes; none is shared memory.
const blobOf = (chunks: readonly Uint8Array[]): Blob => new Blob(chunks.map((chunk) => chunk as Uint8Array<ArrayBuffer>))
