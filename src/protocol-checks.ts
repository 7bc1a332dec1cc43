/**
 * The runtime checks of the protocol: what crosses the border between page and worker is unknown data until it went
 * through parseCommand, parseEvent or parseResult. The language itself is in protocol.ts; `tsc` holds the two together.
 */
import * as v from 'valibot'
import { DEVICES } from './engine/engine'
import { EXPORT_FORMATS } from './library/export-formats'
import { BASELINES } from './library/prompt-record'
import {
  EpochRecordSchema,
  EvaluationSchema,
  MetricsSchema,
  PromptSummarySchema,
  StepRecordSchema,
  TuneReportSchema,
} from './library/record-schema'
import { GenerationSchema } from './models/generation/parameters'
import { FINISH_REASONS } from './models/generation/result'
import type {
  Command,
  CommandName,
  Commands,
  DeviceInfo,
  ExportedFiles,
  Failure,
  Generation,
  InspectReport,
  InterruptedRun,
  MemoryEstimate,
  ModelFiles,
  ModelSummary,
  Preview,
  Progress,
  ReceivedEvent,
  Results,
  SelfTest,
  StorageReport,
  TuneResult,
} from './protocol'

/** A message that is not part of the protocol; `path` names the place, `request` whom it was for, where that could be read. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
  constructor(
    readonly path: string,
    problem: string,
    readonly request: number | null,
  ) {
    super(path === '' ? problem : `${path}: ${problem}`)
  }
}

type Schema<Output> = v.GenericSchema<unknown, Output>

const text = v.string()
const flag = v.boolean()
/** NaN included: what a failed measurement gives is still to be shown. */
const real = v.custom<number>((input) => typeof input === 'number', 'Expected a number')
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const nothing = v.null()
const device = v.picklist(DEVICES)
const request = v.pipe(v.number(), v.safeInteger(), v.minValue(1))

/** A relative path with forward slashes that stays inside its folder. */
const path = v.pipe(
  text,
  v.minLength(1),
  v.maxLength(1024),
  v.check(
    (input) => !/^[/\\]|\\|\0/.test(input) && !input.split('/').some((part) => part === '' || part === '.' || part === '..'),
    'Expected a relative path with forward slashes',
  ),
)
const file = v.object({ path, blob: v.instance(Blob) })
const files = v.array(file)
const example = v.pipe(
  v.object({ input: text, output: text, task: v.optional(text) }),
  v.transform(({ input, output, task }) => (task === undefined ? { input, output } : { input, output, task })),
)
const examples = v.array(example)
const empty = v.object({})
const onPrompt = v.object({ prompt: text })
const onRun = v.object({ run: text })
const model = { base_model: text, model_dtype: text, device: text, allow_downloads: flag }
const fileName = { model_file_name: v.optional(text, '') }

const job = { job: v.unknown(), name: text, train: examples, validation: v.nullable(examples) }

const commands: { readonly [Name in CommandName]: Schema<Commands[Name]> } = {
  probe_devices: empty,
  open_model: v.object({ ...model, ...fileName }),
  cancel_opening: empty,
  load_model: v.object({ base_model: text, model_dtype: text, allow_downloads: flag, ...fileName }),
  model_files: v.object({ base_model: text, allow_downloads: flag, ...fileName }),
  add_model_files: v.object({ name: text, files, loose: v.optional(flag, false) }),
  inspect: v.object({
    ...model,
    files: v.nullable(v.pipe(v.array(path), v.minLength(1), v.maxLength(2))),
    reference: v.nullable(text),
  }),
  preview: v.object({ job: v.unknown(), examples }),
  tune: v.object(job),
  resume_run: onRun,
  interrupted_runs: empty,
  discard_run: onRun,
  pause: empty,
  resume: empty,
  cancel: empty,
  generate: v.object({
    prompt: v.nullable(text),
    task: v.nullable(text),
    base_model: text,
    input: text,
    verbalizer: v.nullable(text),
    parameters: GenerationSchema,
  }),
  stop_generating: v.object({ target: request }),
  list_prompts: empty,
  rename_prompt: v.object({ prompt: text, name: v.pipe(text, v.trim(), v.minLength(1), v.maxLength(200)) }),
  delete_prompt: onPrompt,
  import_prompt: v.object({ name: text, base_model: text, files }),
  export_prompt: v.object({ prompt: text, format: v.picklist(EXPORT_FORMATS), task: v.nullable(text) }),
  export_job: v.object(job),
  storage: empty,
  remove_model: v.object({ base_model: text }),
  reset_storage: empty,
}

const deviceInfo: Schema<DeviceInfo> = v.object({ device, available: flag, description: text, is_fallback_adapter: flag })
const selfTest: Schema<SelfTest> = v.object({ max_abs_diff: real, tolerance: real, ok: flag })
const modelSummary: Schema<ModelSummary> = v.object({
  id: text,
  model_dtype: text,
  revision: text,
  file_sha256: text,
  kind: v.picklist(['causal-lm', 'seq2seq']),
  architecture: text,
  parameters: count,
  file_bytes: count,
  hidden_size: count,
  vocab_size: count,
  max_positions: v.nullable(count),
  device,
  device_reason: text,
  embedding_std: real,
  auto_learning_rate: real,
  auto_learning_rate_reason: text,
  self_test: selfTest,
  ops: v.object({ supported: count, total: count }),
})
const modelFile = v.object({ path: text, bytes: v.nullable(count), stored: flag })
const modelFiles: Schema<ModelFiles> = v.object({
  id: text,
  kind: v.picklist(['causal-lm', 'seq2seq']),
  architecture: text,
  licence: v.nullable(text),
  choices: v.array(v.object({ model_dtype: text, files: v.array(modelFile) })),
  auto: text,
  small: v.array(modelFile),
})
const inspectReport: Schema<InspectReport> = v.object({
  model: text,
  kind: text,
  ops: v.record(text, count),
  unsupported: v.array(v.object({ op_type: text, domain: text, node: text })),
  fused: text,
  parameters: count,
  self_test: v.nullable(selfTest),
  memory: v.nullable(text),
  reference: v.nullable(v.object({ logits_max_abs_diff: real, gradient_max_rel_diff: real, ok: flag })),
  error: v.nullable(text),
})
const previewRow = v.object({ source: text, target: text, source_tokens: count, target_tokens: count, truncated: flag })
const memory: Schema<MemoryEstimate> = v.object({
  device,
  verdict: v.picklist(['fits', 'fits_with_checkpointing', 'does_not_fit']),
  batch_size: count,
  positions: count,
  weight_bytes: count,
  activation_bytes: count,
  plain_activation_bytes: count,
  scoring_bytes: count,
  segments: count,
  host_bytes: count,
  needed_bytes: count,
  limit_bytes: v.nullable(count),
  obstacle: v.nullable(text),
  summary: text,
  advice: v.array(text),
})
const preview: Schema<Preview> = v.object({
  rows: v.array(previewRow),
  memory: v.nullable(memory),
  truncated_sources: count,
  truncated_targets: count,
  longest: count,
  total_steps: count,
})
const tuneResult: Schema<TuneResult> = v.object({ prompt: PromptSummarySchema, report: TuneReportSchema })
const interruptedRun: Schema<InterruptedRun> = v.object({
  run: text,
  name: text,
  base_model: text,
  step: count,
  total_steps: count,
  saved: text,
})
const generation: Schema<Generation> = v.object({
  text,
  tokens: count,
  input_tokens: count,
  finish_reason: v.picklist(FINISH_REASONS),
  seed: count,
  ms: real,
})
const storage: Schema<StorageReport> = v.object({
  persisted: flag,
  usage_bytes: v.nullable(real),
  quota_bytes: v.nullable(real),
  models: v.array(
    v.object({
      id: text,
      files: count,
      bytes: count,
      unfinished_bytes: count,
      dropped: flag,
      last_used: v.nullable(text),
      lacks: v.nullable(text),
      parts: v.array(v.object({ path: text, bytes: count, model_dtype: v.nullable(text) })),
    }),
  ),
  memory_only: v.nullable(text),
})

const exportedFiles: Schema<ExportedFiles> = v.object({
  filename: text,
  files,
  zip: v.instance(Blob),
  notices: v.array(text),
})

const results: { readonly [Name in CommandName]: Schema<Results[Name]> } = {
  probe_devices: v.array(deviceInfo),
  open_model: modelSummary,
  cancel_opening: nothing,
  load_model: nothing,
  model_files: modelFiles,
  add_model_files: nothing,
  inspect: inspectReport,
  preview,
  tune: tuneResult,
  resume_run: tuneResult,
  interrupted_runs: v.array(interruptedRun),
  discard_run: nothing,
  pause: nothing,
  resume: nothing,
  cancel: nothing,
  generate: generation,
  stop_generating: nothing,
  list_prompts: v.array(PromptSummarySchema),
  rename_prompt: nothing,
  delete_prompt: nothing,
  import_prompt: PromptSummarySchema,
  export_prompt: exportedFiles,
  export_job: exportedFiles,
  storage,
  remove_model: nothing,
  reset_storage: nothing,
}

const progress: { readonly [Type in Progress['type']]: Schema<Extract<Progress, { type: Type }>> } = {
  model_progress: v.object({
    type: v.literal('model_progress'),
    file: text,
    loaded: count,
    total: v.nullable(count),
    stage: v.picklist(['wait', 'download', 'read', 'prepare']),
  }),
  tune_started: v.object({
    type: v.literal('tune_started'),
    run: text,
    device,
    device_reason: text,
    learning_rate: real,
    total_steps: count,
    train_rows: count,
    validation_rows: count,
    truncated: count,
    notices: v.array(text),
  }),
  evaluated: v.object({
    type: v.literal('evaluated'),
    which: v.picklist([...BASELINES, 'tuned']),
    evaluation: EvaluationSchema,
  }),
  stage: v.object({ type: v.literal('stage'), text }),
  step: v.object({ type: v.literal('step'), step: StepRecordSchema, memory_bytes: real }),
  epoch: v.object({ type: v.literal('epoch'), epoch: EpochRecordSchema, best: flag, best_metrics: v.nullable(MetricsSchema) }),
  paused: v.object({ type: v.literal('paused'), paused: flag }),
  token: v.object({ type: v.literal('token'), text }),
}

const failure: Schema<Failure> = v.object({
  code: v.picklist([
    'invalid',
    'not_found',
    'unsupported',
    'network',
    'out_of_memory',
    'device_lost',
    'busy',
    'cancelled',
    'storage',
    'internal',
  ]),
  message: text,
  hint: text,
  problems: v.array(v.object({ field: text, message: text })),
})

/** What every message has; the rest is checked by its type. */
const commandEnvelope = v.object({ type: text, request })
const eventEnvelope = v.object({ type: text, request: v.nullable(request) })

const requestOf = (data: unknown): number | null => {
  const found = v.safeParse(v.object({ request }), data)
  return found.success ? found.output.request : null
}

function check<Output>(schema: Schema<Output>, data: unknown): Output {
  const found = v.safeParse(schema, data, { abortEarly: true })
  if (found.success) return found.output
  const [issue] = found.issues
  throw new ProtocolError(v.getDotPath(issue) ?? '', issue.message, requestOf(data))
}

const own = <Table extends object>(table: Table, key: string): key is Extract<keyof Table, string> => Object.hasOwn(table, key)

function checkCommand<Name extends CommandName>(
  type: Name,
  number: number,
  data: unknown,
): { type: Name; request: number } & Commands[Name] {
  return { ...check(commands[type], data), type, request: number }
}

/** @throws ProtocolError naming the path of the first problem. */
export function parseCommand(data: unknown): Command {
  const { type, request: number } = check(commandEnvelope, data)
  if (!own(commands, type)) throw new ProtocolError('type', `unknown command ${JSON.stringify(type.slice(0, 80))}`, number)
  // Name and payload belong together by the table; TypeScript cannot follow that through a union.
  return checkCommand(type, number, data) as Command
}

/** An event; the payload of a `result` still has to go through parseResult, which knows the command. @throws ProtocolError */
export function parseEvent(data: unknown): ReceivedEvent {
  const { type, request: number } = check(eventEnvelope, data)
  if (type === 'notice') {
    return check(v.object({ type: v.literal('notice'), request: nothing, level: v.picklist(['info', 'warning']), text }), data)
  }
  if (number === null) throw new ProtocolError('request', 'Expected the number of a request', null)
  if (type === 'result') return { type, request: number, result: check(v.object({ result: v.unknown() }), data).result }
  if (type === 'failed') return { type, request: number, failure: check(v.object({ failure }), data).failure }
  if (!own(progress, type)) throw new ProtocolError('type', `unknown event ${JSON.stringify(type.slice(0, 80))}`, number)
  const schema: Schema<Progress> = progress[type]
  return { ...check(schema, data), request: number }
}

/** @throws ProtocolError */
export function parseResult<Name extends CommandName>(type: Name, result: unknown): Results[Name] {
  return check<Results[Name]>(results[type], result)
}
