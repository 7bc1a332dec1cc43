/**
 * The job in the address: "#sample=plural&num_epochs=30&tuning_config.num_virtual_tokens=8". Readable, made to be shared, and
 * never holding an example: only a sample's name. Pure; what it reads is unchecked until checkJob has seen it.
 */
import type { Values } from './job-values'

export interface AddressState {
  /** Name of a sample task, null when the visitor's own examples are used (they stay on the machine). */
  readonly sample: string | null
  /** Only the fields that differ from their defaults. */
  readonly values: Values
}

/** A longer address than this is no job of ours, and some servers and messengers cut it. */
const LONGEST = 8000

/** Text that would be read back as something else (a number, true, JSON) is quoted, other text stays bare. */
function write(value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value)
  return read(value) === value ? value : JSON.stringify(value)
}

function read(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** The address's fragment without "#"; '' when there is nothing to say. */
export function toHash(state: AddressState): string {
  const parameters = new URLSearchParams()
  if (state.sample !== null) parameters.set('sample', state.sample)
  for (const [path, value] of Object.entries(state.values)) {
    if (path !== 'sample' && value !== undefined) parameters.set(path, write(value))
  }
  // Braces are safe in a fragment, and the template is what people look for in it.
  const hash = parameters.toString().replaceAll('%7B', '{').replaceAll('%7D', '}')
  return hash.length > LONGEST ? '' : hash
}

/** Reads a fragment, keeping only `known` paths. `unknown` names the others, for a notice. */
export function fromHash(hash: string, known: readonly string[]): AddressState & { readonly unknown: readonly string[] } {
  const text = hash.replace(/^#/, '')
  const values: Record<string, unknown> = {}
  const unknown: string[] = []
  let sample: string | null = null
  if (text.length <= LONGEST) {
    for (const [path, value] of new URLSearchParams(text)) {
      if (path === 'sample') sample = value
      else if (known.includes(path)) values[path] = read(value)
      else if (value !== '') unknown.push(path)
    }
  }
  return { sample, values, unknown }
}
