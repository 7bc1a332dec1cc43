/** Other names that a job file or an address may use (`lr`, older names of options), turned into the form's own. Pure; checks nothing. */
import { fields } from '../../job/parameters'
import type { Values } from './job-values'

const ALIASES: ReadonlyMap<string, Readonly<Record<string, string>>> = new Map(
  fields().flatMap(({ path, aliases }) => (aliases ? [[path, aliases]] : [])),
)

function option(path: string, value: unknown): unknown {
  const aliases = ALIASES.get(path)
  return aliases !== undefined && typeof value === 'string' && Object.hasOwn(aliases, value) ? aliases[value] : value
}

/** The same job in the form's names. Where `lr` and `learning_rate` contradict each other both stay, for checkJob to say so. */
export function canonical(values: Values): Record<string, unknown> {
  const named = Object.fromEntries(Object.entries(values).map(([path, value]) => [path, option(path, value)]))
  const { lr, ...others } = named
  if (lr === undefined || (others['learning_rate'] !== undefined && others['learning_rate'] !== lr)) return named
  return { ...others, learning_rate: lr }
}
