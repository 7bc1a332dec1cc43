/** Prompts going out of the library: PEFT adapters, caikit modules, baked models. */
import * as v from 'valibot'
import { bakeModelFolder } from '../../src/formats/baked'
import { writeCaikitModule } from '../../src/formats/caikit'
import { writePeftAdapter, type FormatFile } from '../../src/formats/peft'
import { flattenPrompt, rowsOfPart, type PromptTensors, type SingleTaskPrompt } from '../../src/formats/prompt-tensors'
import { yamlMapping } from '../../src/formats/yaml'
import { zipFiles, type ChunkedFile } from '../../src/formats/zip'
import { blobOf, concatBytes, type ByteSource } from '../../src/graph/source'
import type { ExportFormat } from '../../src/library/export-formats'
import type { PromptRecord } from '../../src/library/prompt-record'
import type { LoadedModel } from '../../src/models/load'
import type { Commands, ExportedFiles } from '../../src/protocol'
import { type Models, type ReadyModel } from './models'
import { promptTensors, taskIndex } from './prompt-tensors'
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
    case 'caikit':
      return caikitModule(prompt, task, tools)
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
  const files = new Map<string, Uint8Array | ByteSource>(loaded.files)
  for (const { path, onnx, external } of loaded.parts) {
    files.set(path, onnx)
    const folder = path.slice(0, path.lastIndexOf('/') + 1)
    for (const [name, data] of external) files.set(`${folder}${name}`, data)
  }
  const notices = runnableConfig(loaded, files)
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
  return { files: baked.files, notices }
}

/**
 * Plain transformers.js has no class for a few model types that run here as another (models/config.ts): their config.json gets that type.
 * @returns what was changed, said for people
 */
function runnableConfig({ config, files: small }: LoadedModel, files: Map<string, Uint8Array | ByteSource>): string[] {
  const { model_type } = config
  const architectures: unknown = Reflect.get(config, 'architectures')
  const said = jsonOf(small.get('config.json'))
  if (typeof said !== 'object' || said === null || !('model_type' in said) || said.model_type === model_type) return []
  files.set('config.json', new TextEncoder().encode(JSON.stringify({ ...said, model_type, architectures }, null, 2)))
  return [
    `config.json says model_type ${String(model_type)} instead of ${String(said.model_type)}: transformers.js has no class for that one, and runs this one's files alike.`,
  ]
}

/** Files of a tokenizer, which caikit's local backend wants beside an adapter. */
const TOKENIZER_FILES = ['tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json']

async function caikitModule(prompt: PromptRecord, task: string | null, tools: Tools): Promise<Written> {
  const { base_model, job, created, report } = prompt
  const model = await tools.models.prepare(tools.trials.requestFor(base_model.id, prompt), tools.report)
  const { loaded } = model
  const tensors = promptTensors(prompt)
  const adapter = await peftAdapter(prompt, flattened(prompt, task), tools)
  const eos = loaded.tokenizer.decode([loaded.tokenizer.eos_token_id], { skip_special_tokens: false })
  const written = writeCaikitModule(
    tensors,
    {
      base_model: base_model.id,
      base_model_config: yamlMapping(jsonOf(loaded.files.get('config.json'))),
      eos_token: eos,
      verbalizer: job?.verbalizer ?? '{{input}}',
      created,
      saved: new Date().toISOString(),
      tracking_id: crypto.randomUUID(),
      steps: report?.steps ?? [],
      epoch_ends: epochEnds(prompt),
      local: {
        adapter: adapter.files.map(({ path, chunks }) => ({ path, bytes: concatBytes(chunks) })),
        tokenizer: new Map([...loaded.files].filter(([path]) => TOKENIZER_FILES.includes(path))),
      },
    },
    taskIndex(prompt, task),
  )
  return { files: written.files.map(chunked), notices: written.notices }
}

/** config.json was read before: it is there, and it is JSON. */
const jsonOf = (bytes: Uint8Array | undefined): unknown => JSON.parse(new TextDecoder().decode(bytes))

const chunked = ({ path, bytes }: FormatFile): ChunkedFile => ({ path, chunks: [bytes] })

/** When each epoch ended: the run's steps, laid back to back before the time the prompt was made. What measuring took is not known. */
function epochEnds({ created, report }: PromptRecord): string[] {
  const steps = report?.steps ?? []
  const last = Date.parse(created)
  return (report?.epochs ?? []).map(({ epoch }) => {
    const after = steps.filter((step) => step.epoch > epoch).reduce((sum, { ms }) => sum + ms, 0)
    return new Date(last - after).toISOString()
  })
}

/** A name as part of a file name on any system. */
export function slug(name: string): string {
  const plain = name
    .normalize('NFKD')
    .replace(/[^\w-]+/g, '-')
    .replace(/^-+|-+$/g, '')
  return plain.slice(0, 60) || 'prompt'
}
