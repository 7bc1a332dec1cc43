/** What can go wrong on the way to a model, said so that a person can act on it. */
import { printable } from '../graph/printable'
import { TruncatedError, WrongContentError } from './shards'

export type ModelErrorCode = 'not_found' | 'network' | 'unsupported' | 'invalid' | 'out_of_memory' | 'storage'

export class ModelError extends Error {
  override readonly name = 'ModelError'
  constructor(
    readonly code: ModelErrorCode,
    message: string,
    /** What to do next. */
    readonly hint: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

/**
 * Any error on the way to a model as a ModelError: transformers.js and browsers throw plain ones.
 * @param id the model
 */
export function asModelError(error: unknown, id: string): ModelError {
  if (error instanceof ModelError) return error
  const message = printable(error instanceof Error ? error.message : String(error))
  if (error instanceof TruncatedError) {
    return new ModelError(
      'network',
      `${id}: the download broke off (${message})`,
      'Try again: what arrived is kept where it can be gone on from.',
      {
        cause: error,
      },
    )
  }
  if (error instanceof WrongContentError) {
    return new ModelError(
      'network',
      `${id}: the download is not the file that was announced (${error.message})`,
      'Nothing was kept of it. Try again; if it stays so, a proxy or the mirror serves another file.',
      { cause: error },
    )
  }
  if (error instanceof DOMException && error.name === 'QuotaExceededError') {
    return new ModelError(
      'storage',
      `${id} could not be stored: the browser has no storage left for this page`,
      'Remove models you no longer need, or free space on the disk.',
      { cause: error },
    )
  }
  if (error instanceof RangeError && /call stack/i.test(message)) {
    return new ModelError(
      'invalid',
      `${id}: a file is nested too deeply (${message})`,
      'No tool writes such files. Get the model from elsewhere.',
      {
        cause: error,
      },
    )
  }
  if (error instanceof RangeError) {
    return new ModelError(
      'out_of_memory',
      `${id} does not fit into this browser's memory (${message})`,
      'Pick a smaller model or a smaller model_dtype (q8), or close other tabs.',
      { cause: error },
    )
  }
  if (error instanceof SyntaxError) {
    return new ModelError(
      'invalid',
      `${id}: a file is not valid JSON (${message})`,
      'Download the model again: remove it from the storage first.',
      { cause: error },
    )
  }
  if (error instanceof Error && error.name === 'ModelFileNotFoundError') {
    return new ModelError(
      'not_found',
      `${id} was not found: ${message}`,
      'Check the model id; for a folder, that it holds config.json and tokenizer.json.',
      { cause: error },
    )
  }
  return new ModelError(
    'invalid',
    `${id} could not be loaded: ${message}`,
    'The model may be damaged or of an unknown kind. Remove it from the storage and try again.',
    {
      cause: error,
    },
  )
}

/**
 * What transformers.js' tokenizers threw while they were made, as a ModelError that says so: damaged files make them stumble over anything.
 * What has a name of its own already stays as it is.
 */
export function asTokenizerError(error: unknown, id: string): unknown {
  const isKnown = error instanceof ModelError || error instanceof RangeError || error instanceof DOMException
  if (isKnown || (error instanceof Error && error.name === 'ModelFileNotFoundError')) return error
  const message = printable(error instanceof Error ? error.message : String(error))
  const what = error instanceof SyntaxError ? 'is not valid JSON' : 'is damaged, or of a kind that transformers.js does not know'
  return new ModelError(
    'invalid',
    `${id}: its tokenizer can't be read, tokenizer.json or tokenizer_config.json ${what} (${message})`,
    'Get both files from the repository again: of a downloaded model, remove it from the storage first.',
    { cause: error },
  )
}

/** The server answered a request for a model file with a page, as hosts with a history fallback do. */
export const pageInstead = (what: string): ModelError =>
  new ModelError(
    'not_found',
    `${what}: the server answered with a web page instead of the file`,
    'The file is not there, or a sign-in or proxy page stands before it. Check the model id, or open the address in a tab to see the page.',
  )

/** Bytes that no model file starts with: a page, or the pointer git-lfs leaves in place of a file. */
export function checkHead(what: string, head: Uint8Array): void {
  const start = new TextDecoder().decode(head.subarray(0, 64)).trimStart()
  if (/^<(!doctype|html|\?xml)/i.test(start)) throw pageInstead(what)
  if (start.startsWith('version https://git-lfs')) {
    throw new ModelError(
      'invalid',
      `${what} is a git-lfs pointer, not the file itself`,
      'The folder was cloned without git-lfs. Run "git lfs pull" in it, or download the file from the hub, and add it again.',
    )
  }
  if (head.byteLength === 0) throw new ModelError('invalid', `${what} is empty`, 'Download or copy the file again.')
  if (what.endsWith('.json') && !/^[[{]/.test(start)) {
    throw new ModelError(
      'invalid',
      `${what} is not JSON (it starts with ${JSON.stringify(start.slice(0, 20))})`,
      'Download the file again.',
    )
  }
}
