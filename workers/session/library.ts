/** Prompts coming into the library (PEFT adapters, .pt files) and leaving it for good; taking them away as files is exports.ts. */
import { readTorchPrompt } from '../../src/formats/caikit'
import { readPeftAdapter, type Expected } from '../../src/formats/peft-read'
import type { PromptSummary } from '../../src/library/prompt-record'
import { newId } from '../../src/library/prompts'
import type { Commands } from '../../src/protocol'
import { CommandError } from './failures'
import { baseModelRef, type Models, type ReadyModel } from './models'
import { fieldsOfTensors } from './prompt-tensors'
import type { Report, Services } from './services'

export async function deletePrompt(id: string, services: Services): Promise<void> {
  await services.prompts.delete(id)
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
  const expected = { hidden_size: model.cut.hidden_size, kind: model.loaded.kind }
  const isTorch =
    [...bytes.keys()].some((path) => path.endsWith('.pt')) && ![...bytes.keys()].some((path) => path.endsWith('.json'))
  const { prompt, notices } = isTorch
    ? { prompt: readTorchPrompt(bytes, expected), notices: [] }
    : readAdapter(bytes, expected, model)
  for (const notice of notices) services.inform(notice)
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

/** An adapter, and what has to be known of it. Models have several ids, so that another one is no reason to refuse it. */
function readAdapter(bytes: ReadonlyMap<string, Uint8Array>, expected: Required<Expected>, { loaded }: ReadyModel) {
  const { prompt, notices, base_model } = readPeftAdapter(bytes, expected)
  if (base_model === null || base_model === loaded.id) return { prompt, notices }
  const other = `The adapter says it is for ${base_model.slice(0, 200)}; it will be used with ${loaded.id}.`
  return { prompt, notices: [...notices, other] }
}

/** 10 000 rows of 4096 numbers are 164 MB; nothing sensible is larger. */
const MAX_ADAPTER_BYTES = 256e6
