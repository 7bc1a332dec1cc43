/** Every error as the Failure the page shows: what happened, what was kept, what to do next. */
import { DeviceLostError, EngineError } from '../../src/engine/engine'
import { FormatError } from '../../src/formats/format-error'
import { GraphError } from '../../src/graph/ir'
import type { Problem } from '../../src/job/check-job'
import { PromptNotFound } from '../../src/library/prompts'
import { storageTrouble } from '../../src/library/store'
import { ModelError } from '../../src/models/model-error'
import { ProtocolError, type Failure } from '../../src/protocol'
import { TuningCancelled, TuningError } from '../../src/tuning/errors'

/** Refused by the session itself, with the Failure it wants shown. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
  readonly failure: Failure
  constructor(code: Failure['code'], message: string, hint: string, problems: readonly Problem[] = [], options?: ErrorOptions) {
    super(message, options)
    this.failure = { code, message, hint, problems }
  }
}

export const invalidJob = (problems: readonly Problem[]): CommandError =>
  new CommandError(
    'invalid',
    problems.length === 1 ? 'One setting of the job is not usable.' : `${problems.length} settings of the job are not usable.`,
    'Change what is listed and try again.',
    problems,
  )

/** Words of browsers and of wasm for "no memory left". */
const MEMORY =
  /out of memory|allocation failed|memory is full|bad_alloc|could not allocate|exceeds? .*memory|array buffer allocation|invalid (typed )?array length/i

const SMALLER =
  'Pick a smaller model or model_dtype, a smaller batch_size, max_source_length or num_virtual_tokens, or close other tabs.'

export function failureOf(error: unknown): Failure {
  const message = error instanceof Error ? error.message : String(error)
  const failure = (code: Failure['code'], hint: string, text = message): Failure => ({ code, message: text, hint, problems: [] })

  if (error instanceof CommandError) return error.failure
  if (error instanceof ModelError) return failure(error.code, error.hint)
  if (error instanceof TuningCancelled) return failure('cancelled', error.hint)
  if (error instanceof TuningError) return failure('invalid', error.hint)
  if (error instanceof DeviceLostError) {
    return failure('device_lost', 'Resume the run from its last checkpoint; if it happens again, choose the device "wasm".')
  }
  if (error instanceof PromptNotFound) return failure('not_found', 'It may have been deleted in another tab. Reload the list.')
  if (error instanceof FormatError)
    return failure('invalid', 'Check the files; a PEFT adapter has adapter_config.json and adapter_model.safetensors.')
  if (error instanceof ProtocolError) return failure('invalid', 'This is a fault of the page. Reload it.')
  if (MEMORY.test(message)) return failure('out_of_memory', SMALLER)
  if (error instanceof EngineError)
    return failure('internal', 'Try the device "wasm" or "cpu". If it happens there too, please report it with the model\'s id.')
  if (error instanceof GraphError) return failure('unsupported', 'Pick another model, or another model_dtype of this one.')
  if (error instanceof DOMException && error.name === 'AbortError') return failure('cancelled', '')
  if (error instanceof DOMException && error.name === 'QuotaExceededError') {
    return failure(
      'storage',
      'Remove models you no longer need, or free disk space.',
      `It was not stored: ${storageTrouble(error)}.`,
    )
  }
  return failure('internal', 'Please report it, with what you did before. Prompts in the library are kept.')
}
