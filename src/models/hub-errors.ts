/** What the hub's refusals mean, by status and by its x-error-code header, each naming the model and what to do next. */
import { ModelError } from './model-error'

export const networkError = (what: string, cause: unknown): ModelError =>
  new ModelError(
    'network',
    `${what} could not be downloaded: the connection failed`,
    'Check the network (or a firewall before huggingface.co) and try again. Models that were downloaded before, embedded ones and folders work offline.',
    { cause },
  )

/** Of a gated model: whoever has an account may have the files. */
export const gatedError = (what: string, status: number | null): ModelError =>
  new ModelError(
    'not_found',
    `${what}: this model is gated${status === null ? '' : ` (HTTP ${status})`}`,
    'Its owner wants you to accept terms. Sign in on huggingface.co, accept them on the model\'s page, download its files there, and drop the folder here ("Your files").',
  )

/**
 * @param what the model, or what was asked for
 * @param path the file asked for; null: none
 */
export function hubError(what: string, path: string | null, response: Response): ModelError {
  const { status } = response
  const place = path === null ? what : `${what} (${path})`
  const code = response.headers.get('x-error-code')
  if (code === 'GatedRepo') return gatedError(what, status)
  if (code === 'RepoNotFound' || (path === null && status === 404)) {
    return new ModelError(
      'not_found',
      `${what} was not found on the hub (HTTP ${status}): there is no such model, or it is private`,
      'Check the id for typing mistakes (capital letters matter), or search for it. Of a private model, download the files yourself and drop the folder here.',
    )
  }
  if (code === 'DisabledRepo' || status === 451) {
    return new ModelError('not_found', `${what} was taken off the hub (HTTP ${status})`, 'Pick another model.')
  }
  if (status === 401 || status === 403) {
    return new ModelError(
      'not_found',
      `${place}: the hub does not show it (HTTP ${status})`,
      'No such model, or it is private or gated. Check the id for typing mistakes; for a gated or private model download the files yourself and drop the folder here.',
    )
  }
  if (status === 404) {
    return new ModelError('not_found', `${place} was not found on the hub (HTTP 404)`, 'Check the model id and its files.')
  }
  if (status === 429) {
    const seconds = Number(response.headers.get('retry-after'))
    const wait = seconds > 0 ? `${Math.ceil(seconds)} seconds` : 'a few minutes'
    return new ModelError(
      'network',
      `${place}: too many requests (HTTP 429)`,
      `The hub wants a pause: wait ${wait} and try again.`,
    )
  }
  return new ModelError('network', `${place}: the server answered HTTP ${status}`, 'Try again in a moment.')
}
