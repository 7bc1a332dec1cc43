/** Makes a Failure, which the page can show, of whatever was thrown. Pure. */
import { RequestFailed } from '../../client'
import { ModelError } from '../../models/model-error'
import type { Failure } from '../../protocol'

export function failureOf(error: unknown): Failure {
  if (error instanceof RequestFailed) return error.failure
  if (error instanceof ModelError) return { code: error.code, message: error.message, hint: error.hint, problems: [] }
  const message = error instanceof Error ? error.message : String(error)
  return {
    code: 'internal',
    message,
    hint: 'This is a fault of the page. What is in the library is kept; reload the page to go on.',
    problems: [],
  }
}

/** A failure of something the page did itself (reading a file, a fetch from our own origin). */
export const pageFailure = (message: string, hint: string): Failure => ({ code: 'invalid', message, hint, problems: [] })
