/**
 * What the page (or the headless command line) and the tuning worker say to each other: commands one way, events the
 * other, both discriminated unions on `type`. It is only the language: `workers/` and `src/ui` (through src/client.ts) speak it, each
 * checks what it receives with `parseCommand` / `parseEvent`.
 *
 * Every command carries a `request` number. Its answers carry the same number: any events that report on the way, then exactly one
 * `result` (with the command's own payload, see Results) or one `failed`.
 */
import type { Device } from './engine/engine'
import type { SelfTest } from './engine/self-test'
import type { Example } from './job/records'
import type { ExportFormat } from './library/export-formats'
import type { GenerationParameters } from './models/generation/parameters'
import type { GenerationResult } from './models/generation/result'
import type { Preview } from './tuning/preview'
import type {
  BaselineName,
  EpochRecord,
  Evaluation,
  Metrics,
  PromptSummary,
  StepRecord,
  TuneReport,
} from './library/prompt-record'

export interface DeviceInfo {
  readonly device: Device
  readonly available: boolean
  /** For people: adapter name, thread count, or why it is not available. */
  readonly description: string
  /** True for Chromium's software WebGPU adapter: correct, and about a hundred times slower than wasm. */
  readonly is_fallback_adapter: boolean
}

export interface ModelSummary {
  readonly id: string
  readonly model_dtype: string
  readonly revision: string
  readonly file_sha256: string
  readonly kind: 'causal-lm' | 'seq2seq'
  readonly architecture: string
  readonly parameters: number
  readonly file_bytes: number
  readonly hidden_size: number
  readonly vocab_size: number
  readonly max_positions: number | null
  /** What `auto` chose and why, for people. */
  readonly device: Device
  readonly device_reason: string
  readonly embedding_std: number
  /** The learning rate "auto" stands for on this model. */
  readonly auto_learning_rate: number
  /** That number and why, for people. */
  readonly auto_learning_rate_reason: string
  /** How far its logits are from onnxruntime's on the untouched file, on this device. */
  readonly self_test: SelfTest
  /** Nodes of the graph that is trained through, and those that can be computed here (all, or it would not be open). */
  readonly ops: { readonly supported: number; readonly total: number }
}

/** One line of `npm run inspect`. */
export interface InspectReport {
  readonly model: string
  readonly kind: string
  readonly ops: Readonly<Record<string, number>>
  readonly unsupported: readonly { readonly op_type: string; readonly domain: string; readonly node: string }[]
  /** How many composites were recognised of the ops that could be, "x/y" device ops after/before fusing. */
  readonly fused: string
  readonly parameters: number
  readonly self_test: SelfTest | null
  /** What a training step of 4 rows of 64 tokens needs, as a sentence; null where that is not known. */
  readonly memory: string | null
  readonly reference: {
    readonly logits_max_abs_diff: number
    readonly gradient_max_rel_diff: number
    readonly ok: boolean
  } | null
  /** Set when it can't be tuned: why. */
  readonly error: string | null
}

export type { ExportFormat } from './library/export-formats'
export type { MemoryEstimate } from './engine/memory'
export type { SelfTest } from './engine/self-test'
export type { Preview } from './tuning/preview'
export type { GenerationParameters } from './models/generation/parameters'
export type { GenerationResult as Generation } from './models/generation/result'

/** A file handed over or taken away; `path` is relative, with forward slashes. */
export interface FileEntry {
  readonly path: string
  readonly blob: Blob
}

/** A model's file, stored or to be had. */
export interface ModelFile {
  readonly path: string
  /** null: not known. */
  readonly bytes: number | null
  readonly stored: boolean
}

/** What would be fetched of a model. */
export interface ModelFiles {
  /** What the hub calls it now; another id than was asked for when it was renamed. */
  readonly id: string
  readonly kind: 'causal-lm' | 'seq2seq'
  readonly architecture: string
  /** As its model card says; null where it says none. */
  readonly licence: string | null
  /** By model_dtype. */
  readonly choices: readonly { readonly model_dtype: string; readonly files: readonly ModelFile[] }[]
  /** What model_dtype "auto" takes. */
  readonly auto: string
  /** config.json, tokenizer and the like. */
  readonly small: readonly ModelFile[]
}

/** A model in this browser: its files, and whether they are all that is needed to open it. */
export interface StoredModel {
  readonly id: string
  readonly files: number
  readonly bytes: number
  /** Kept of downloads that are not whole, to go on from. */
  readonly unfinished_bytes: number
  /** Dropped in during this visit: gone with the tab. */
  readonly dropped: boolean
  /** ISO 8601; null: not since this is noted. */
  readonly last_used: string | null
  /** Why it can't be opened with what is here, as "no tokenizer.json"; null: it can. */
  readonly lacks: string | null
  readonly parts: readonly {
    readonly path: string
    readonly bytes: number
    /** Of an ONNX file. */
    readonly model_dtype: string | null
  }[]
}

export interface StorageReport {
  readonly persisted: boolean
  readonly usage_bytes: number | null
  readonly quota_bytes: number | null
  readonly models: readonly StoredModel[]
  /** Set when IndexedDB can't be used and everything is kept in memory only: why. */
  readonly memory_only: string | null
}

/** The commands: name -> payload. */
export interface Commands {
  probe_devices: object
  /** Downloads or finds the model, reads its graph, checks that it can be tuned, picks a device. Reports `model_progress`. */
  open_model: {
    readonly base_model: string
    readonly model_dtype: string
    readonly model_file_name?: string
    readonly device: string
    readonly allow_downloads: boolean
  }
  /** Ends the opening in progress, or looking at files; complete files are kept. */
  cancel_opening: object
  /** Downloads or finds a model and reads it, without a device: for trying prompts of it. Reports `model_progress`. */
  load_model: {
    readonly base_model: string
    readonly model_dtype: string
    readonly model_file_name?: string
    readonly allow_downloads: boolean
  }
  /** What would be fetched of a model, and what is here already. Of a hub model it fetches the list of files and config.json. */
  model_files: { readonly base_model: string; readonly model_file_name?: string; readonly allow_downloads: boolean }
  /**
   * Makes files from this machine usable as the model `name`, for this session. They may lie in a folder of any name; what is missing to
   * open the model is refused by name. `loose`: any files will do, for `inspect` of single ONNX files.
   */
  add_model_files: { readonly name: string; readonly files: readonly FileEntry[]; readonly loose?: boolean }
  /**
   * Reads, checks and self-tests a model. `files`: one ONNX file of it by path, or an encoder's and its decoder's (then no config.json or
   * tokenizer is needed), or null for those that model_dtype picks. `reference`: the text of a torch reference (test/fixtures/onnx/*.reference.json), or null.
   */
  inspect: {
    readonly base_model: string
    readonly files: readonly string[] | null
    readonly model_dtype: string
    readonly device: string
    readonly allow_downloads: boolean
    readonly reference: string | null
  }
  /** `job` is unchecked JSON here: the worker validates and answers with all problems. */
  preview: { readonly job: unknown; readonly examples: readonly Example[] }
  /** Reports `tune_started`, `evaluated`, `step`, `epoch`, `paused`. `validation` null: split by job.validation. */
  tune: {
    readonly job: unknown
    readonly name: string
    readonly train: readonly Example[]
    readonly validation: readonly Example[] | null
  }
  /** Goes on with the run a reload or crash interrupted, from its last checkpoint. Same reports as tune. */
  resume_run: { readonly run: string }
  interrupted_runs: object
  discard_run: { readonly run: string }
  /** These three act on the run in progress. */
  pause: object
  resume: object
  /** Ends the run; the best prompt so far is kept. */
  cancel: object
  /**
   * prompt null: the untuned model. `task`: which task of a prompt of several; null for one of one. Reports `token`. `verbalizer` renders the
   * input (the prompt's own when null).
   */
  generate: {
    readonly prompt: string | null
    readonly task: string | null
    readonly base_model: string
    readonly input: string
    readonly verbalizer: string | null
    readonly parameters: GenerationParameters
  }
  stop_generating: { readonly target: number }
  list_prompts: object
  rename_prompt: { readonly prompt: string; readonly name: string }
  delete_prompt: { readonly prompt: string }
  /** A PEFT adapter (adapter_config.json and adapter_model.safetensors), or caikit's encoder.pt and/or decoder.pt. */
  import_prompt: { readonly name: string; readonly base_model: string; readonly files: readonly FileEntry[] }
  /** `task`: which task of a multitask prompt, for formats that hold one; null for prompts of one. */
  export_prompt: { readonly prompt: string; readonly format: ExportFormat; readonly task: string | null }
  /** A folder that runs this job on a larger machine, with PEFT under accelerate. `job` is unchecked JSON, as for tune. */
  export_job: {
    readonly job: unknown
    readonly name: string
    readonly train: readonly Example[]
    readonly validation: readonly Example[] | null
  }
  storage: object
  remove_model: { readonly base_model: string }
  reset_storage: object
}

/** What each command's `result` carries. */
export interface Results {
  probe_devices: readonly DeviceInfo[]
  open_model: ModelSummary
  cancel_opening: null
  load_model: null
  model_files: ModelFiles
  add_model_files: null
  inspect: InspectReport
  preview: Preview
  tune: TuneResult
  resume_run: TuneResult
  interrupted_runs: readonly InterruptedRun[]
  discard_run: null
  pause: null
  resume: null
  cancel: null
  generate: GenerationResult
  stop_generating: null
  list_prompts: readonly PromptSummary[]
  rename_prompt: null
  delete_prompt: null
  import_prompt: PromptSummary
  export_prompt: ExportedFiles
  export_job: ExportedFiles
  storage: StorageReport
  remove_model: null
  reset_storage: null
}

export interface ExportedFiles {
  readonly filename: string
  readonly files: readonly FileEntry[]
  readonly zip: Blob
  /** For people: where the tool these files are for does otherwise than we do. */
  readonly notices: readonly string[]
}

export interface TuneResult {
  readonly prompt: PromptSummary
  readonly report: TuneReport
}

export interface InterruptedRun {
  readonly run: string
  readonly name: string
  readonly base_model: string
  readonly step: number
  readonly total_steps: number
  readonly saved: string
}

/** What may be reported before a command's result. */
export type Progress =
  | {
      readonly type: 'model_progress'
      readonly file: string
      readonly loaded: number
      readonly total: number | null
      /** wait: for another tab that downloads the file. */
      readonly stage: 'wait' | 'download' | 'read' | 'prepare'
    }
  | {
      readonly type: 'tune_started'
      readonly run: string
      readonly device: Device
      readonly device_reason: string
      readonly learning_rate: number
      readonly total_steps: number
      readonly train_rows: number
      readonly validation_rows: number
      readonly truncated: number
      readonly notices: readonly string[]
    }
  | { readonly type: 'evaluated'; readonly which: BaselineName | 'tuned'; readonly evaluation: Evaluation }
  | { readonly type: 'stage'; readonly text: string }
  | { readonly type: 'step'; readonly step: StepRecord; readonly memory_bytes: number }
  | { readonly type: 'epoch'; readonly epoch: EpochRecord; readonly best: boolean; readonly best_metrics: Metrics | null }
  | { readonly type: 'paused'; readonly paused: boolean }
  | { readonly type: 'token'; readonly text: string }

export type CommandName = keyof Commands
export type Command = { [Name in CommandName]: { readonly type: Name; readonly request: number } & Commands[Name] }[CommandName]

/** An error as the page shows it: what happened, what was kept, what to do next. */
export interface Failure {
  readonly code:
    | 'invalid'
    | 'not_found'
    | 'unsupported'
    | 'network'
    | 'out_of_memory'
    | 'device_lost'
    | 'busy'
    | 'cancelled'
    | 'storage'
    | 'internal'
  readonly message: string
  readonly hint: string
  /** For code 'invalid': every problem of a job, `field: message`. */
  readonly problems: readonly { readonly field: string; readonly message: string }[]
}

export type Event =
  | ({ readonly request: number } & Progress)
  | { readonly type: 'result'; readonly request: number; readonly result: Results[CommandName] }
  | { readonly type: 'failed'; readonly request: number; readonly failure: Failure }
  /** Not an answer: something the page should show at any time. */
  | { readonly type: 'notice'; readonly request: null; readonly level: 'info' | 'warning'; readonly text: string }

/** An event whose shape was checked; what a `result` carries is checked against its command by parseResult. */
export type ReceivedEvent =
  Exclude<Event, { type: 'result' }> | { readonly type: 'result'; readonly request: number; readonly result: unknown }

export { parseCommand, parseEvent, parseResult, ProtocolError } from './protocol-checks'
