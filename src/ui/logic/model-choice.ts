/**
 * The visitor's model while samples come and go: one made for a model brings that model, whatever was chosen before; the next one without
 * gives the choice back. Pure.
 */
import { omit, type Values } from './job-values'

export interface Chosen {
  /** What the visitor set, by path. */
  readonly own: Values
  /** The model the visitor had chosen before a sample brought its own; undefined: none. */
  readonly setAside: unknown
}

/** @param suggested what the sample suggests, by path */
export function afterSample({ own, setAside }: Chosen, suggested: Values): Chosen {
  const chosen = own['base_model'] ?? setAside
  const others = omit(own, 'base_model')
  if (suggested['base_model'] !== undefined) return { own: others, setAside: chosen }
  return { own: chosen === undefined ? others : { ...others, base_model: chosen }, setAside: undefined }
}
